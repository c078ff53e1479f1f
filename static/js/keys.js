// Shortcuts: "g" then a letter goes somewhere, "/" jumps to the filter, "n" submits an event, "?" lists them.
const PLACES = { o: "/", e: "/events", d: "/deliveries", x: "/errors", s: "/subscriptions", p: "/performance", w: "/workers", n: "/notifications", a: "/audit" };
const CHORD_MS = 1200;
let leader = 0;

const help = document.getElementById("help");
const isTyping = (target) => target.closest?.("input, textarea, select, [contenteditable], dialog[open]");

function single(event) {
  if (event.key === "/") {
    const field = document.querySelector("[data-filter]");
    if (!field) return false;
    field.focus();
    field.select?.();
    return true;
  }
  if (event.key === "?") { help.showModal(); return true; }
  if (event.key === "n") { location.assign("/events/new"); return true; }
  return false;
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  if (event.key === "g") { leader = Date.now(); return; }
  const chord = Date.now() - leader < CHORD_MS;
  leader = 0;
  if (chord) {
    if (Object.hasOwn(PLACES, event.key)) { event.preventDefault(); location.assign(PLACES[event.key]); }
  } else if (single(event)) {
    event.preventDefault();
  }
});

document.addEventListener("click", (event) => { if (event.target.closest("[data-help]")) help.showModal(); });
