// The colours of a matrix, and the painting of as many of its cells as there are.

// Between two colours that the style sheet names, in the order of goodness.
// From the last on all is as it should be: noise is no picture.
const STOPS = [0, 0.35, 0.6, 0.8, 0.93];

function rgb(text) {
  const value = Number.parseInt(text.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

function blend(stops, at) {
  const found = stops.findIndex(([limit]) => limit >= at);
  const next = found < 0 ? stops.length - 1 : Math.max(1, found);
  const [from, a] = stops[next - 1];
  const [to, b] = stops[next];
  const share = clamp((at - from) / (to - from), 0, 1);
  return a.map((channel, index) => Math.round(channel + (b[index] - channel) * share));
}

// The colour of every level, as the bytes of a picture: the page's theme decides.
function palette(view) {
  const names = view.split ? ["split-0", "split-1", "split-2", "split-3", "split-4"] : null;
  const limits = view.split ? [0, 0.3, 0.5, 0.7, 1] : STOPS;
  const stops = limits.map((limit, at) => [limit, rgb(colour(names ? names[at] : `heat-${at}`))]);
  const colours = new Uint32Array(256);
  const bytes_ = new Uint8Array(colours.buffer);
  for (let level = 2; level < 255; level++) {
    bytes_.set([...blend(stops, (level - 2) / 252), 255], level * 4);
  }
  bytes_.set([...rgb(colour("dead")), 255], 4);
  return colours;
}

// Each cell a pixel, in the order that is shown.
function raster(view, order, colours) {
  const size = view.size;
  const canvas = make("canvas", { width: size, height: size });
  const context = canvas.getContext("2d");
  const image = context.createImageData(size, size);
  const pixels = new Uint32Array(image.data.buffer);
  for (let row = 0; row < size; row++) {
    const start = order[row] * size;
    for (let column = 0; column < size; column++) {
      pixels[row * size + column] = colours[view.levels[view.codes[start + order[column]]]];
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

// Where cells are smaller than pixels, a pixel is its worst cell: one bad pair of a million shows.
function pooled(view, order, colours, box, width, height) {
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const worst = new Uint8Array(width * height);
  const { size, codes, levels } = view;
  const across = Int32Array.from({ length: size }, (_, column) =>
    Math.floor(((column + 0.5 - box.x0) / (box.x1 - box.x0)) * width),
  );
  for (let row = Math.floor(box.y0); row < Math.ceil(box.y1) && row < size; row++) {
    const line = Math.floor(((row + 0.5 - box.y0) / (box.y1 - box.y0)) * height);
    if (line < 0 || line >= height) continue;
    for (let column = Math.floor(box.x0); column < Math.ceil(box.x1) && column < size; column++) {
      const at = across[column];
      if (at < 0 || at >= width) continue;
      const level = levels[codes[order[row] * size + order[column]]];
      const pixel = line * width + at;
      // Not measured is 0, and every measured cell is worth more than none.
      if (level && (worst[pixel] === 0 || level < worst[pixel])) worst[pixel] = level;
    }
  }
  for (let pixel = 0; pixel < worst.length; pixel++) pixels[pixel] = colours[worst[pixel]];
  const canvas = make("canvas", { width, height });
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

// What lies under cells that were not measured.
function hatching(context, left, top, width, height, ratio) {
  const tile = make("canvas", { width: 6 * ratio, height: 6 * ratio });
  const pen = tile.getContext("2d");
  pen.strokeStyle = colour("hatch");
  pen.lineWidth = ratio;
  pen.beginPath();
  for (const shift of [-6, 0, 6]) {
    pen.moveTo((shift - 1) * ratio, 7 * ratio);
    pen.lineTo((shift + 7) * ratio, -ratio);
  }
  pen.stroke();
  context.fillStyle = context.createPattern(tile, "repeat");
  context.fillRect(left, top, width, height);
}

function isDark(bytes_) {
  return bytes_[0] * 0.299 + bytes_[1] * 0.587 + bytes_[2] * 0.114 < 140;
}
