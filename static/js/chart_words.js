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

const iso = (at) => new Date(at * 1000).toISOString();
export const hour = (at) => iso(at).slice(11, 16);
export const day = (at) => new Date(at * 1000).toLocaleDateString("en", { month: "short", day: "numeric", timeZone: "UTC" });

// The slot at an index, as people say it.
export function clock(series, index) {
  const from = series.from + index * series.step;
  return `${series.range === "7d" ? `${day(from)}, ` : ""}${hour(from)} UTC`;
}
