// Where the boxes and lines of a graph lie. Pure: data in, numbers out. dagre computes ranks, order and lanes; what is
// wider than the page is broken into bands, as text is into lines. Loops back, and lines between bands, run outside the
// boxes: in the gaps between columns, in the gutters below bands, and in the left margin.
import { Graph, layout } from "/static/vendor/dagre.js";

const GAP = 40; // between columns
const TRACK = 18; // between lines in a gutter
const PAD = 4;
const MARGIN = 60; // left and right of the boxes, for lines between bands
const LABEL = 64; // room for the words of a loop

// sizes: a Map of id to {width, height}; available: the width to fill; `between`: pixels between boxes of a column; `least`:
// the scale down to which a line of boxes is not broken. Returns {boxes, lines, x, width, height, bands}; a box has its middle as x, y.
export function placed(data, sizes, available, { between = 18, least = 0.85 } = {}) {
  const graph = laidOut(data, sizes, between);
  const boxes = new Map();
  for (const { id } of data.nodes) boxes.set(id, { id, ...graph.node(id) });
  const bands = bandsOf(columnsOf(boxes), available / least);
  const routes = routesOf(data, boxes);
  ports(routes);
  const gutters = bands.map(() => []);
  for (const route of routes) tracks(route, gutters);
  const height = stack(bands, gutters, data, graph, boxes);
  const lines = [...inner(data, graph, boxes, bands), ...routes.map((route) => outer(route, gutters))];
  const [low, high] = extent(boxes, routes);
  return { boxes: [...boxes.values()], lines, x: low - PAD, width: high - low + 2 * PAD, height, bands: bands.length };
}

function extent(boxes, routes) {
  const reached = [...boxes.values()].flatMap((box) => [box.x - box.width / 2, box.x + box.width / 2]);
  for (const route of routes) {
    reached.push(route.out.x, route.in.x, ...(route.margin === undefined ? [] : [route.margin]));
    for (const span of route.spans) if (span.labelled) reached.push(span.middle - LABEL / 2, span.middle + LABEL / 2);
  }
  return [Math.min(...reached), Math.max(...reached)];
}

