// Charts that follow: uPlot over the drawing that the hub made, from the same numbers. New numbers are fetched at most
// once a second, and no sooner than the hub reads them anew; a chart that is looked at stays where it is.
import { options, stacked } from "./chart_options.js";
import { clock, minute, said } from "./chart_words.js";
import { drawMarks, listChanges } from "./chart_marks.js";

const LEAST_MS = 1000;
const TURN_MS = 10000; // the window moves on although nothing happens
const body = document.body;
const charts = new Map(); // plot -> { figure, plot, drawn, was }
let series = null;
let timer = null;
let again = false;

const block = () => document.querySelector("[data-charts]");

async function fetchSeries() {
  const answer = await fetch(block().dataset.charts, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(`charts: ${answer.status}`);
  return answer.json();
}

// The numbers at the pointer; without one, the newest: of rates the last whole slot, else the last that was measured.
const newest = (figure, curve) => (figure.dataset.shape === "bars" ? curve.at(-2) : curve.findLast((value) => value !== null));
function read(chart, index) {
  const { figure } = chart;
  const values = series.plots[figure.dataset.plot];
  figure.querySelectorAll("[data-curve] [data-value]").forEach((element, i) => { element.textContent = said(figure.dataset.unit, index === null ? newest(figure, values[i]) : values[i][index]); });
  figure.querySelector("[data-at]").textContent = index === null ? "" : clock(series, index);
}

function create(figure) {
  const frame = figure.querySelector("[data-frame]");
  const values = series.plots[figure.dataset.plot];
  if (!values.flat().some((value) => (figure.dataset.shape === "bars" ? value : value !== null))) return null;
  const height = Math.max(150, frame.getBoundingClientRect().height);
  const chart = { figure, was: "" };
  const given = options(figure, () => series, frame.clientWidth, height, { read: (index) => read(chart, index), marks: (plot) => drawMarks(plot, series.changes) });
  frame.replaceChildren();
  chart.plot = new window.uPlot(given, data(figure, values), frame);
  return chart;
}

// A logarithm has no nought: nothing at all is drawn as a millisecond.
const floored = (curve) => curve.map((value) => (value === 0 ? 0.001 : value));
function data({ dataset: { shape, unit } }, values) {
  return [series.t, ...(shape === "bars" ? stacked(values) : unit === "seconds" ? values.map(floored) : values)];
}

function fillTable(figure) {
  if (!figure.querySelector("details").open) return;
  const values = series.plots[figure.dataset.plot];
  const rows = series.t.map((_, i) => {
    const row = document.createElement("tr");
    row.insertCell().textContent = minute(series.from + i * series.step);
    for (const curve of values) Object.assign(row.insertCell(), { className: "num", textContent: said(figure.dataset.unit, curve[i]) });
    return row;
  });
  figure.querySelector("tbody").replaceChildren(...rows.reverse());
}

function show(figure) {
  const name = figure.dataset.plot;
  const values = series.plots[name];
  const told = JSON.stringify([series.t[0], values, series.changes]);
  const chart = charts.get(name);
  if (!chart?.figure.isConnected) {
    const made = create(figure);
    if (made) charts.set(name, { ...made, was: told });
  } else if (chart.was !== told) {
    chart.was = told;
    chart.plot.setData(data(figure, values));
    read(chart, chart.plot.cursor.idx ?? null);
  }
  fillTable(figure);
}

async function refresh() {
  if (!block() || document.hidden) return;
  if (!series) block().setAttribute("aria-busy", "true");
  const trouble = block().querySelector("[data-charts-trouble]");
  try {
    series = await fetchSeries();
    trouble.hidden = true;
  } catch {
    trouble.hidden = false; // over the drawings, which stay; the next turn tries again
    return;
  } finally {
    block()?.removeAttribute("aria-busy");
  }
  block().querySelectorAll("[data-plot]").forEach(show);
  listChanges(block(), series.changes);
}

// The first hint is followed at once, those within the pause become one look at its end.
function soon() {
  if (timer) { again = true; return; }
  refresh();
  timer = setTimeout(() => { timer = null; if (again) { again = false; soon(); } }, Math.max(LEAST_MS, series?.next_ms ?? 0));
}

function redraw() {
  for (const { plot } of charts.values()) plot.destroy();
  charts.clear();
  if (series) block()?.querySelectorAll("[data-plot]").forEach(show);
}

new ResizeObserver(() => {
  for (const { plot, figure } of charts.values()) {
    const width = figure.querySelector("[data-frame]").clientWidth;
    if (width && width !== plot.width) plot.setSize({ width, height: plot.height });
  }
}).observe(document.getElementById("content"));
new MutationObserver(redraw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
document.addEventListener("toggle", (event) => { if (series && event.target.matches(".chart-table")) fillTable(event.target.closest("[data-plot]")); }, true);
document.addEventListener("click", (event) => { if (event.target.closest("[data-charts-again]")) refresh(); });
document.addEventListener("visibilitychange", () => { if (!document.hidden) soon(); });
for (const name of ["live:events", "live:workers", "live:subscriptions", "live:resync", "live:poll"]) body.addEventListener(name, soon);
body.addEventListener("htmx:load", () => { if (block() && !block().querySelector(".uplot")) soon(); });
setInterval(soon, TURN_MS);
soon();
