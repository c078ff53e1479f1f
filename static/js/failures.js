// Requests of htmx that failed: said in a toast with the hub's own words and the id to find it in the log by, or in the
// place of the part that was to come. What refreshes itself fails without a toast: js/stale.js.
import { placeOf } from "./skeleton.js";
import { show } from "./toasts.js";

const MESSAGES = { 0: "The hub does not answer. Nothing was changed; try again.", 401: "You are signed out. Reload the page to sign in.", 403: "You may not do this.", 404: "This is not there any more.", 409: "Its state has changed meanwhile; the page shows it now.", 413: "This is more than the hub accepts.", 429: "Too many requests; wait a moment.", 503: "The hub cannot reach its database. Nothing was changed; try again in a moment." };
const ANYTHING = "The hub could not do this. Nothing was changed.";

function words(xhr) {
  const part = document.createElement("template");
  if (/^text\/html/.test(xhr.getResponseHeader("Content-Type") ?? "")) part.innerHTML = xhr.responseText; // inert: only read
  return part.content.querySelector("[data-trouble]")?.textContent.trim() || MESSAGES[xhr.status] || ANYTHING;
}

const said = new Map(); // text -> when: the same trouble many times over is one toast
function tell(xhr) {
  const text = xhr.status ? words(xhr) : MESSAGES[0];
  if (Date.now() - (said.get(text) ?? 0) < 5000) return;
  said.set(text, Date.now());
  const trace = xhr.status ? xhr.getResponseHeader("X-Trace-Id") : "";
  show({ text: trace && xhr.status !== 409 ? `${text} (trace ${trace})` : text, tone: "dead" });
}

// A part that was to come later: the place that is kept for it says so, at its old height, and asks again.
function instead(target, xhr, again) {
  const empty = target?.querySelector?.(".skeleton");
  const place = empty ? empty.parentElement : placeOf(target);
  if (!place) return false;
  const before = [...place.childNodes];
  const note = document.createElement("p");
  note.className = "not-loaded";
  note.setAttribute("role", "status");
  const trace = xhr.status ? xhr.getResponseHeader("X-Trace-Id") : "";
  note.textContent = `This part could not be loaded${trace ? ` (trace ${trace})` : ""}. `;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button small";
  button.textContent = "Try again";
  button.addEventListener("click", () => { place.replaceChildren(...before); place.style.minHeight = ""; again(); });
  note.append(button);
  place.style.minHeight = `${place.offsetHeight}px`;
  place.replaceChildren(note);
  return true;
}

function failed({ detail }) {
  const { xhr, target, requestConfig } = detail;
  if ((xhr.getResponseHeader("HX-Trigger") ?? "").includes('"toast"')) return;
  const { verb, path, triggeringEvent, elt } = requestConfig;
  if (instead(target, xhr, () => window.htmx.ajax(verb, path, { source: elt, target, swap: elt.getAttribute("hx-swap") ?? undefined }))) return;
  if (verb !== "get" || triggeringEvent?.isTrusted) tell(xhr);
}
document.body.addEventListener("htmx:responseError", failed);
document.body.addEventListener("htmx:sendError", failed);
document.body.addEventListener("htmx:timeout", failed);
