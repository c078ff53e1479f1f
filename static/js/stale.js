// Parts that refresh themselves and could not: as long as one of them shows what was, the badge of the connection says
// so, and each asks again, with more patience every time. Nobody is bothered with a toast.
import { setBehind } from "./live.js";

const WAITS_MS = [2000, 5000, 15000, 30000, 60000];
const WORTH_ANOTHER_TRY = (status) => status === 0 || status === 408 || status === 429 || status >= 500;
const behind = new Map(); // id of the part -> how often in a row it could not

function forget(id) {
  if (behind.delete(id)) setBehind(behind.size > 0);
}

const refreshesItself = ({ verb, elt, triggeringEvent }) => verb === "get" && elt.id && !triggeringEvent?.isTrusted && elt.matches('[hx-trigger*="live:"]');

function missed({ detail: { xhr, requestConfig } }) {
  if (!refreshesItself(requestConfig)) return;
  const { path, elt: { id } } = requestConfig;
  if (document.getElementById(id)?.querySelector(".not-loaded")) return; // it was not there yet: js/failures.js says so in its place
  const times = behind.get(id) ?? 0;
  behind.set(id, times + 1);
  setBehind(true);
  if (!WORTH_ANOTHER_TRY(xhr.status)) return;
  setTimeout(() => {
    const part = document.getElementById(id);
    if (!part) forget(id);
    else if (behind.get(id) === times + 1) window.htmx.ajax("get", path, { source: part });
  }, WAITS_MS[Math.min(times, WAITS_MS.length - 1)]);
}
for (const name of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) document.body.addEventListener(name, missed);
document.body.addEventListener("htmx:beforeSwap", ({ detail }) => { if (detail.xhr.status < 400) forget(detail.requestConfig.elt.id); });
