// The words of numbers on charts. They are those of webapp/web/charts.py.
function seconds(value) {
  if (value === 0) return "0 s";
  if (value < 0.01) return `${(value * 1000).toFixed(1)} ms`;
  if (value < 0.995) return `${Math.round(value * 1000)} ms`;
  if (value < 9.95) return `${value.toFixed(1)} s`;
  if (value < 119.5) return `${Math.round(value)} s`;
  return value < 7170 ? `${Math.round(value / 60)} min` : `${(value / 3600).toFixed(1)} h`;
}

export function said(unit, value) {
  if (value === null || value === undefined) return "–";
  if (unit === "seconds") return seconds(value);
  if (unit === "share") return `${(value * 100).toFixed(1)} %`;
  return value.toLocaleString("en", { maximumFractionDigits: 1 });
}

export function tick(unit, value) {
  if (unit === "share") return `${Math.round(value * 100)}%`;
  if (unit === "seconds") return value < 1 ? `${+(value * 1000).toPrecision(1)} ms` : value < 1e5 ? `${value} s` : `${Math.round(value / 3600)} h`;
  return value >= 1e6 ? `${value / 1e6} M` : value >= 1e4 ? `${value / 1000} k` : `${+value.toPrecision(3)}`;
}

// Times are told in the zone that the person chose; the page names it.
export const zone = () => document.querySelector("[data-charts]")?.dataset.zone || "Etc/UTC";
const told = (at, options) => new Intl.DateTimeFormat("en-GB", { timeZone: zone(), hourCycle: "h23", ...options }).format(new Date(at * 1000));
export const hour = (at) => told(at, { hour: "2-digit", minute: "2-digit" });
export const day = (at) => told(at, { month: "short", day: "numeric" });
export const minute = (at) => `${told(at, { year: "numeric" })}-${told(at, { month: "2-digit" })}-${told(at, { day: "2-digit" })} ${hour(at)}`;
export const zoneName = (at) => told(at, { hour: "2-digit", timeZoneName: "short" }).split(" ").at(-1);

// The slot at an index, as people say it.
export function clock(series, index) {
  const from = series.from + index * series.step;
  return `${series.range === "7d" ? `${day(from)}, ` : ""}${hour(from)} ${zoneName(from)}`;
}
