// Draws the stages of a run. What it shows stands in words in the list that it replaces. The drawing is kept while the
// page is patched (`data-keep`); at `drawn` it follows the data, and keeps zoom, scroll, focus and selection.
import { placed } from "/static/routes.js";
import "/static/timeline.js";

const SVG = "http://www.w3.org/2000/svg";
const NARROW = 640; // px: below, the list is shown
const [HEIGHT, DENSE] = [62, 46]; // px; the second where many boxes stand below each other
const CELL = 13;
const [LEAST, MOST] = [0.3, 4]; // zoom
const state = { zoom: 1, drawn: "", width: 0, fit: 1, full: false };
const pen = document.createElement("canvas").getContext("2d");

function made(name, attributes, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

// --- boxes ---

const BOLD = "700 13px system-ui, sans-serif";
const SMALL = "11px system-ui, sans-serif";
const WORD = `600 ${SMALL}`;

function wide(text, font) {
  pen.font = font;
  return pen.measureText(text).width;
}

function cut(text, font, room) {
  if (wide(text, font) <= room) return text;
  let kept = text;
  while (kept.length > 1 && wide(`${kept}…`, font) > room) kept = kept.slice(0, -1);
  return `${kept}…`;
}

// Whether many boxes stand below each other: then all are lower, and closer.
function isDense(nodes) {
  const levels = new Map();
  for (const node of nodes) levels.set(node.id, 1 + Math.max(-1, ...node.needs.map((need) => levels.get(need))));
  const counts = [...levels.values()].map((level) => [...levels.values()].filter((other) => other === level).length);
  return Math.max(...counts) > 7;
}

function footOf(node) { return [node.worker, node.detail].filter(Boolean).join(" · "); }

function sizesOf(nodes, dense) {
  const widest = (of) => Math.max(...nodes.map(of));
  const names = widest((node) => wide(node.id, BOLD) + 44);
  const foot = dense ? (node) => wide(node.word, WORD) + wide(footOf(node), SMALL) + 54 : (node) => Math.max(wide(node.word, WORD) + 44, wide(footOf(node), SMALL) + 20);
  const width = Math.ceil(Math.min(190, Math.max(116, names, widest(foot))));
  return new Map(nodes.map((node) => [node.id, { width, height: (dense ? DENSE : HEIGHT) + cellsHeight(node, width) }]));
}

function perRow(width) { return Math.floor((width - 20) / (CELL + 3)); }

function cellsHeight(node, width) {
  if (!node.cells.length) return 0;
  return (CELL + 3) * Math.ceil(node.cells.length / perRow(width)) + (node.more ? 14 : 4);
}

function wordsOf(node) {
  const items = node.cells.length ? `${node.cells.length + node.more} items` : "";
  return [`${node.id}: ${node.word}`, node.detail, node.worker && `by ${node.worker}`, items].filter(Boolean).join(", ");
}

function boxOf(node, place, dense) {
  const { width, height } = place;
  const left = place.x - width / 2;
  const top = place.y - height / 2;
  const link = made("a", { href: `#stage-${node.id}`, class: `node tone ${node.phase}`, "aria-label": wordsOf(node), "data-id": node.id, draggable: "false" });
  link.append(
    made("title", {}, wordsOf(node)),
    made("rect", { class: "box", x: left, y: top, width, height, rx: 6 }),
    made("circle", { class: "sign", cx: left + 19, cy: top + 22, r: 10 }),
    made("text", { class: "glyph", x: left + 19, y: top + 26.5 }, node.icon),
    made("text", { class: "name", x: left + 35, y: top + 19 }, cut(node.id, BOLD, width - 43)),
    made("text", { class: "word", x: left + 35, y: top + 35 }, cut(node.word, WORD, width - 43)),
  );
  const [x, y] = dense ? [left + 35 + wide(node.word, WORD) + 8, top + 35] : [left + 10, top + 53];
  link.append(made("text", { class: "foot", x, y }, cut(footOf(node), SMALL, left + width - 8 - x)));
  const across = perRow(width);
  node.cells.forEach((cell, number) => {
    const x = left + 10 + (CELL + 3) * (number % across);
    const y = top + (dense ? DENSE : HEIGHT) + (CELL + 3) * Math.floor(number / across);
    const box = made("g", { class: `cell tone ${cell.phase}`, "data-anchor": cell.anchor }, made("title", {}, `${cell.item}: ${cell.word}`));
    box.append(made("rect", { x, y, width: CELL, height: CELL, rx: 2 }), made("text", { x: x + CELL / 2, y: y + 10 }, cell.icon));
    link.append(box);
  });
  if (node.more) link.append(made("text", { class: "foot", x: left + 10, y: top + height - 5 }, `and ${node.more} more`));
  return link;
}

function lineOf(line) {
  if (line.kind === "edge") return made("path", { class: "edge", d: line.path, "marker-end": "url(#arrow)", "data-from": line.source, "data-to": line.target });
  const { source, target, used, most } = line.loop;
  const group = made("g", { class: used ? "loop used" : "loop", role: "img", "aria-label": `back from ${source} to ${target}: ${used} of ${most}` });
  group.append(made("path", { d: line.path, "marker-end": used ? "url(#arrow-used)" : "url(#arrow)" }));
  group.append(made("text", { x: line.label.x, y: line.label.y + 4 }, `↩ ${used} of ${most}`));
  return group;
}

function arrow(id) {
  const marker = made("marker", { id, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto-start-reverse" });
  marker.append(made("path", { d: "M0,0 L8,4 L0,8 z" }));
  return marker;
}

// --- drawing ---

function draw() {
  const canvas = document.querySelector("#graph-canvas");
  const text = document.querySelector("#graph-data")?.textContent;
  if (!canvas || !text) return;
  const width = canvas.clientWidth || canvas.parentElement.clientWidth;
  canvas.classList.toggle("drawn", innerWidth >= NARROW);
  if (innerWidth < NARROW) { canvas.replaceChildren(); state.drawn = ""; return; }
  const stage = canvas.querySelector(".scroll") ?? furnished(canvas);
  const old = stage.querySelector("svg");
  if (old && state.drawn === text && state.width === width) return;
  const data = JSON.parse(text);
  const focused = document.activeElement?.closest?.("#graph-canvas a.node")?.dataset.id;
  const [x, y] = old ? [stage.scrollLeft, stage.scrollTop] : [state.x ?? 0, state.y ?? 0];
  const svg = picture(data, stage.clientWidth);
  if (old) old.replaceWith(svg); else stage.append(svg);
  Object.assign(state, { drawn: text, width });
  zoomTo(state.zoom);
  stage.scrollTo(x, y);
  select();
  if (focused) stage.querySelector(`a[data-id="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}

function picture(data, width) {
  const dense = isDense(data.nodes);
  const sizes = sizesOf(data.nodes, dense);
  let plan;
  for (const least of [0.85, 0.72]) { // smaller before it is higher than the window
    plan = placed(data, sizes, width, { between: dense ? 8 : 18, least });
    state.fit = Math.min(1, width / plan.width);
    if (plan.height * state.fit <= 0.8 * innerHeight) break;
  }
  const svg = made("svg", { viewBox: `${plan.x} 0 ${plan.width} ${plan.height}`, role: "group", "aria-label": "The stages, and what follows what" });
  svg.dataset.width = plan.width;
  svg.dataset.height = plan.height;
  svg.append(arrow("arrow"), arrow("arrow-used"), ...plan.lines.map(lineOf));
  const nodes = new Map(data.nodes.map((node) => [node.id, node]));
  svg.append(...plan.boxes.map((place) => boxOf(nodes.get(place.id), place, dense)));
  return svg;
}

function furnished(canvas) {
  const bar = document.createElement("p");
  bar.className = "tools";
  bar.setAttribute("role", "group");
  bar.setAttribute("aria-label", "Zoom of the graph");
  const button = (text, says, act) => {
    const one = document.createElement("button");
    one.type = "button";
    one.textContent = text;
    one.setAttribute("aria-label", says);
    one.title = says;
    one.addEventListener("click", act);
    bar.append(one);
    return one;
  };
  button("−", "Zoom out", () => zoomTo(state.zoom / 1.25));
  button("+", "Zoom in", () => zoomTo(state.zoom * 1.25));
  button("Fit", "Fit the graph to the width", () => zoomTo(1));
  button("Full window", "Show the graph in the full window", () => fill(!state.full)).id = "graph-full";
  const stage = document.createElement("div");
  stage.className = "scroll";
  stage.tabIndex = 0;
  stage.setAttribute("role", "region");
  stage.setAttribute("aria-label", "Graph; + and - zoom, 0 fits it to the width, arrows scroll");
  canvas.replaceChildren(bar, stage);
  moved(stage);
  return stage;
}

// --- zoom, pan, selection ---

function zoomTo(zoom, at) {
  const stage = document.querySelector("#graph-canvas .scroll");
  const svg = stage?.querySelector("svg");
  if (!svg) return;
  const before = svg.clientWidth || svg.getBoundingClientRect().width;
  const box = stage.getBoundingClientRect();
  const [x, y] = at ? [at.clientX - box.left, at.clientY - box.top] : [stage.clientWidth / 2, stage.clientHeight / 2];
  state.zoom = Math.min(MOST, Math.max(LEAST, Math.abs(zoom - 1) < 0.06 ? 1 : zoom));
  const scale = state.fit * state.zoom;
  svg.setAttribute("width", svg.dataset.width * scale);
  svg.setAttribute("height", svg.dataset.height * scale);
  if (!before) return;
  const grown = (svg.dataset.width * scale) / before;
  stage.scrollTo((stage.scrollLeft + x) * grown - x, (stage.scrollTop + y) * grown - y);
}

function fill(full) {
  state.full = full;
  document.querySelector("#graph-canvas").classList.toggle("full", full);
  const button = document.querySelector("#graph-full");
  button.textContent = full ? "Close" : "Full window";
  button.setAttribute("aria-label", full ? "Close the full window" : "Show the graph in the full window");
  state.drawn = "";
  draw();
}

function moved(stage) {
  stage.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    zoomTo(state.zoom * Math.exp(-event.deltaY / 400), event);
  }, { passive: false });
  stage.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const acts = { "+": () => zoomTo(state.zoom * 1.25), "=": () => zoomTo(state.zoom * 1.25), "-": () => zoomTo(state.zoom / 1.25), 0: () => zoomTo(1) };
    if (!acts[event.key]) return;
    event.preventDefault();
    acts[event.key]();
  });
  stage.addEventListener("scroll", () => { state.x = stage.scrollLeft; state.y = stage.scrollTop; });
  stage.addEventListener("dragstart", (event) => event.preventDefault());
  let from = null;
  stage.addEventListener("pointerdown", (event) => {
    if (event.button === 0 && event.pointerType === "mouse") from = { x: event.clientX, y: event.clientY, left: stage.scrollLeft, top: stage.scrollTop, far: false };
  });
  addEventListener("pointermove", (event) => {
    if (!from) return;
    const [x, y] = [event.clientX - from.x, event.clientY - from.y];
    from.far ||= Math.hypot(x, y) > 4;
    if (from.far) stage.scrollTo(from.left - x, from.top - y);
  });
  addEventListener("pointerup", () => { const was = from; from = null; if (was?.far) suppressed(stage); });
  stage.addEventListener("click", (event) => {
    const id = event.target.closest("a.node")?.dataset.id;
    if (id) opened(id);
    const anchor = event.target.closest(".cell")?.dataset.anchor;
    if (!anchor || event.ctrlKey || event.metaKey) return;
    event.preventDefault(); // the box leads to the stage, its cell to the item
    location.hash = anchor;
  });
}

// A drag that ends on a box is no click.
function suppressed(stage) {
  const stop = (event) => { event.preventDefault(); event.stopPropagation(); };
  stage.addEventListener("click", stop, { capture: true, once: true });
  setTimeout(() => stage.removeEventListener("click", stop, { capture: true }));
}

// As a person opens it: by its summary, so that an update of the page leaves it open.
function opened(id) {
  if (state.full) fill(false);
  for (let item = document.getElementById(`stage-${id}`); item; item = item.parentElement?.closest("details")) {
    if (item.tagName === "DETAILS" && !item.open) item.querySelector("summary")?.click();
  }
}

function chosen() {
  try { return /^#stage-(.+)/.exec(decodeURIComponent(location.hash))?.[1]; } catch { return undefined; }
}

function select() {
  const id = chosen();
  for (const link of document.querySelectorAll("#graph-canvas a.node")) {
    if (link.dataset.id === id) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

document.addEventListener("drawn", draw);
addEventListener("hashchange", select);
addEventListener("resize", draw);
addEventListener("keydown", (event) => { if (event.key === "Escape" && state.full) fill(false); });
document.addEventListener("click", (event) => {
  const link = event.target.closest?.(".outline a[href^='#']");
  if (!link) return;
  const own = link.closest(".cells") ? link.closest(".outline > li").querySelector("a") : link;
  opened(own.getAttribute("href").slice("#stage-".length));
});
draw();
if (chosen()) opened(chosen());
