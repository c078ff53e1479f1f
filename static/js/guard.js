// Forms with data-guard: what was typed and not saved is not lost by a click. Leaving by a link, by Back, by closing
// or by something that htmx would put in the place of the form asks once; not when nothing is different from what the
// page came with, and not when the form is being sent.
//
// The baseline is what the hub drew, so that text which a browser brings back on its own counts as typed. Parts that
// the hub draws again (rows of a condition, fields made of a schema) are compared by name and value, whatever they
// were made of. A control with data-view only shows the same in another form: what it brings is no change.

const ASK = "Leave without saving? What you changed here is lost.";
const forms = new Map(); // form -> { base: Map of name to values, sending, view }
const IGNORED = new Set(["csrf_token", "touched", "revision", "opened", "once"]);

function controls(root) {
  return [...root.querySelectorAll("input, select, textarea")].filter((one) => one.name && !IGNORED.has(one.name) && !one.closest("[data-unguarded]"));
}
function drawn(one) {
  if (one.type === "checkbox" || one.type === "radio") return one.defaultChecked ? one.value : null;
  if (one.options) return ([...one.options].find((option) => option.defaultSelected) ?? one.options[0])?.value ?? "";
  return one.type === "hidden" ? one.value : one.defaultValue;
}
function typed(one) {
  return one.type === "checkbox" || one.type === "radio" ? (one.checked ? one.value : null) : one.value;
}
function values(root, read) {
  const found = new Map();
  for (const one of controls(root)) {
    const text = read(one);
    if (text !== null) found.set(one.name, `${found.get(one.name) ?? ""}\n${text.replace(/\r\n/g, "\n")}`);
  }
  return found;
}
const same = (a, b) => a.size === b.size && [...a].every(([name, text]) => b.get(name) === text);

export function isDirty(form) {
  const state = forms.get(form);
  return Boolean(state) && !state.sending && (form.dataset.guard === "unsaved" || !same(state.base, values(form, typed)));
}
const dirty = () => [...forms.keys()].filter((form) => form.isConnected && isDirty(form));

function tell(form) {
  const place = form.querySelector("[data-standing]");
  if (!place) return;
  const words = isDirty(form) ? "Not saved yet" : "Nothing to save";
  if (place.textContent !== words) place.textContent = words;
}

function adopt(root) {
  for (const form of forms.keys()) if (!form.isConnected) forms.delete(form);
  for (const form of [...(root.matches?.("form[data-guard]") ? [root] : []), ...root.querySelectorAll("form[data-guard]")]) {
    if (!forms.has(form)) forms.set(form, { base: values(form, drawn), sending: false });
    tell(form);
  }
}

// A view that changes: those of its names that were as drawn take their new shape into the baseline.
function follow(form, before, after) {
  const { base } = forms.get(form);
  if (![...before].every(([name, text]) => base.get(name) === text)) return;
  for (const name of before.keys()) base.delete(name);
  for (const [name, text] of after) base.set(name, text);
}
document.body.addEventListener("htmx:beforeSwap", ({ detail }) => {
  const form = detail.target.closest?.("form[data-guard]");
  if (form && forms.has(form) && detail.requestConfig.elt.closest("[data-view]")) forms.get(form).view = { id: detail.target.id, before: values(detail.target, typed) };
});
document.body.addEventListener("htmx:load", ({ target }) => {
  adopt(target);
  const form = target.closest?.("form[data-guard]");
  const state = forms.get(form);
  if (state?.view?.id === target.id) { follow(form, state.view.before, values(target, typed)); state.view = null; }
  if (state) tell(form);
});

for (const kind of ["input", "change"]) document.addEventListener(kind, ({ target }) => { if (forms.has(target.form)) tell(target.form); });
window.addEventListener("beforeunload", (event) => { if (dirty().length) event.preventDefault(); });
window.addEventListener("pageshow", () => { for (const [form, state] of forms) { state.sending = false; tell(form); } });
document.addEventListener("submit", (event) => { const state = forms.get(event.target); if (state && !event.defaultPrevented) state.sending = true; });

// htmx sends forms of its own accord: one that the hub did not take is as unsaved as before.
document.body.addEventListener("htmx:beforeRequest", ({ detail }) => { const state = forms.get(detail.elt); if (state) state.sending = true; });
document.body.addEventListener("htmx:afterRequest", ({ detail }) => { const state = forms.get(detail.elt); if (state) state.sending = detail.successful; });
// Something beside the form that keeps what stands in it, such as a sample: from then on it counts as saved.
document.body.addEventListener("htmx:afterRequest", ({ detail }) => {
  const keeps = detail.successful && detail.requestConfig.elt.dataset.keeps; // who asked may be gone by now
  const form = keeps && document.getElementById(keeps);
  if (forms.has(form)) { form.dataset.guard = ""; forms.get(form).base = values(form, typed); tell(form); }
});
document.body.addEventListener("htmx:confirm", (event) => {
  const { elt, target, verb } = event.detail;
  const lost = verb === "get" && elt.matches("a, [hx-push-url]") ? dirty().filter((form) => target?.contains(form) && !form.contains(elt)) : [];
  if (lost.length && !window.confirm(ASK)) event.preventDefault();
});

adopt(document);
