// How pages look. The server writes the choice into <html>, so nothing flashes; here it changes without a reload, and
// is sent to be kept. Times are words of the server, so for them the page is fetched again (HX-Refresh).
const root = document.documentElement;

function show(name, value) {
  if (value === "system" || value === "comfortable") delete root.dataset[name];
  else root.dataset[name] = value;
}

// The next page has it even if the answer to this one never arrives: the hub reads the same cookie.
function note(name, value) {
  const kept = document.cookie.split("; ").find((one) => one.startsWith("signalbox-view="));
  if (!kept) return;
  const choices = new URLSearchParams(kept.slice(kept.indexOf("=") + 1));
  choices.set(name, value);
  document.cookie = `signalbox-view=${choices}; Path=/; Max-Age=34560000; SameSite=Lax${location.protocol === "https:" ? "; Secure" : ""}`;
}

document.addEventListener("change", ({ target }) => {
  if (target.form?.id === "preferences-form" && (target.name === "theme" || target.name === "density")) {
    show(target.name, target.value);
    note(target.name, target.value);
  }
});

document.addEventListener("click", (event) => {
  if (!event.target.closest("[data-theme-toggle]")) return;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const theme = dark ? "light" : "dark";
  show("theme", theme);
  note("theme", theme);
  const choice = document.querySelector(`#preferences-form input[name=theme][value=${theme}]`);
  if (choice) choice.checked = true;
  window.htmx.ajax("POST", "/preferences", { values: { theme }, swap: "none", source: document.body });
});

// The zone of this browser, offered where it is not the one that is chosen.
function offerZone(scope) {
  const button = scope.querySelector?.("[data-browser-zone]");
  const select = button?.closest("form").elements.zone;
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (!button || zone === select.value || ![...select.options].some((option) => option.value === zone)) return;
  button.textContent = `Use ${zone}, as this browser does`;
  button.hidden = false;
  button.addEventListener("click", () => {
    select.value = zone;
    button.hidden = true;
    select.dispatchEvent(new Event("change", { bubbles: true }));
  });
}
document.addEventListener("htmx:load", (event) => offerZone(event.target));

if (/Mac|iPhone|iPad/.test(navigator.platform)) {
  for (const key of document.querySelectorAll("[data-mod-k]")) key.textContent = "⌘ K";
}
