// Shortcuts: "g" then a letter goes somewhere, "/" jumps to the filter, "j" and "k" walk the rows, "r" fetches the page
// again, "n" submits an event, "?" lists them. The places are those of the help, which the server writes.
const CHORD_MS = 1200;
let leader = 0;

const help = document.getElementById("help");
const isTyping = (target) => target.closest?.("input, textarea, select, [contenteditable], dialog[open]");
const place = (key) => help.querySelector(`[data-go="${CSS.escape(key)}"]`)?.dataset.to;

function filter() {
  const field = document.querySelector("[data-filter]");
  if (!field) return false;
  field.focus();
  field.select?.();
  return true;
}

// The first link of every row that is shown: focus is the cursor, so Enter opens it and a screen reader says it.
function walk(step) {
  const links = [...document.querySelectorAll("main tbody tr, main [data-live-id], main .panel-row")]
    .map((row) => row.querySelector("a[href]"))
    .filter((link, n, all) => link?.checkVisibility() && all.indexOf(link) === n);
  if (!links.length) return false;
  const row = document.activeElement.closest("tr, [data-live-id], .panel-row");
  const at = links.findIndex((link) => link === document.activeElement || row?.contains(link));
  const next = links[at < 0 ? (step > 0 ? 0 : links.length - 1) : Math.min(Math.max(at + step, 0), links.length - 1)];
  next.focus();
  next.scrollIntoView({ block: "nearest" });
  return true;
}

function single(key) {
  if (key === "/") return filter();
  if (key === "j" || key === "k") return walk(key === "j" ? 1 : -1);
  if (key === "?") help.showModal();
  else if (key === "n") location.assign("/events/new");
  else if (key === "r") location.reload();
  else return false;
  return true;
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  if (event.key === "g") { leader = Date.now(); return; }
  const chord = Date.now() - leader < CHORD_MS;
  leader = 0;
  if (chord) {
    const path = event.key.length === 1 && place(event.key);
    if (path) { event.preventDefault(); location.assign(path); }
  } else if (single(event.key)) {
    event.preventDefault();
  }
});

// What opens over a page closes with Escape, and the focus is back where it was opened.
document.addEventListener("keydown", (event) => {
  const open = event.key === "Escape" && event.target.closest("details:is(.pause, .viewers)[open]");
  if (!open) return;
  open.open = false;
  open.querySelector("summary").focus();
});

document.addEventListener("click", (event) => { if (event.target.closest("[data-help]")) help.showModal(); });
