// Forms with a data-check field: what is wrong with a field stands beside it when it is left, or after a pause. The hub
// judges the whole form with the code that judges it in the end, and answers the places of the fields that were touched
// (webapp/web/checks.py); the fields themselves are never drawn again, so focus and caret stay where they are.

const PAUSE_MS = 800;
const touched = new WeakMap(); // form -> names
const timers = new WeakMap();
let pressed = false; // while a button is held down nothing moves under the pointer

const checkOf = (form) => form?.querySelector("[data-check]");

function ask(form) {
  clearTimeout(timers.get(form));
  const check = checkOf(form);
  if (!check || !form.isConnected || !touched.get(form)?.size) return;
  if (pressed) return soon(form, 150);
  check.value = [...touched.get(form)].join(" ");
  window.htmx.trigger(check, "check");
}
function soon(form, pause) {
  clearTimeout(timers.get(form));
  timers.set(form, setTimeout(() => ask(form), pause));
}

document.addEventListener("pointerdown", () => { pressed = true; }, true);
for (const kind of ["pointerup", "pointercancel"]) window.addEventListener(kind, () => { pressed = false; }, true);

// Rows of a condition are one field to the hub, which `data-field` names.
function note({ target }) {
  const form = target.form;
  if (!checkOf(form) || !target.name || target.closest("[data-unchecked]")) return;
  if (!touched.has(form)) touched.set(form, new Set());
  touched.get(form).add(target.closest("[data-field]")?.dataset.field ?? target.name);
  soon(form, PAUSE_MS);
}
document.addEventListener("input", note);
document.addEventListener("change", note);
document.addEventListener("focusout", ({ target, relatedTarget }) => {
  const { form } = target;
  if (checkOf(form) && touched.get(form)?.size && relatedTarget?.type !== "submit") soon(form, 30);
});
document.addEventListener("submit", ({ target }) => clearTimeout(timers.get(target)));

// The same words again need no new element; and a place that was filled or emptied says so at its field.
document.body.addEventListener("htmx:oobBeforeSwap", ({ detail }) => {
  const { target, fragment } = detail;
  if (!target.matches(".field-errors")) return;
  const fresh = fragment.firstElementChild ?? fragment;
  if (!target.hidden && fresh.textContent === target.textContent) detail.shouldSwap = false;
});
document.body.addEventListener("htmx:afterRequest", ({ detail }) => {
  if (!detail.elt.matches?.("[data-check]")) return;
  for (const slot of detail.elt.form?.querySelectorAll(".field-errors") ?? []) {
    const control = document.getElementById(slot.id.slice(0, -"-error".length));
    if (slot.childElementCount && !slot.hidden) control?.setAttribute("aria-invalid", "true");
    else control?.removeAttribute("aria-invalid");
  }
});

// A form that htmx sends and that keeps what was typed: somebody else was faster, and the answer says who.
document.body.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (detail.xhr.status !== 409 || !detail.requestConfig.elt.matches("[data-takes-409]")) return;
  detail.shouldSwap = true;
  detail.isError = false;
});
