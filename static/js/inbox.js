// The inbox by keyboard: a letter presses the button of the row that has the focus, and the focus goes on to the row
// that takes its place. A menu that is open is not swept away by news, not even by those under way when it was opened:
// they are fetched when it closes, or after what was chosen in it is done.
const BUTTONS = { e: ["/archived"], u: ["/read", "/unread"], a: ["/acknowledge"], t: ["/retry"] };
const MENUS = { h: "/snooze", m: "/mute" };
const CHORD_MS = 1200;
const list = () => document.getElementById("notifications-list");
const rows = () => [...document.querySelectorAll("#notifications-list .notification")];
const rowOf = (element) => element?.closest?.(".notification");
const buttonOf = (row, ends) => ends.map((end) => row.querySelector(`form[action$="${end}"] button`)).find(Boolean);
let leader = 0; // "g" and a letter goes to a page: that is js/keys.js
let place = null; // of the row that something was done with

function press(row, key) {
  const button = buttonOf(row, BUTTONS[key] ?? [MENUS[key]]);
  if (!button) return false;
  const menu = button.closest("details");
  if (menu && key in MENUS) { menu.open = true; button.focus(); } else button.click();
  return true;
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const chord = Date.now() - leader < CHORD_MS;
  leader = event.key === "g" ? Date.now() : 0;
  const row = rowOf(event.target);
  if (!row || chord || event.target.closest("dialog[open]")) return;
  const menu = event.target.closest("details[open]");
  if (event.key === "Escape" && menu) { menu.open = false; row.querySelector("a[href], summary")?.focus(); }
  else if ((event.key in BUTTONS || event.key in MENUS) && press(row, event.key)) event.preventDefault();
});

document.addEventListener("submit", (event) => {
  const row = rowOf(event.target);
  if (!row) return;
  place = { id: row.id, at: rows().indexOf(row) };
  const menu = event.target.closest("details[open]");
  if (menu) { menu.dataset.chosen = ""; menu.open = false; }
}, true);

document.body.addEventListener("htmx:afterSwap", () => {
  if (!place || document.activeElement !== document.body) return;
  const row = document.getElementById(place.id) ?? rows()[Math.min(place.at, rows().length - 1)];
  row?.querySelector("a[href], summary")?.focus({ preventScroll: true });
});

for (const name of ["htmx:beforeRequest", "htmx:beforeSwap"]) document.body.addEventListener(name, (event) => {
  if (event.target === list() && list().querySelector(".notification-more[open]")) event.preventDefault();
});
document.addEventListener("toggle", (event) => {
  if (event.target.matches?.(".notification-more:not([open], [data-chosen])")) window.htmx?.trigger(list(), "live:changed");
}, true);
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll(".notification-more[open]")) if (!menu.contains(event.target)) menu.open = false;
});
