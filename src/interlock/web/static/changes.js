// A change for review: opens what an address leads to, switches between side by side and one column, and moves with
// the keyboard. Without it all can be read.
//
// Its keys are in the page as hidden elements with data-key and data-key-name, where the list of keys reads them. The
// switch is an attribute of <html>, and what is opened is clicked, so that a page that is patched keeps both.
import "/static/viewed.js";

const KEPT = "interlock-review";
const page = document.documentElement;

function show(view) {
  page.dataset.review = view === "unified" ? "unified" : "split";
  for (const button of document.querySelectorAll(".switch [data-view]")) {
    button.setAttribute("aria-pressed", String(button.dataset.view === page.dataset.review));
  }
}

function keep(view) {
  try { localStorage.setItem(KEPT, view); } catch { /* a browser that keeps nothing */ }
  show(view);
}

function kept() {
  try { return localStorage.getItem(KEPT); } catch { return null; }
}

// What the address names: its file is opened, and it is scrolled to where it ends up after that.
function arrive() {
  let name = location.hash.slice(1);
  try { name = decodeURIComponent(name); } catch { /* a name with a sign that only looks like a code */ }
  const target = name && document.getElementById(name);
  if (!target || !target.closest(".changes")) return;
  for (let item = target.closest("details"); item; item = item.parentElement.closest("details")) {
    if (!item.open) item.querySelector(":scope > summary").click();
  }
  reach(target);
}

// What is scrolled past gets its real height only then, so that it is looked again where the target is.
function reach(target, tries = 5) {
  const before = target.getBoundingClientRect().top;
  target.scrollIntoView({ block: target.matches("details") ? "start" : "center" });
  const moved = Math.abs(target.getBoundingClientRect().top - before) > 1;
  if (tries && (moved || tries === 5)) requestAnimationFrame(() => reach(target, tries - 1));
}

function stops() {
  return [...document.querySelectorAll(".changes details.file, .changes details[open] .finding")]
    .filter((item) => item.checkVisibility());
}

// The next stop below the upper third of the window, or the one before.
function jump(step) {
  const all = stops();
  const here = document.activeElement?.closest(".changes details.file > summary, .changes .finding");
  const item = here?.matches("summary") ? here.parentElement : here;
  let at = all.indexOf(item);
  if (at < 0) {
    at = all.findIndex((one) => one.getBoundingClientRect().top > 8);
    if (at < 0) at = all.length;
    if (step > 0) at -= 1;
  }
  const next = all[at + step];
  if (!next) return;
  const focus = next.matches("details") ? next.querySelector("summary") : next;
  focus.focus({ preventScroll: true });
  reach(next);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.(".switch [data-view]");
  if (button) keep(button.dataset.view);
  const link = event.target.closest?.('a[href^="#"]');
  if (link && link.hash === location.hash) arrive();  // no event tells a second click
});
const KEYS = {
  n: () => jump(1),
  p: () => jump(-1),
  v: () => keep(page.dataset.review === "unified" ? "split" : "unified"),
};
document.addEventListener("keydown", (event) => {
  const taken = event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]");
  if (taken || !KEYS[event.key] || event.target.closest?.("input, textarea, select, [contenteditable]")) return;
  if (!document.querySelector(".changes")) return;
  event.preventDefault();
  KEYS[event.key]();
});
addEventListener("hashchange", arrive);
document.addEventListener("drawn", () => show(kept()));
show(kept());
arrive();