function laidOut(data, sizes, between) {
  const graph = new Graph();
  graph.setGraph({ rankdir: "LR", nodesep: between, edgesep: 12, ranksep: GAP, marginx: 0, marginy: 0 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const { id } of data.nodes) graph.setNode(id, { ...sizes.get(id) });
  for (const [from, to] of data.edges) graph.setEdge(from, to);
  layout(graph);
  if (isReversed(data.nodes.map(({ id }) => graph.node(id)))) {
    for (const { id } of data.nodes) graph.node(id).y *= -1;
    for (const edge of graph.edges()) for (const point of graph.edge(edge).points) point.y *= -1;
  }
  return graph;
}

// Whether most boxes that stand below each other are in the reverse order of the stages.
function isReversed(places) {
  let balance = 0;
  places.forEach((one, number) => {
    for (const two of places.slice(number + 1)) if (Math.abs(one.x - two.x) < 1) balance += Math.sign(one.y - two.y);
  });
  return balance > 0;
}

function columnsOf(boxes) {
  const found = new Map();
  for (const box of boxes.values()) {
    const key = Math.round(box.x);
    if (!found.has(key)) found.set(key, { x: box.x, boxes: [], left: Infinity, right: -Infinity });
    const column = found.get(key);
    column.boxes.push(box);
    column.left = Math.min(column.left, box.x - box.width / 2);
    column.right = Math.max(column.right, box.x + box.width / 2);
    box.column = column;
  }
  return [...found.values()].sort((one, two) => one.x - two.x);
}

// As few bands as fit, and those about equally wide. Each begins at 0.
function bandsOf(columns, available) {
  const broken = (limit) => {
    const bands = [];
    for (const column of columns) {
      const band = bands[bands.length - 1];
      if (band && column.right - band.columns[0].left <= limit) band.columns.push(column);
      else bands.push({ columns: [column] });
    }
    return bands;
  };
  let bands = broken(available - 2 * PAD);
  if (bands.length > 1) bands = broken(available - MARGIN);
  for (let limit = available - MARGIN; limit > 0; limit -= 20) {
    const narrower = broken(limit);
    if (narrower.length > bands.length) break;
    bands = narrower;
  }
  bands.forEach((band, number) => {
    band.shift = -band.columns[0].left;
    for (const column of band.columns) {
      column.left += band.shift;
      column.right += band.shift;
      for (const box of column.boxes) { box.x += band.shift; box.band = number; }
    }
  });
  return bands;
}

// What is not drawn between columns of one band: `leave` and `enter` are the gutters below the band of that number.
function routesOf(data, boxes) {
  const loops = data.loops.map((loop) => {
    const from = boxes.get(loop.source);
    const to = boxes.get(loop.target);
    return { kind: "loop", loop, from, to, leave: from.band === to.band ? from.band : from.band - 1, enter: to.band };
  });
  const edges = data.edges.map(([source, target]) => ({ from: boxes.get(source), to: boxes.get(target) }))
    .filter(({ from, to }) => from.band !== to.band)
    .map(({ from, to }) => ({ kind: "edge", from, to, leave: from.band, enter: to.band - 1 }));
  const routes = [...edges, ...loops];
  routes.filter((route) => route.enter !== route.leave).forEach((route, number) => { route.margin = -36 - 8 * number; });
  return routes;
}

// Where a route leaves its first box and enters its last one: at top or bottom if nothing is between, else at the side,
// through the gap between two columns.
function ports(routes) {
  const used = new Map();
  const count = (key) => { const number = used.get(key) ?? 0; used.set(key, number + 1); return number; };
  const isLast = (box) => !box.column.boxes.some((other) => other !== box && other.y > box.y);
  const isFirst = (box) => !box.column.boxes.some((other) => other !== box && other.y < box.y);
  const spread = (box, number) => Math.min(box.width / 2 - 10, 16 + 9 * number);
  for (const route of routes.filter(({ kind }) => kind === "edge")) {
    route.out = { x: route.from.column.right + 9, side: true, level: 0 };
    route.in = { x: route.to.column.left - 14, side: true, level: 0 };
  }
  for (const route of routes.filter(({ kind }) => kind === "loop")) {
    const { from, to } = route;
    const down = route.leave >= from.band;
    const leaving = count(`${from.id} out`);
    if (down ? isLast(from) : isFirst(from)) route.out = { x: from.x + spread(from, leaving), side: false, down };
    else route.out = { x: from.column.right + 12 + 4 * (count(from.column) % 2), side: true, level: 10 + 6 * leaving };
    const entering = count(`${to.id} in`);
    if (isLast(to)) route.in = { x: to.x - spread(to, entering), side: false };
    else route.in = { x: to.column.left - 18 - 4 * (count(`${to.column.x}`) % 2), side: true, level: 10 + 6 * entering };
  }
}

// The horizontal parts, each in a track of its gutter that is free there. Lines from one box share a track.
function tracks(route, gutters) {
  const spans = route.leave === route.enter ? [[route.leave, route.out.x, route.in.x]]
    : [[route.leave, route.out.x, route.margin], [route.enter, route.margin, route.in.x]];
  route.spans = spans.map(([gutter, one, two], number) => {
    let [low, high] = [Math.min(one, two), Math.max(one, two)];
    const labelled = route.kind === "loop" && number === spans.length - 1;
    if (labelled && high - low < LABEL) [low, high] = [(low + high - LABEL) / 2, (low + high + LABEL) / 2];
    const rows = gutters[gutter];
    const shares = (taken) => route.kind === "edge" && taken.from === route.from;
    let row = rows.findIndex((track) => track.every((taken) => shares(taken) || high + 8 < taken.low || low - 8 > taken.high));
    if (row < 0) { row = rows.length; rows.push([]); }
    rows[row].push({ low, high, from: route.kind === "edge" ? route.from : null });
    return { gutter, row, labelled, middle: (low + high) / 2 };
  });
}

// Gives bands and gutters their heights. Returns the height of all.
function stack(bands, gutters, data, graph, boxes) {
  let top = PAD;
  bands.forEach((band, number) => {
    let low = Infinity;
    let high = -Infinity;
    const see = (one, two) => { low = Math.min(low, one); high = Math.max(high, two); };
    for (const column of band.columns) for (const box of column.boxes) see(box.y - box.height / 2, box.y + box.height / 2);
    for (const [from, to] of data.edges) {
      if (boxes.get(from).band !== number || boxes.get(to).band !== number) continue;
      for (const point of graph.edge(from, to).points) see(point.y, point.y);
    }
    band.down = top - low;
    for (const column of band.columns) for (const box of column.boxes) box.y += band.down;
    top += high - low;
    const rows = gutters[number];
    rows.top = top + 16;
    if (rows.length) top = rows.top + TRACK * (rows.length - 1) + 16;
    else if (number < bands.length - 1) top += 28;
  });
  return top + PAD;
}

// Lines within a band. They bend only in the gaps between columns.
function* inner(data, graph, boxes, bands) {
  for (const [source, target] of data.edges) {
    const from = boxes.get(source);
    const to = boxes.get(target);
    if (from.band !== to.band) continue;
    const band = bands[from.band];
    const points = graph.edge(source, target).points.map((point) => ({ x: point.x + band.shift, y: point.y + band.down }));
    const between = band.columns.filter((column) => column.left > from.column.right && column.right < to.column.left);
    let last = { x: from.x + from.width / 2, y: from.y };
    let path = `M${at(last)}`;
    const bend = (next) => {
      const half = (last.x + next.x) / 2;
      path += next.y === last.y ? `L${at(next)}` : `C${at({ x: half, y: last.y })} ${at({ x: half, y: next.y })} ${at(next)}`;
      last = next;
    };
    for (const column of between) {
      const middle = (column.left + column.right) / 2;
      const y = points.reduce((best, point) => Math.abs(point.x - middle) < Math.abs(best.x - middle) ? point : best).y;
      bend({ x: column.left, y });
      last = { x: column.right, y };
      path += `L${at(last)}`;
    }
    bend({ x: to.x - to.width / 2, y: to.y });
    yield { kind: "edge", path, source, target };
  }
}

// A line through gutters and margin, with round corners.
function outer(route, gutters) {
  const { from, to } = route;
  const y = (span) => gutters[span.gutter].top + TRACK * span.row;
  const points = [];
  if (route.out.side) points.push([from.x + from.width / 2, from.y + route.out.level], [route.out.x, from.y + route.out.level]);
  else points.push([route.out.x, from.y + (route.out.down ? from.height / 2 : -from.height / 2)]);
  points.push([route.out.x, y(route.spans[0])]);
  if (route.spans.length > 1) points.push([route.margin, y(route.spans[0])], [route.margin, y(route.spans[1])]);
  const end = route.spans[route.spans.length - 1];
  points.push([route.in.x, y(end)]);
  if (route.in.side) points.push([route.in.x, to.y + route.in.level], [to.x - to.width / 2, to.y + route.in.level]);
  else points.push([route.in.x, to.y + to.height / 2]);
  const label = { x: end.middle, y: y(end) };
  return { kind: route.kind, path: rounded(points), label, loop: route.loop, source: from.id, target: to.id };
}

function rounded(points) {
  let path = `M${points[0].map(short)}`;
  for (let number = 1; number < points.length - 1; number++) {
    const [before, here, after] = points.slice(number - 1, number + 2);
    const toward = (other) => {
      const far = Math.hypot(other[0] - here[0], other[1] - here[1]) || 1;
      const share = Math.min(7, far / 2) / far;
      return [here[0] + (other[0] - here[0]) * share, here[1] + (other[1] - here[1]) * share].map(short);
    };
    path += `L${toward(before)}Q${here.map(short)} ${toward(after)}`;
  }
  return `${path}L${points[points.length - 1].map(short)}`;
}

function at(point) { return `${short(point.x)},${short(point.y)}`; }
function short(number) { return Math.round(number * 10) / 10; }
