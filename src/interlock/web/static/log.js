// Follows the log of an attempt that is at work, and searches in logs. Lines far from view are not laid out (CSS).
// An update of the page (`drawn`) brings logs as text: they become lines again. The log that is followed is kept.
const LINES_MAX = 20000;

function lineOf(text) {
  const line = document.createElement("span");
  line.textContent = `${text}\n`;
  return line;
}

function search(box) {
  const input = box.querySelector("input[type=search]");
  const count = box.querySelector("output");
  const pre = box.querySelector("pre");
  const apply = () => {
    const wanted = input.value.toLowerCase();
    let found = 0;
    for (const line of pre.children) {
      const fits = !wanted || line.textContent.toLowerCase().includes(wanted);
      line.hidden = !fits;
      found += fits && wanted ? 1 : 0;
    }
    count.textContent = wanted ? `${found} lines` : "";
  };
  input.addEventListener("input", apply);
  box.querySelector("button").addEventListener("click", () => { pre.scrollTop = pre.scrollHeight; });
  return apply;
}

async function follow(box, apply) {
  const pre = box.querySelector("pre");
  let offset = 0;
  let kept = "";
  for (;;) {
    let said;
    try {
      const answer = await fetch(`${box.dataset.follow}?offset=${offset}`, { credentials: "same-origin" });
      if (!answer.ok) return;
      said = await answer.json();
    } catch { await new Promise((done) => setTimeout(done, 2000)); continue; }
    const atEnd = pre.scrollTop + pre.clientHeight >= pre.scrollHeight - 8;
    const lines = (kept + said.log.text).split("\n");
    kept = lines.pop();
    pre.append(...lines.map(lineOf));
    while (pre.children.length > LINES_MAX) pre.firstChild.remove();
    offset = said.log.next_offset;
    if (lines.length) apply();
    if (atEnd) pre.scrollTop = pre.scrollHeight;
    if (said.log.over) { // the update of the page has the log of the finished attempt, unless it does not come
      await new Promise((done) => setTimeout(done, 3000));
      if (box.isConnected) location.reload();
      return;
    }
    if (!said.log.text) await new Promise((done) => setTimeout(done, 700));
  }
}

const applied = new WeakMap(); // boxes, with what searches them again

function arrange() {
  for (const box of document.querySelectorAll(".log")) {
    const pre = box.querySelector("pre");
    const isNew = !applied.has(box);
    if (isNew) applied.set(box, search(box));
    if (isNew && box.dataset.follow) {
      pre.dataset.keep = "";
      follow(box, applied.get(box));
    } else if (pre.firstChild?.nodeType === Node.TEXT_NODE) {
      pre.replaceChildren(...pre.textContent.split("\n").map(lineOf));
      applied.get(box)();
    }
  }
}

document.addEventListener("drawn", arrange);
arrange();
