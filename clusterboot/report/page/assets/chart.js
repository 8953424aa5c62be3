// Lines over message sizes or over time.

const STYLES = {
  line: { width: 2, points: { size: 5 } },
  expected: { width: 2, dash: [8, 5], points: { show: false } },
  baseline: { width: 1.5, dash: [2, 4], points: { show: false } },
};

function chart(host, spec) {
  const byBytes = spec.scale === "bytes";
  // A logarithmic axis has no place for nothing.
  const kept = spec.x.map((_, at) => at).filter((at) => !byBytes || spec.x[at] > 0);
  const pick = (values) => kept.map((at) => values[at]);
  const width = Math.max(260, host.clientWidth);
  const axis = { font: FONT, stroke: colour("faint"), grid: { stroke: colour("line"), width: 1 }, ticks: { show: false } };
  const text = byBytes ? (u, at) => (at === null ? "–" : bytes(at)) : "{YYYY}-{MM}-{DD} {HH}:{mm}";
  let next = 0;
  const series = spec.lines.map((line) => ({
    ...STYLES[line.kind],
    label: line.label,
    stroke: colour(line.kind === "line" ? `line-${next++ % 6}` : "faint"),
    spanGaps: true,
    value: (u, value) => (value === null || value === undefined ? "–" : `${figure(value)} GB/s`),
  }));
  const sizes = (u, _, min, max) => {
    const [low, high] = [Math.ceil(Math.log2(min)), Math.floor(Math.log2(max))];
    const step = Math.max(1, Math.ceil((high - low + 1) / (u.bbox.width / uPlot.pxRatio / 56)));
    return Array.from({ length: Math.floor((high - low) / step) + 1 }, (_unused, at) => 2 ** (low + at * step));
  };
  const x = byBytes
    ? { ...axis, splits: sizes, values: (u, splits) => splits.map(bytes) }
    : { ...axis, space: 80 };
  const u = new uPlot(
    {
      width,
      height: Math.round(clamp(width * 0.5, 200, 300)),
      padding: [10, 14, 0, 0],
      scales: {
        x: byBytes ? { time: false, distr: 3, log: 2, range: spread } : { time: true, range: aside },
        y: { range: (_, min, max) => [0, (max || 1) * 1.08] },
      },
      series: [{ label: byBytes ? "size" : "started", value: text }, ...series],
      axes: [x, { ...axis, size: 52, values: (_, splits) => splits.map(figure) }],
      cursor: { y: false, drag: { x: true, y: false } },
      legend: { live: true },
    },
    [pick(spec.x), ...spec.lines.map((line) => pick(line.y))],
    host,
  );
  let at = -1;
  host.onkeydown = (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    at = clamp(at + step, 0, kept.length - 1);
    u.setCursor({ left: u.valToPos(u.data[0][at], "x"), top: 10 });
    const head = byBytes ? bytes(u.data[0][at]) : new Date(u.data[0][at] * 1000).toISOString().slice(0, 16);
    const values = spec.lines.map((line, index) => `${line.label} ${figure(u.data[index + 1][at])}`);
    say([head, ...values].join(", "));
  };
  return u;
}

// A single size is a place in the middle, no axis from itself to itself.
function spread(_, min, max) {
  return min === max ? [min / 2, max * 2] : [min, max];
}

function aside(_, min, max) {
  const edge = Math.max((max - min) * 0.04, 60);
  return [min - edge, max + edge];
}
