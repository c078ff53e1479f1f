// What changed, as lines over a chart: hovering says who and what, the link leads there. People who do not see the chart,
// or have no pointer, have the list below the charts.
import { hour, zoneName } from "./chart_words.js";

const SVG = "http://www.w3.org/2000/svg";
const NEAR = 8; // pixels: nearer ones share a line

function make(name, attributes, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function grouped(plot, changes, width) {
  const groups = [];
  for (const change of changes) {
    const x = plot.valToPos(change.at, "x");
    if (x < 0 || x > width) continue;
    if (groups.length && x - groups.at(-1).x < NEAR) groups.at(-1).changes.push(change);
    else groups.push({ x: Math.round(x) + 0.5, changes: [change] });
  }
  return groups;
}

function line({ x, changes }, height) {
  const newest = changes.at(-1);
  const kind = changes.some((one) => one.kind === "breaker") ? "breaker" : newest.kind;
  const words = changes.map((one) => `${hour(one.at)} ${zoneName(one.at)}: ${one.words}`).join("\n");
  const href = changes.length > 1 && new Set(changes.map((one) => one.href)).size > 1 ? "/audit" : newest.href;
  return make("a", { href, class: `mark-link mark-${kind}`, tabindex: "-1" },
    make("title", {}, words),
    make("line", { class: "mark-line", x1: x, x2: x, y1: 4, y2: height }),
    make("path", { class: "mark-head", d: `M${x - 4.5} 0h9l-4.5 7z` }),
    make("rect", { class: "mark-target", x: x - 5, y: 0, width: 10, height: 14 }));
}

export function drawMarks(plot, changes) {
  const { clientWidth: width, clientHeight: height } = plot.over;
  plot.over.querySelector(".marks")?.remove();
  const groups = grouped(plot, changes, width);
  if (!groups.length) return;
  plot.over.append(make("svg", { class: "marks", width, height, "aria-hidden": "true" }, ...groups.map((group) => line(group, height))));
}

let shown = "";
export function listChanges(block, changes) {
  const told = JSON.stringify(changes);
  const details = block.querySelector("[data-changes]");
  if (!details || told === shown) return;
  shown = told;
  details.hidden = changes.length === 0;
  const count = details.querySelector("[data-changes-count]");
  count.textContent = changes.length;
  count.nextSibling.textContent = ` ${changes.length === 1 ? "change" : "changes"} in this window `;
  details.querySelector("ol").replaceChildren(...changes.toReversed().map((change) => {
    const row = Object.assign(document.createElement("li"), { className: `panel-row change change-${change.kind}` });
    const time = Object.assign(document.createElement("time"), { dateTime: new Date(change.at * 1000).toISOString(), className: "muted nowrap" });
    time.dataset.ago = "";
    row.append(Object.assign(document.createElement("a"), { href: change.href, textContent: change.words }), " ", time);
    return row;
  }));
}
