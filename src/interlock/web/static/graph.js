// Draws the stages of a run, laid out by dagre. What it shows stands in words below it.
import { Graph, layout } from "/static/vendor/dagre.js";

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 50;
const MARGIN = 14;

function made(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

function saysOf(node) {
  return [node.says, node.detail].filter(Boolean).join(", ");
}

function laidOut(said, across) {
  const graph = new Graph();
  graph.setGraph({ rankdir: across ? "LR" : "TB", nodesep: 26, ranksep: 46, marginx: MARGIN, marginy: MARGIN });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const node of said.nodes) {
    const width = Math.max(110, 24 + 8.2 * node.id.length, 24 + 6.1 * saysOf(node).length);
    graph.setNode(node.id, { width: Math.min(320, width), height: HEIGHT });
  }
  for (const [from, to] of said.edges) graph.setEdge(from, to);
  layout(graph);
  return graph;
}

function path(points) {
  return points.map((point, number) => `${number ? "L" : "M"}${point.x.toFixed(1)},${point.y.toFixed(1)}`).join(" ");
}

function boxOf(node, place) {
  const link = made("a", { href: `#stage-${node.id}`, class: `node ${node.phase}`, "aria-label": `${node.id}: ${node.says}` });
  const left = place.x - place.width / 2;
  const top = place.y - HEIGHT / 2;
  link.append(
    made("rect", { x: left, y: top, width: place.width, height: HEIGHT, rx: 6 }),
    made("text", { x: place.x, y: top + 20, class: "name" }, node.id),
    made("text", { x: place.x, y: top + 38, class: "says" }, saysOf(node)),
  );
  link.addEventListener("click", () => { document.getElementById(`stage-${node.id}`).open = true; });
  return link;
}

// A loop back leaves the layout alone: an arc beside the boxes.
function loopOf(loop, graph, across, number) {
  const from = graph.node(loop.from);
  const to = graph.node(loop.to);
  const away = 26 + 12 * number;
  const [start, end, control, label] = across
    ? [[from.x, from.y + HEIGHT / 2], [to.x, to.y + HEIGHT / 2], [(from.x + to.x) / 2, Math.max(from.y, to.y) + HEIGHT / 2 + 2 * away], 0]
    : [[from.x + from.width / 2, from.y], [to.x + to.width / 2, to.y], [Math.max(from.x + from.width / 2, to.x + to.width / 2) + 2 * away, (from.y + to.y) / 2], 0];
  const group = made("g", { class: loop.gone ? "loop gone" : "loop" });
  group.append(made("path", { d: `M${start} Q${control} ${end}`, "marker-end": "url(#arrow)" }));
  const middle = [0, 1].map((axis) => (start[axis] + 2 * control[axis] + end[axis]) / 4 + (axis === 1 ? across * 16 : label));
  group.append(made("text", { x: middle[0], y: middle[1] }, `back, ${loop.gone} of ${loop.max}`));
  return group;
}

function draw() {
  const place = document.querySelector("#graph");
  if (!place) return;
  const said = JSON.parse(place.querySelector("script").textContent);
  const across = place.clientWidth > 640;
  const graph = laidOut(said, across);
  const size = graph.graph();
  const depth = said.loops.length ? 40 + 12 * said.loops.length : 0;
  const width = size.width + (across ? 0 : depth + 30);
  const height = size.height + (across ? depth : 0);
  const svg = made("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "group", "aria-label": "The stages and what follows what" });
  const marker = made("marker", { id: "arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto-start-reverse" });
  marker.append(made("path", { d: "M0,0 L8,4 L0,8 z" }));
  svg.append(marker);
  for (const edge of graph.edges()) svg.append(made("path", { class: "edge", d: path(graph.edge(edge).points), "marker-end": "url(#arrow)" }));
  said.loops.forEach((loop, number) => svg.append(loopOf(loop, graph, across, number)));
  for (const node of said.nodes) svg.append(boxOf(node, graph.node(node.id)));
  place.querySelector("svg")?.remove();
  place.append(svg);
}

function zoom() {
  const slider = document.querySelector("#zoom");
  const axis = document.querySelector(".axis");
  if (!slider || !axis) return;
  const apply = () => { axis.style.width = `${100 * slider.value}%`; sessionStorage.setItem("zoom", slider.value); };
  slider.value = sessionStorage.getItem("zoom") ?? "1";
  slider.addEventListener("input", apply);
  apply();
}

function all() { draw(); zoom(); }
document.addEventListener("drawn", all);
let width = innerWidth;
addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; draw(); } });
all();
