// The command palette (Ctrl or Cmd K). The hub says what there is to find; what this page can do is read from its own
// buttons; what was opened last is kept in this browser. Focus stays in the field, the choice is aria-activedescendant.
const RECENT = "palette.recent";
const RECENT_KEPT = 6;
const dialog = document.getElementById("palette");
const field = document.getElementById("palette-words");
const here = document.getElementById("palette-here");
const found = document.getElementById("palette-found");
const none = document.getElementById("palette-none");
const owner = document.querySelector("[data-live]") ? document.querySelector(".user .clip")?.textContent ?? "" : "";

const options = () => [...dialog.querySelectorAll("[role=option]")];
const chosen = () => dialog.querySelector("[aria-selected=true]");

function recent() {
  try {
    const kept = JSON.parse(localStorage.getItem(RECENT) ?? "{}");
    return kept.owner === owner && Array.isArray(kept.items) ? kept.items.filter(({ href }) => /^\/(?!\/)/.test(href)) : [];
  } catch { return []; }
}

function remember({ href, label, about }) {
  const items = [{ href, label, about }, ...recent().filter((one) => one.href !== href)].slice(0, RECENT_KEPT);
  try { localStorage.setItem(RECENT, JSON.stringify({ owner, items })); } catch { /* private mode: nothing is kept */ }
}

// What the page offers: links and buttons beside its title by the words on them, and others that data-palette names.
// They are pressed where they are, so that their forms, tokens and questions stay the same.
const NAMED = 'main [data-palette]:not([data-palette=""])';
const said = (one) => one.dataset.palette || one.textContent.trim().replace(/\s+/g, " ");
function actions() {
  const all = document.querySelectorAll(`main .head-actions :is(a[href], button, summary), main .head :is(a.button, button.button), ${NAMED}`);
  return [...new Set(all)].filter((one) => !one.disabled && one.checkVisibility() && said(one));
}

function run(one) {
  one.click();
  if (one.matches("summary") && one.parentElement.open) one.parentElement.querySelector("input:not([type=hidden]), select, button")?.focus();
}

function line({ label, about, href }, id, icon) {
  const option = document.getElementById("palette-option").content.firstElementChild.cloneNode(true);
  option.id = id;
  if (href) option.href = href;
  option.dataset.label = label;
  option.prepend(document.getElementById(icon).content.cloneNode(true));
  option.querySelector(".palette-label").textContent = label;
  option.querySelector(".palette-about").textContent = about ?? "";
  return option;
}

function group(title, lines) {
  if (!lines.length) return [];
  const box = document.createElement("div");
  const head = document.createElement("p");
  head.className = "palette-title";
  head.id = `palette-t-${title.split(" ")[0]}`;
  head.textContent = title;
  head.setAttribute("role", "presentation");
  box.setAttribute("role", "group");
  box.setAttribute("aria-labelledby", head.id);
  box.append(head, ...lines);
  return [box];
}

function drawHere() {
  const words = field.value.trim().toLowerCase();
  const fits = (text) => text.toLowerCase().includes(words);
  const runs = actions().map((one, n) => [one, said(one), n]).filter(([, label]) => fits(label));
  const lines = runs.map(([one, label, n]) => {
    const option = line({ label }, `palette-a${n}`, "palette-icon-run");
    option.addEventListener("click", (event) => { event.preventDefault(); dialog.close(); run(one); });
    return option;
  });
  const before = words ? [] : recent().map((item, n) => line(item, `palette-r${n}`, "palette-icon-recent"));
  here.replaceChildren(...group("On this page", lines), ...group("Opened last", before));
}

function choose(option) {
  chosen()?.setAttribute("aria-selected", "false");
  option?.setAttribute("aria-selected", "true");
  option?.scrollIntoView({ block: "nearest" });
  if (option) field.setAttribute("aria-activedescendant", option.id);
  else field.removeAttribute("aria-activedescendant");
  none.hidden = Boolean(option) || options().length > 0;
}

function step(by) {
  const all = options();
  const at = all.indexOf(chosen());
  choose(all.at(at < 0 ? (by > 0 ? 0 : -1) : (at + by) % all.length));
}

function open() {
  if (!dialog || dialog.open) return;
  document.querySelectorAll("dialog[open]").forEach((one) => one.close());
  document.getElementById("side")?.hidePopover?.();
  field.value = "";
  if (!found.childElementCount) found.replaceChildren(document.getElementById("palette-skeleton").content.cloneNode(true));
  dialog.showModal();
  drawHere();
  choose(options()[0]);
  window.htmx.trigger(field, "palette:open");
}

const MOVES = { ArrowDown: () => step(1), ArrowUp: () => step(-1), Enter: () => chosen()?.click(), Tab: () => {} };
field?.addEventListener("keydown", (event) => {
  if (!Object.hasOwn(MOVES, event.key) || event.isComposing) return;
  event.preventDefault(); // Tab, too: there is nothing else to go to, and Escape leaves
  MOVES[event.key]();
});
field?.addEventListener("input", () => { drawHere(); choose(options()[0]); });
// What the hub did not answer is said where its answer was to be; chosen, it is asked for again.
function failed(event) {
  event.stopPropagation(); // said here, in no toast
  const option = line({ label: "Search could not be loaded. Try again" }, "palette-again", "palette-icon-run");
  option.addEventListener("click", (click) => { click.preventDefault(); window.htmx.trigger(field, "palette:open"); });
  found.replaceChildren(option);
  choose(chosen() ?? options()[0]);
}
for (const name of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) dialog?.addEventListener(name, failed);
found?.addEventListener("htmx:afterSwap", () => choose(chosen() ?? options()[0]));
dialog?.addEventListener("click", (event) => {
  const option = event.target.closest("[role=option][href]");
  if (option) remember({ href: option.getAttribute("href"), label: option.dataset.label, about: option.dataset.about });
  if (event.target === dialog || event.target.closest("[data-palette-close]")) dialog.close();
});

document.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey || !dialog) return;
  event.preventDefault();
  if (dialog.open) dialog.close(); else open();
});
document.addEventListener("click", (event) => { if (event.target.closest('[data-palette=""]')) open(); });
