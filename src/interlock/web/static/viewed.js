// The files of a change that a person marked as viewed: kept in this browser by the digest of the file's change, so that
// a file that changes again is not viewed any more. The marks are put into the page after each update of it.
const KEPT = "interlock-viewed";
const MOST = 2000;

function kept() {
  try { return new Set(JSON.parse(localStorage.getItem(KEPT) ?? "[]")); } catch { return new Set(); }
}

function keep(digest, viewed) {
  const all = kept();
  all.delete(digest);
  if (viewed) all.add(digest);
  try { localStorage.setItem(KEPT, JSON.stringify([...all].slice(-MOST))); } catch { /* a browser that keeps nothing */ }
}

function boxOf(file) {
  const line = document.createElement("p");
  const label = document.createElement("label");
  const box = Object.assign(document.createElement("input"), { type: "checkbox" });
  line.className = "viewed";
  label.append(box, " Viewed");
  line.append(label);
  file.querySelector(":scope > summary").after(line);
  return box;
}

function mark() {
  const all = kept();
  const files = [...document.querySelectorAll(".changes details.file[data-change]")];
  for (const file of files) {
    const viewed = all.has(file.dataset.change);
    const box = file.querySelector(":scope > .viewed input") ?? boxOf(file);
    box.checked = viewed;
    file.classList.toggle("is-viewed", viewed);
    document.querySelector(`.changes .files a[href="#${CSS.escape(file.id)}"]`)?.classList.toggle("is-viewed", viewed);
    const shown = location.hash && file.contains(document.getElementById(decoded(location.hash.slice(1))));
    if (viewed && file.dataset.folded !== file.dataset.change && !shown) file.open = false; // once: it may be opened again
    if (viewed) file.dataset.folded = file.dataset.change;
  }
  const bar = document.querySelector(".bar-of-changes > p");
  if (!bar || !files.length) return;
  const count = bar.querySelector("output") ?? bar.appendChild(document.createElement("output"));
  count.textContent = ` ${files.filter((file) => all.has(file.dataset.change)).length} of ${files.length} viewed`;
}

function decoded(name) {
  try { return decodeURIComponent(name); } catch { return name; }
}

document.addEventListener("change", (event) => {
  const file = event.target.closest?.(".viewed")?.closest("details.file");
  if (!file) return;
  keep(file.dataset.change, event.target.checked);
  mark();
  if (!event.target.checked) return;
  file.open = false;
  file.querySelector("summary").focus();
});
document.addEventListener("drawn", mark);
addEventListener("storage", mark);
mark();
