// The timeline is drawn by the server. This adds zoom, one stop of the tab key with arrows between the bars, and the words
// of the bar that is pointed at. It starts over after each update of the page (`drawn`).
const state = { left: 0, current: "" };

function bars() { return [...document.querySelectorAll("#timeline a.bar-link")]; }

function nameOf(bar) { return `${bar.getAttribute("href")} ${bar.getAttribute("class")}`; }

function zoom() {
  const slider = document.querySelector("#zoom");
  const axis = document.querySelector("#timeline .axis");
  const region = axis?.parentElement;
  if (!slider || !region) return;
  slider.value = sessionStorage.getItem("zoom") ?? "1";
  axis.style.width = slider.value === "1" ? "" : `${100 * slider.value}%`;
  region.scrollLeft = state.left;
}

function step(event) {
  const bar = event.target.closest?.("#timeline a.bar-link");
  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  if (!bar || !moves[event.key] || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  const [along, across] = moves[event.key];
  const lanes = [...document.querySelectorAll("#timeline .lane")];
  const lane = lanes[lanes.indexOf(bar.parentElement) + across];
  if (!lane) return;
  const all = [...lane.querySelectorAll("a.bar-link")];
  const middle = (one) => { const box = one.getBoundingClientRect(); return box.left + box.width / 2; };
  const next = along ? all[all.indexOf(bar) + along]
    : all.reduce((best, one) => Math.abs(middle(one) - middle(bar)) < Math.abs(middle(best) - middle(bar)) ? one : best);
  next?.focus();
}

function stops() {
  const all = bars();
  const current = all.find((bar) => nameOf(bar) === state.current) ?? all[0];
  for (const bar of all) bar.setAttribute("tabindex", bar === current ? "0" : "-1");
}

function say(event) {
  const bar = event.target.closest?.("#timeline a.bar-link");
  if (!bar) return;
  document.querySelector("#timeline-words").textContent = bar.getAttribute("aria-label");
  if (event.type === "focusin") { state.current = nameOf(bar); stops(); }
}

document.addEventListener("input", (event) => {
  if (event.target.id !== "zoom") return;
  sessionStorage.setItem("zoom", event.target.value);
  zoom();
});
document.addEventListener("scroll", (event) => { if (event.target.matches?.("#timeline .lanes .wide")) state.left = event.target.scrollLeft; }, true);
document.addEventListener("keydown", step);
document.addEventListener("focusin", say);
document.addEventListener("pointerover", say);
document.addEventListener("drawn", () => { zoom(); stops(); });
zoom();
stops();
