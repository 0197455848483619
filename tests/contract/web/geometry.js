// What the tests of the graph ask of the drawing. An object of functions.
({
  // Every line is looked at, point by point: which boxes does it run through?
  crossed() {
    const boxes = [...document.querySelectorAll("#graph a.node")].map((link) => [link.dataset.id, link.querySelector(".box").getBBox()]);
    const found = new Set();
    for (const path of document.querySelectorAll("#graph .loop path, #graph path.edge")) {
      for (let at = 0; at <= path.getTotalLength(); at += 2) {
        const { x, y } = path.getPointAtLength(at);
        for (const [id, box] of boxes) {
          const inside = x > box.x + 1 && x < box.x + box.width - 1 && y > box.y + 1 && y < box.y + box.height - 1;
          if (inside) found.add(`${path.getAttribute("d")} enters ${id}`);
        }
      }
    }
    return [...found];
  },

  // Loops that do not begin and end at the border of their boxes, and words of loops that lie on something.
  loose() {
    const found = [];
    const boxOf = (id) => document.querySelector(`#graph a[data-id="${id}"] .box`).getBBox();
    const near = (one, other) => Math.abs(one - other) < 1.5;
    const touches = (box, { x, y }) => {
      const [right, bottom] = [box.x + box.width, box.y + box.height];
      const within = x > box.x - 1.5 && x < right + 1.5 && y > box.y - 1.5 && y < bottom + 1.5;
      return within && (near(x, box.x) || near(x, right) || near(y, box.y) || near(y, bottom));
    };
    for (const loop of document.querySelectorAll("#graph .loop")) {
      const [, source, target] = /back from (\S+) to (\S+):/.exec(loop.getAttribute("aria-label"));
      const path = loop.querySelector("path");
      if (!touches(boxOf(source), path.getPointAtLength(0))) found.push(`does not begin at ${source}`);
      if (!touches(boxOf(target), path.getPointAtLength(path.getTotalLength()))) found.push(`does not end at ${target}`);
    }
    const words = [...document.querySelectorAll("#graph .loop text")].map((text) => text.getBBox());
    const boxes = [...document.querySelectorAll("#graph .box")].map((box) => box.getBBox());
    const meet = (one, two) => one.x < two.x + two.width && two.x < one.x + one.width && one.y < two.y + two.height && two.y < one.y + one.height;
    words.forEach((word, number) => {
      if (boxes.some((box) => meet(word, box))) found.push(`words ${number} on a box`);
      if (words.some((other, at) => at !== number && meet(word, other))) found.push(`words ${number} on others`);
    });
    return found;
  },

  // Cells that are not inside their box.
  outside(id) {
    const link = document.querySelector(`#graph a[data-id="${id}"]`);
    const box = link.querySelector(".box").getBBox();
    const isIn = (cell) => cell.x >= box.x && cell.x + cell.width <= box.x + box.width && cell.y >= box.y && cell.y + cell.height <= box.y + box.height;
    return [...link.querySelectorAll(".cell rect")].filter((cell) => !isIn(cell.getBBox())).length;
  },

  // How a box tells its state: icon, border, sign and colour.
  look(id) {
    const link = document.querySelector(`#graph a[data-id="${id}"]`);
    const style = (name) => getComputedStyle(link.querySelector(name));
    return [link.querySelector(".glyph").textContent, style(".box").strokeDasharray, style(".sign").fill, style(".box").stroke];
  },

  scale() {
    const svg = document.querySelector("#graph svg");
    return svg.clientWidth / svg.dataset.width;
  },

  scroll() {
    const stage = document.querySelector("#graph-canvas .scroll");
    return [stage.scrollLeft, stage.scrollTop, stage.querySelector("svg").clientWidth];
  },

  // Pixels by which the graph is higher than its place.
  down() {
    const stage = document.querySelector("#graph-canvas .scroll");
    return stage.scrollHeight - stage.clientHeight;
  },

  // Pixels by which the graph is wider than its place.
  over() {
    const stage = document.querySelector("#graph-canvas .scroll");
    return stage.scrollWidth - stage.clientWidth;
  },
})
