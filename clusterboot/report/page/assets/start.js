// The page begins: plots in the theme that is wanted, again when that or the width changes.

const maps = new Map();
const charts = new Map();
let told = 0;

function drawCharts() {
  for (const host of document.querySelectorAll("[data-chart]")) {
    charts.get(host)?.destroy();
    charts.set(host, chart(host, dataOf(host.dataset.chart)));
  }
}

function redraw() {
  for (const map of maps.values()) map.draw();
  drawCharts();
}

function again() {
  cancelAnimationFrame(told);
  told = requestAnimationFrame(redraw);
}

// Paper is white, whatever the screen is.
function printing(begins) {
  document.documentElement.classList.toggle("printing", begins);
  for (const list of document.querySelectorAll("details")) {
    if (begins && !list.open) list.dataset.closed = "";
    if (begins) list.open = true;
    else if (list.dataset.closed !== undefined) {
      list.open = false;
      delete list.dataset.closed;
    }
  }
  redraw();
}

async function start() {
  drawCharts();
  for (const host of document.querySelectorAll("[data-heat]")) {
    maps.set(host, await HeatMap.of(host, dataOf(host.dataset.heat)));
  }
  let width = document.body.clientWidth;
  addEventListener("resize", () => {
    if (document.body.clientWidth === width) return;
    width = document.body.clientWidth;
    again();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  addEventListener("beforeprint", () => printing(true));
  addEventListener("afterprint", () => printing(false));
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button?.dataset.copy) navigator.clipboard?.writeText(button.dataset.copy).then(() => say("copied"));
    if (button?.dataset.row) {
      const [map] = maps.values();
      map?.goTo(Number(button.dataset.row), Number(button.dataset.column));
    }
  });
  document.documentElement.dataset.drawn = "";
  await Promise.all([...maps.values()].map((map) => map.rest));
  document.documentElement.dataset.ready = "";
}

start().catch((problem) => {
  // The findings and the tables stand without any script.
  const note = make("p", { class: "note", role: "alert" }, `The plots could not be drawn: ${problem.message}`);
  document.querySelector("main").prepend(note);
});
