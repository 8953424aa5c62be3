// A heat map by keyboard: from pair to pair, and to those that stand out.

const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

function listenToKeys(map) {
  const acts = {
    "+": () => map.zoom(0.5, ...middle(map)),
    "=": () => map.zoom(0.5, ...middle(map)),
    "-": () => map.zoom(2, ...middle(map)),
    0: () => map.show(map.whole()),
    Escape: () => map.show(map.whole()),
    Home: () => map.go(map.cell?.row ?? 0, 0),
    End: () => map.go(map.cell?.row ?? 0, map.size - 1),
    PageUp: () => map.go((map.cell?.row ?? 0) - 10, map.cell?.column ?? 0),
    PageDown: () => map.go((map.cell?.row ?? 0) + 10, map.cell?.column ?? 0),
    n: () => map.next(),
    N: () => map.next(),
  };
  map.plot.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = STEPS[event.key];
    const act = step ? () => map.step(step, event.shiftKey ? 10 : 1) : acts[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  map.plot.addEventListener("blur", () => {
    map.tip.hidden = true;
  });
}

function middle(map) {
  return map.cell ? [map.cell.column + 0.5, map.cell.row + 0.5] : [];
}

HeatMap.prototype.step = function ([down, across], cells) {
  if (!this.cell) this.go(Math.floor(this.box.y0), Math.floor(this.box.x0));
  else this.go(this.cell.row + down * cells, this.cell.column + across * cells);
};

// Moves to a pair, brings it into sight, and says what is known of it.
HeatMap.prototype.go = function (row, column) {
  this.cell = { row: clamp(row, 0, this.size - 1), column: clamp(column, 0, this.size - 1) };
  const slide = (low, high, at) => {
    const shift = at < low ? at - low : at + 1 > high ? at + 1 - high : 0;
    return [low + shift, high + shift];
  };
  const [x0, x1] = slide(this.box.x0, this.box.x1, this.cell.column);
  const [y0, y1] = slide(this.box.y0, this.box.y1, this.cell.row);
  if (x0 === this.box.x0 && y0 === this.box.y0) this.uplot.redraw(false);
  else this.show({ x0, x1, y0, y1 });
  const left = this.uplot.valToPos(this.cell.column + 0.5, "x");
  const top = this.uplot.valToPos(this.cell.row + 0.5, "y");
  say(this.tell(this.cell.row, this.cell.column, left, top).join(", "));
};

// Goes to a node's row, or a pair, near enough to read it.
HeatMap.prototype.goTo = function (sender, receiver) {
  const row = this.order.indexOf(sender);
  let column = this.order.indexOf(receiver);
  if (column < 0) column = row ? 0 : Math.min(1, this.size - 1);
  const span = Math.min(this.size, 24);
  const from = (at) => clamp(at - span / 2, 0, this.size - span);
  const [x0, y0] = [from(receiver < 0 ? row : column), from(row)];
  this.show({ x0, x1: x0 + span, y0, y1: y0 + span });
  this.plot.scrollIntoView({ block: "center" });
  this.plot.focus({ preventScroll: true });
  this.go(row, receiver < 0 ? Math.ceil(x0) + (Math.ceil(x0) === row ? 1 : 0) : column);
};

// The worst pairs one after another.
HeatMap.prototype.next = function () {
  if (this.sortedFor !== this.view) {
    const { levels, codes } = this.view;
    const found = [];
    for (let limit = 1; limit < 255 && found.length < 50; limit++) {
      for (let at = 0; at < codes.length && found.length < 200; at++) {
        if (levels[codes[at]] === limit) found.push(at);
      }
    }
    Object.assign(this, { worst: found, worstAt: -1, sortedFor: this.view });
  }
  if (!this.worst.length) return;
  this.worstAt = (this.worstAt + 1) % this.worst.length;
  const at = this.worst[this.worstAt];
  const place = (node) => this.order.indexOf(node);
  this.go(place(Math.floor(at / this.size)), place(at % this.size));
};
