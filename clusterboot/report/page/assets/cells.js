// Matrices as they are packed in the page: two bytes a cell, a fixed ratio between neighbours.

const NOT_MEASURED = 65535;
const DEAD = 65534;

async function unpack(text) {
  const plain = atob(text);
  const packed = new Uint8Array(plain.length);
  for (let at = 0; at < plain.length; at++) packed[at] = plain.charCodeAt(at);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const planes = new Uint8Array(await new Response(stream).arrayBuffer());
  const count = planes.length / 2;
  const codes = new Uint16Array(count);
  for (let at = 0; at < count; at++) codes[at] = planes[at] | (planes[count + at] << 8);
  return codes;
}

// One thing that a heat map can show. Its values come as figures, or as levels of colour:
// 0 not measured, 1 dead, 2 to 254 from worst to best.
class View {
  constructor(spec, codes, size) {
    Object.assign(this, { label: spec.label, unit: spec.unit, full: spec.full, low: spec.low });
    Object.assign(this, { split: Boolean(spec.split), codes, size });
    this.values = new Float64Array(65536);
    for (let code = 0; code < DEAD; code++) this.values[code] = spec.floor * Math.exp(code * spec.step);
    this.values[DEAD] = 0;
    this.values[NOT_MEASURED] = NaN;
    this.levels = Uint8Array.from(this.values, (value, code) => this.level(value, code));
  }

  level(value, code) {
    if (code === NOT_MEASURED) return 0;
    if (code === DEAD) return 1;
    return 2 + Math.round(252 * this.goodness(value));
  }

  // 1 is as good as the usual best, 0 the worst; of a change 0.5 is none, 0 a half or less.
  goodness(value) {
    if (this.split) return clamp(value / this.full - 0.5, 0, 1);
    return clamp(this.low ? this.full / value : value / this.full, 0, 1);
  }

  value(row, column) {
    return this.values[this.codes[row * this.size + column]];
  }

  words(row, column) {
    const value = this.value(row, column);
    if (Number.isNaN(value)) return "not measured";
    return value === 0 ? "dead" : `${figure(value)} ${this.unit}`;
  }
}
