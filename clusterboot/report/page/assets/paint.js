// The painting of a heat map's cells into the plot, and of its scale of colours below it.

HeatMap.prototype.paint = function (u) {
  const { ctx, bbox } = u;
  const ratio = uPlot.pxRatio;
  const { x0, x1, y0, y1 } = this.box;
  const across = bbox.width / (x1 - x0);
  const down = bbox.height / (y1 - y0);
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  hatching(ctx, bbox.left, bbox.top, bbox.width, bbox.height, ratio);
  ctx.imageSmoothingEnabled = false;
  if (across < 2) {
    const [width, height] = [Math.round(bbox.width), Math.round(bbox.height)];
    ctx.drawImage(pooled(this.view, this.order, this.colours, this.box, width, height), bbox.left, bbox.top);
  } else {
    this.picture ??= raster(this.view, this.order, this.colours);
    ctx.drawImage(this.picture, x0, y0, x1 - x0, y1 - y0, bbox.left, bbox.top, bbox.width, bbox.height);
  }
  const place = { x: (column) => bbox.left + (column - x0) * across, y: (row) => bbox.top + (row - y0) * down };
  if (across >= 7 * ratio) this.detail(ctx, place, across, down, ratio);
  else this.rings(ctx, place, across, down, ratio);
  if (this.cell) this.outline(ctx, place, across, down, ratio);
  ctx.restore();
  this.marks(ctx, bbox, place, across, down, ratio);
};

// Near enough: gaps between the cells, nothing on the diagonal, a cross on dead ones, and figures.
HeatMap.prototype.detail = function (ctx, place, across, down, ratio) {
  const { x0, x1, y0, y1 } = this.box;
  const gap = Math.max(1, Math.round(ratio));
  const background = colour("page");
  const colours = new Uint8Array(this.colours.buffer);
  const light = colour("on-light");
  const dark = colour("on-dark");
  ctx.textAlign = "center";
  ctx.textBaseline = "middle";
  ctx.font = `${Math.round(Math.min(12, across / ratio / 3.4) * ratio)}px system-ui, sans-serif`;
  for (let row = Math.floor(y0); row < Math.min(this.size, Math.ceil(y1)); row++) {
    for (let column = Math.floor(x0); column < Math.min(this.size, Math.ceil(x1)); column++) {
      const [left, top] = [place.x(column), place.y(row)];
      ctx.fillStyle = background;
      if (row === column) {
        ctx.fillRect(left, top, across, down);
        continue;
      }
      ctx.fillRect(left + across - gap, top, gap, down);
      ctx.fillRect(left, top + down - gap, across, gap);
      const [sender, receiver] = [this.order[row], this.order[column]];
      const level = this.view.levels[this.view.codes[sender * this.size + receiver]];
      if (level === 0) continue;
      ctx.fillStyle = isDark(colours.subarray(level * 4, level * 4 + 3)) ? dark : light;
      const value = this.view.value(sender, receiver);
      if (level === 1) ctx.fillText("✕", left + across / 2, top + down / 2);
      else if (across >= 30 * ratio) ctx.fillText(figure(value), left + across / 2, top + down / 2);
    }
  }
};

// Too far off for a cell to be seen, a ring shows where a finding's link is.
HeatMap.prototype.rings = function (ctx, place, across, down, ratio) {
  const at = (node) => this.order.indexOf(node) + 0.5;
  for (const [sender, receiver] of this.links) {
    for (const [style, line] of [["page", 4.5], ["bad", 2]]) {
      ctx.strokeStyle = colour(style);
      ctx.lineWidth = line * ratio;
      ctx.beginPath();
      ctx.arc(place.x(at(receiver)), place.y(at(sender)), 7 * ratio, 0, 2 * Math.PI);
      ctx.stroke();
    }
  }
};

HeatMap.prototype.outline = function (ctx, place, across, down, ratio) {
  const [left, top] = [place.x(this.cell.column), place.y(this.cell.row)];
  const [width, height] = [Math.max(across, 5 * ratio), Math.max(down, 5 * ratio)];
  for (const [style, line] of [["page", 5], ["text", 2.5]]) {
    ctx.strokeStyle = colour(style);
    ctx.lineWidth = line * ratio;
    ctx.strokeRect(left, top, width, height);
  }
};

// The names of rows and columns, and a bar at those of a node that a finding names.
HeatMap.prototype.marks = function (ctx, bbox, place, across, down, ratio) {
  const { x0, x1, y0, y1 } = this.box;
  const named = (at) => this.bad.has(this.order[at]);
  const bar = 3 * ratio;
  ctx.save();
  ctx.textBaseline = "middle";
  ctx.fillStyle = colour("bad");
  this.order.forEach((_, at) => {
    if (!named(at)) return;
    const [width, height] = [Math.max(across, 3 * ratio), Math.max(down, 3 * ratio)];
    if (at + 1 > y0 && at < y1) ctx.fillRect(bbox.left - bar - ratio, place.y(at), bar, height);
    if (at + 1 > x0 && at < x1) ctx.fillRect(place.x(at), bbox.top - bar - ratio, width, bar);
  });
  const write = (at, left, top, turn) => {
    ctx.save();
    ctx.translate(left, top);
    ctx.rotate(turn);
    ctx.fillStyle = colour(named(at) ? "bad" : "faint");
    ctx.font = FONT.replace("11px", `${named(at) ? "bold " : ""}${11 * ratio}px`);
    ctx.fillText(this.labels[this.order[at]], 0, 0);
    ctx.restore();
  };
  const label = (low, high, span, width) => ticks(low, high, span / ratio, width, named);
  ctx.textAlign = "right";
  for (const at of label(y0, y1, bbox.height, 15)) write(at, bbox.left - 7 * ratio, place.y(at + 0.5), 0);
  ctx.textAlign = this.upright ? "left" : "center";
  const [above, turn] = this.upright ? [8 * ratio, -Math.PI / 2] : [12 * ratio, 0];
  for (const at of label(x0, x1, bbox.width, 15)) write(at, place.x(at + 0.5), bbox.top - above, turn);
  ctx.restore();
};

HeatMap.prototype.paintLegend = function () {
  const width = 253;
  const bar = make("canvas", { width, height: 1, class: "ramp", "aria-hidden": "true" });
  const context = bar.getContext("2d");
  const image = context.createImageData(width, 1);
  new Uint32Array(image.data.buffer).set(this.colours.subarray(2, 2 + width));
  context.putImageData(image, 0, 0);
  const { view } = this;
  let ends = ["0", figure(view.full)];
  if (view.low) ends = [`many times ${figure(view.full)}`, figure(view.full)];
  if (view.split) ends = [`≤ ${figure(view.full / 2)}`, `≥ ${figure(view.full * 1.5)}`];
  const swatch = (name, words) => make("span", { class: "swatch" }, make("i", { class: name }), words);
  const usual = view.unit === "%" ? "" : ", the usual best";
  this.legend.replaceChildren(
    make("span", {}, ends[0]),
    bar,
    make("span", {}, `${ends[1]} ${view.unit}${usual}`),
    swatch("dead", "dead"),
    swatch("hatch", "not measured"),
  );
  if (this.bad.size) this.legend.append(swatch("named", "named in a finding"));
};
