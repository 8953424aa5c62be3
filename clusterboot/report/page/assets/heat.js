// A heat map: uPlot has the axes, the scales, the cursor and the zoom; the cells are painted in.

class HeatMap {
  // The first view is enough to begin with; the others follow.
  static async of(host, spec) {
    const view = async (each) => new View(each, await unpack(each.codes), spec.nodes.length);
    const map = new HeatMap(host, spec, await view(spec.views[0]));
    map.rest = Promise.all(spec.views.slice(1).map(view)).then((views) => map.views.push(...views));
    return map;
  }

  constructor(host, spec, view) {
    Object.assign(this, { host, names: spec.nodes, views: [view], view, bad: new Set(spec.bad) });
    this.links = spec.links;
    this.titles = spec.views.map((each) => each.label);
    this.size = this.names.length;
    this.labels = shortened(this.names);
    this.order = Int32Array.from(this.names, (_, at) => at);
    this.box = this.whole();
    this.cell = null;
    this.frame();
    this.draw();
  }

  whole() {
    return { x0: 0, x1: this.size, y0: 0, y1: this.size };
  }

  // The parts around the plot, made once.
  frame() {
    const select = (label, choices, change) => {
      const list = make("select", { "aria-label": label });
      choices.forEach((choice, at) => list.append(make("option", { value: at }, choice)));
      list.addEventListener("change", () => change(Number(list.value)));
      return list;
    };
    const button = (sign, label, act) => {
      const made = make("button", { type: "button", "aria-label": label, title: label }, sign);
      made.addEventListener("click", act);
      return made;
    };
    const tools = make("div", { class: "tools" });
    if (this.titles.length > 1) tools.append(select("What is shown", this.titles, (at) => this.choose(at)));
    tools.append(
      select("Order of the nodes", ["in the order of the nodes", "the slowest first"], (at) => this.sort(at === 1)),
      button("+", "Zoom in", () => this.zoom(0.5)),
      button("−", "Zoom out", () => this.zoom(2)),
      button("All", "Show all", () => this.show(this.whole())),
    );
    this.legend = make("div", { class: "scale" });
    this.plot = make("div", {
      class: "plot",
      tabindex: 0,
      role: "application",
      "aria-roledescription": "heat map",
      "aria-label":
        `${this.size} nodes; a row sends, a column receives. Arrow keys move from pair to pair, ` +
        "with Shift by ten, N to the next pair that stands out, + and - zoom, 0 shows all.",
    });
    this.tip = make("div", { class: "tip", hidden: "" });
    this.host.append(tools, this.plot, this.legend);
    listenToKeys(this);
  }

  draw() {
    this.colours = palette(this.view);
    this.picture = null;
    this.paintLegend();
    this.uplot?.destroy();
    const room = Math.min(this.host.clientWidth, 760);
    const most = room < 480 ? 72 : 150;
    const axis = Math.ceil(Math.min(most, widest(this.labels)) + 12);
    const span = room - axis - 2;
    // Labels stand upright where they would touch.
    this.upright = axis > span / this.size;
    const above = this.upright ? axis : 24;
    const ends = (_, min, max) => (min === null ? [0, this.size] : [min, max]);
    // The room for the labels, which are painted with the cells: those of bad nodes stand out.
    const bare = { grid: { show: false }, ticks: { show: false }, splits: () => [], values: () => [] };
    this.uplot = new uPlot(
      {
        width: room,
        height: span + above + 2,
        padding: [0, 2, 2, 0],
        legend: { show: false },
        scales: {
          x: { time: false, auto: false, range: ends },
          y: { auto: false, dir: -1, range: ends },
        },
        series: [{}, { paths: () => null, points: { show: false } }],
        axes: [
          { ...bare, side: 0, size: above },
          { ...bare, side: 3, size: axis },
        ],
        cursor: {
          points: { show: false },
          drag: { x: true, y: true, dist: 6 },
          bind: { dblclick: () => () => this.show(this.whole()) },
        },
        hooks: {
          draw: [(u) => this.paint(u)],
          setCursor: [(u) => this.hover(u)],
          setScale: [() => this.zoomed()],
        },
      },
      [[0, this.size], [null, null]],
      this.plot,
    );
    this.uplot.over.append(this.tip);
    this.uplot.over.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.show(this.box);
  }

  async choose(at) {
    await this.rest;
    this.view = this.views[at];
    this.draw();
  }

  sort(slowestFirst) {
    const worth = this.names.map((_, node) => this.worth(node));
    const order = [...this.names.keys()];
    if (slowestFirst) order.sort((a, b) => worth[a] - worth[b] || a - b);
    this.order = Int32Array.from(order);
    this.draw();
  }

