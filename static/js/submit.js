// The form of an event. The hub draws it; this keeps what is typed while an answer is on its way, and puts the focus where a new row can be filled in.

const STEP = "/events/form";
const sent = new WeakMap(); // request -> what stood in the payload when it was sent

const payload = () => document.getElementById("events-payload");
const typed = () => [...payload().querySelectorAll("input, select, textarea")]
  .filter((one) => one.name && (one.type !== "radio" && one.type !== "checkbox" || one.checked))
  .map((one) => [one.name, one.value])
  .join("\n");

document.body.addEventListener("htmx:beforeSend", ({ detail }) => {
  if (detail.requestConfig.path === STEP) sent.set(detail.xhr, typed());
});

// Somebody typed on: the answer is of yesterday, so ask again with what stands there now.
document.body.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (!sent.has(detail.xhr) || detail.xhr.getResponseHeader("HX-Reswap") === "none" || sent.get(detail.xhr) === typed()) return;
  detail.shouldSwap = false;
  const { elt } = detail.requestConfig;
  const again = elt.matches("input, select, button") ? elt : document.getElementById("f-type");
  again.dispatchEvent(new Event(again.matches("button") ? "click" : "change", { bubbles: true }));
});

// Rows come and go; the focus stays at hand.
let step = null;
document.addEventListener("click", ({ target }) => {
  const button = target.closest?.("[data-step]");
  if (button) step = { verb: button.dataset.step, name: JSON.parse(button.getAttribute("hx-vals")).do.split(":")[1] };
});
document.body.addEventListener("htmx:afterSettle", ({ detail }) => {
  const { path, parameters } = detail.requestConfig ?? {};
  if (!step || !payload() || path !== STEP || !`${parameters?.do}`.startsWith(`${step.verb}:`)) return; // another answer settled
  const { verb, name } = step;
  step = null;
  const box = document.getElementById(`f-${name}`);
  const outer = document.getElementById(`f-${name.split("-").slice(0, -1).join("-")}`);
  const rows = box?.querySelectorAll(":scope > .rows > li");
  const fresh = rows?.length ? rows[rows.length - 1] : box;
  const found = verb === "add"
    ? fresh?.querySelector("input:not([type=hidden]), select, textarea")
    : [...(box ?? outer)?.querySelectorAll("[data-step=add]") ?? []].at(-1);
  (found ?? outer)?.focus();
});
