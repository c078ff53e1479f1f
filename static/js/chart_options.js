// How uPlot draws our charts. Colours and dashes are those of the legend, which has them from the tokens.
import { day, hour, tick, zone } from "./chart_words.js";

const DASHES = { p95: [6, 3], p99: [2, 3] };
const colour = (element, what) => getComputedStyle(element)[what];

// Bars that stand on each other: each curve with those below it, the tallest first, so that it is drawn behind.
export function stacked(values) {
  const sums = [];
  values.forEach((curve, i) => sums.push(curve.map((value, at) => value + (i ? sums[i - 1][at] : 0))));
  return sums.map((sum, i) => sum.map((value, at) => (values[i][at] ? value : null))).reverse();
}

// What is dead is hatched, so that red and green need not be told apart.
function hatched(fill, over) {
  const size = 6 * devicePixelRatio;
  const tile = Object.assign(document.createElement("canvas"), { width: size, height: size });
  const context = tile.getContext("2d");
  context.fillStyle = fill;
  context.fillRect(0, 0, size, size);
  context.strokeStyle = over;
  context.lineWidth = size / 4;
  for (const shift of [-size, 0, size]) {
    context.beginPath();
    context.moveTo(shift, size);
    context.lineTo(shift + size, 0);
    context.stroke();
  }
  return context.createPattern(tile, "repeat");
}

function bars(key, panel) {
  const fill = colour(key.querySelector("rect"), "fill");
  const pattern = key.dataset.curve === "dead" ? hatched(fill, panel) : fill;
  return { fill: () => pattern, stroke: () => fill, width: 0, points: { show: false }, paths: window.uPlot.paths.bars({ size: [0.8, 60] }) };
}

// A value between two gaps is no line: it is a point.
const alone = (plot, index) => plot.data[index].flatMap((value, i, all) => (value !== null && (all[i - 1] ?? null) === null && (all[i + 1] ?? null) === null ? [i] : []));

function line(key) {
  const path = key.querySelector("path");
  return {
    stroke: colour(path, "stroke"), width: parseFloat(colour(path, "strokeWidth")), dash: DASHES[key.dataset.curve],
    points: { show: true, size: 4, filter: alone, fill: colour(path, "stroke") },
  };
}

// A round top above the values; for times, whole decades around them.
function range(unit) {
  if (unit === "share") return () => [0, 1];
  if (unit !== "seconds") return (_, _least, most) => [0, roundUp(Math.max(most ?? 0, 1))];
  return (_, least, most) => {
    const first = Math.floor(Math.log10(Math.max(least ?? 1, 1e-4)));
    return [10 ** first, 10 ** Math.max(Math.ceil(Math.log10(Math.max(most ?? 1, 1e-4))), first + 1)];
  };
}
const roundUp = (value) => {
  const decade = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((nice) => nice * decade).find((nice) => nice >= value);
};

function splits(unit) {
  if (unit !== "seconds") return (_, _axis, low, high) => [low, (low + high) / 2, high];
  return (_, _axis, low, high) => Array.from({ length: Math.round(Math.log10(high / low)) + 1 }, (_, i) => low * 10 ** i);
}

export function options(figure, series, width, height, { read, marks }) {
  const { unit, shape } = figure.dataset;
  const ink = colour(figure.querySelector(".chart-what"), "color");
  const panel = colour(figure, "backgroundColor");
  const rule = { stroke: colour(figure, "borderTopColor"), width: 1 };
  const font = `11px ${colour(figure, "fontFamily")}`;
  const keys = [...figure.querySelectorAll("[data-curve]")];
  const curves = shape === "bars" ? keys.map((key) => bars(key, panel)).reverse() : keys.map(line);
  const far = series().range === "7d";
  return {
    width, height, padding: [10, 8, 0, 0], legend: { show: false },
    tzDate: (at) => window.uPlot.tzDate(new Date(at * 1000), zone()),
    cursor: { y: false, drag: { x: false, y: false, setScale: false }, sync: { key: "charts" }, points: { show: shape !== "bars", size: 7 } },
    scales: { x: { range: () => [series().from, series().until] }, y: { distr: unit === "seconds" ? 3 : 1, range: range(unit) } },
    axes: [
      { stroke: ink, font, size: 26, space: 64, grid: { show: false }, ticks: { show: false }, values: (_, all) => all.map(far ? day : hour), ...(far ? { incrs: [86400, 172800, 345600] } : {}) },
      { stroke: ink, font, size: 46, gap: 4, grid: rule, ticks: { show: false }, splits: splits(unit), values: (_, all) => all.map((value) => tick(unit, value)), filter: (_, all) => all },
    ],
    series: [{}, ...curves],
    hooks: { setCursor: [(plot) => read(plot.cursor.left < 0 ? null : plot.cursor.idx ?? null)], draw: [marks] },
  };
}
