// Relative times tick. The words are those of webapp/web/filters.py; the hub's clock counts, not the browser's.
const server = Date.parse(document.querySelector('meta[name="server-now"]')?.content ?? "") || Date.now();
const offset = server - Date.now();
export const now = () => Date.now() + offset;

const UNITS = [[86400, "d", 3600, "h"], [3600, "h", 60, "min"], [60, "min", 1, "s"]];

export function rough(seconds) {
  const whole = Math.floor(Math.max(0, seconds));
  for (const [size, unit] of UNITS) if (whole >= size) return `${Math.floor(whole / size)} ${unit}`;
  return `${whole} s`;
}

export function whole(seconds) {
  const count = Math.max(1, Math.round(seconds));
  if (count < 10) return `${count} s`;
  for (const [size, unit, smaller, lesser] of UNITS) {
    if (count >= size) {
      const rest = Math.floor((count % size) / smaller);
      return rest ? `${Math.floor(count / size)} ${unit} ${rest} ${lesser}` : `${Math.floor(count / size)} ${unit}`;
    }
  }
  return `${count} s`;
}

export function words(data, at, instant) {
  const seconds = (at - instant) / 1000;
  if ("until" in data) return seconds <= 0 ? (data.late || "now") : `in ${whole(seconds)}`;
  if ("since" in data) return rough(-seconds);
  return -seconds < 1 ? "just now" : `${rough(-seconds)} ago`;
}

export function tick(root = document) {
  if (document.hidden) return;
  const instant = now();
  for (const element of root.querySelectorAll("time[data-ago], time[data-until], time[data-since]")) {
    const text = words(element.dataset, Date.parse(element.dateTime), instant);
    if (element.textContent !== text) element.textContent = text;
  }
}

setInterval(tick, 1000);