  // How good a node's pairs are in all, both ways.
  worth(node) {
    let [sum, count] = [0, 0];
    for (let other = 0; other < this.size; other++) {
      for (const at of [node * this.size + other, other * this.size + node]) {
        const level = this.view.levels[this.view.codes[at]];
        sum += level;
        count += level > 0;
      }
    }
    return count ? sum / count : 0;
  }

  show({ x0, x1, y0, y1 }) {
    this.uplot.batch(() => {
      this.uplot.setScale("x", { min: x0, max: x1 });
      this.uplot.setScale("y", { min: y0, max: y1 });
    });
  }

  zoomed() {
    const { x, y } = this.uplot?.scales ?? {};
    if (!x || x.min === null || y.min === null) return;
    this.box = { x0: x.min, x1: x.max, y0: y.min, y1: y.max };
  }

  // Shows so many times as much as now, around a place in cells; all stays within the matrix.
  zoom(factor, x = (this.box.x0 + this.box.x1) / 2, y = (this.box.y0 + this.box.y1) / 2) {
    const around = (low, high, centre) => {
      const span = clamp((high - low) * factor, Math.min(4, this.size), this.size);
      const start = clamp(centre - ((centre - low) / (high - low)) * span, 0, this.size - span);
      return [start, start + span];
    };
    const [x0, x1] = around(this.box.x0, this.box.x1, x);
    const [y0, y1] = around(this.box.y0, this.box.y1, y);
    this.show({ x0, x1, y0, y1 });
  }

  // A plain wheel scrolls the page, until the map has been chosen.
  wheel(event) {
    if (!event.ctrlKey && !event.metaKey && document.activeElement !== this.plot) return;
    event.preventDefault();
    const { left, top } = this.uplot.cursor;
    this.zoom(event.deltaY > 0 ? 1.25 : 0.8, this.uplot.posToVal(left, "x"), this.uplot.posToVal(top, "y"));
  }

  hover(u) {
    const { left, top } = u.cursor;
    if (left === null || left < 0) {
      this.tip.hidden = true;
      return;
    }
    const inside = (value) => clamp(Math.floor(value), 0, this.size - 1);
    this.tell(inside(u.posToVal(top, "y")), inside(u.posToVal(left, "x")), left, top);
  }

  // Shows what is known of the pair in a row and a column, beside a place in the plot.
  tell(row, column, left, top) {
    const lines = this.lines(this.order[row], this.order[column]);
    this.tip.replaceChildren(...lines.map((line, at) => make(at ? "div" : "strong", {}, line)));
    this.tip.hidden = false;
    const { clientWidth: width, clientHeight: height } = this.uplot.over;
    const right = left + 14 + this.tip.offsetWidth > width;
    this.tip.style.left = `${Math.max(0, right ? left - 14 - this.tip.offsetWidth : left + 14)}px`;
    this.tip.style.top = `${clamp(top + 14, 0, Math.max(0, height - this.tip.offsetHeight))}px`;
    return lines;
  }

  lines(sender, receiver) {
    if (sender === receiver) return [`${this.names[sender]} to itself`];
    const back = this.view.words(receiver, sender);
    const shown = [this.view, ...this.views.filter((view) => view !== this.view)];
    return [
      `${this.names[sender]} → ${this.names[receiver]}`,
      ...shown.map((view) => `${view.label}: ${view.words(sender, receiver)}`),
      `the other way, ${this.view.label}: ${back}`,
    ];
  }
}

// Names without what all of them share at the end, and short enough for an axis.
function shortened(names) {
  const domain = names[0].slice(names[0].indexOf("."));
  const shared = names[0].includes(".") && names.every((name) => name.endsWith(domain) && name !== domain);
  const bare = shared ? names.map((name) => name.slice(0, -domain.length)) : names;
  // What tells names apart is more often at their end.
  return bare.map((name) => (name.length > 20 ? `${name.slice(0, 7)}…${name.slice(-12)}` : name));
}

function widest(labels) {
  const pen = make("canvas").getContext("2d");
  pen.font = `bold ${FONT}`;
  return Math.max(...labels.map((label) => pen.measureText(label).width));
}

// Which nodes' labels have room: those that are named first, then evenly spaced ones between.
function ticks(low, high, span, space, named) {
  const cell = span / (high - low);
  const [first, last] = [Math.max(0, Math.ceil(low - 0.5)), Math.floor(high - 0.5)];
  let step = 1;
  while (step * cell < space) step *= 2;
  const taken = [];
  const take = (at) => {
    if (at >= first && at <= last && taken.every((other) => Math.abs(other - at) * cell >= space)) taken.push(at);
  };
  for (let at = first; at <= last; at++) if (named(at)) take(at);
  for (let at = Math.ceil(first / step) * step; at <= last; at += step) take(at);
  return taken;
}
