// What changed, told by the hub as hints. A hint carries ids only; the elements that care fetch themselves again
// over htmx. Nothing is replayed after a gap, so every (re)connect says live:resync, and while the socket is
// down for long live:poll stands in for it.
import { io } from "../vendor/socketio/socket.io.esm.min.js";

const PAUSE_MS = 1000; // between two rounds of the same kind while much happens
const QUICK_MS = 50; // and while little does: an event is accepted and done within one blink
const QUIET = 8; // "little" is up to so many hints of a kind within a second
const POLL_MS = 5000;
const body = document.body;

// An element that is being fetched may get an answer older than this hint, and what htmx queues behind a request
// dies with the element that the answer replaces: so it is remembered, and its successor fetches once more.
const overtaken = new Set();
const fetching = () => document.querySelectorAll(".htmx-request[hx-get][id]");
function tell(element, name, detail) {
  for (const { id } of element === body ? fetching() : element.matches(".htmx-request[id]") ? [element] : []) overtaken.add(id);
  element.dispatchEvent(new CustomEvent(name, { bubbles: true, detail }));
}
body.addEventListener("htmx:load", ({ target }) => {
  if (!overtaken.delete(target.id)) return;
  soon(`again ${target.id}`, () => setTimeout(() => {
    const element = document.getElementById(target.id);
    if (element) for (const name of ["live:changed", "feed:refresh"]) window.htmx.trigger(element, name);
  }));
});

// The same holds for what an answer tells (HX-Trigger) about something a person did; and htmx tells it to the form that
// asked, where nobody hears it once news have replaced the form.
window.addEventListener("live:changed", ({ detail }) => { if (detail?.elt) for (const { id } of fetching()) overtaken.add(id); }, true);
body.addEventListener("htmx:beforeSend", ({ detail: { xhr, requestConfig } }) => xhr.addEventListener("readystatechange", () => {
  if (xhr.readyState !== XMLHttpRequest.DONE || requestConfig.elt.isConnected) return;
  const told = JSON.parse(xhr.getResponseHeader("HX-Trigger") ?? "{}");
  for (const [name, value] of Object.entries(told)) window.htmx.trigger(body, name, value instanceof Object ? value : { value });
}));

// Leading and trailing edge: the first call runs at once, those within the pause become one call at its end.
// While little happens the pause is a blink; under a steady stream there is one run a second.
export function coalesce(run, pause = PAUSE_MS) {
  let timer = null;
  let again = false;
  let calls = []; // times of the last second
  const fire = () => {
    run();
    timer = setTimeout(() => { timer = null; if (again) { again = false; fire(); } }, calls.length <= QUIET ? QUICK_MS : pause);
  };
  return () => {
    const now = Date.now();
    calls = calls.filter((time) => now - time < 1000).slice(-QUIET);
    calls.push(now);
    if (timer) again = true; else fire();
  };
}

const rounds = new Map();
function soon(key, run) {
  if (!rounds.has(key)) {
    if (rounds.size > 2000) rounds.clear();
    rounds.set(key, coalesce(run));
  }
  rounds.get(key)();
}

const shown = (id) => document.querySelectorAll(`[data-live-id="${CSS.escape(id)}"]`);
const announce = (name) => soon(name, () => tell(body, name));

function eventsChanged({ items = [], more = 0 }) {
  for (const { id, state } of items) {
    if (shown(id).length) soon(`id ${id}`, () => shown(id).forEach((element) => tell(element, "live:changed", { id, state })));
  }
  if (more > 0) soon("all", () => document.querySelectorAll("[data-live-id]").forEach((element) => tell(element, "live:changed", {})));
  announce("live:events");
}

const WORDS = { live: "Live", behind: "Not up to date", reconnecting: "Reconnecting", polling: "Polling every 5 s" };
let connection = "";
let isBehind = false;
function badge(state) {
  connection = state;
  const shown = isBehind && state === "live" ? "behind" : state;
  const element = document.getElementById("connection");
  if (!element || element.dataset.state === shown) return;
  element.dataset.state = shown;
  element.textContent = WORDS[shown];
  element.title = shown === "behind" ? "A part of this page could not be refreshed. It is tried again." : "";
}
export function setBehind(value) {
  isBehind = value;
  if (connection) badge(connection);
}

let downSince = null;
let polling = null;
function down() {
  if (downSince !== null) return;
  downSince = setTimeout(() => {
    badge("polling");
    polling = setInterval(() => { if (!document.hidden) tell(body, "live:poll"); }, POLL_MS);
    tell(body, "live:poll");
  }, POLL_MS);
  badge("reconnecting");
}
function up() {
  clearTimeout(downSince);
  clearInterval(polling);
  downSince = polling = null;
  badge("live");
  tell(body, "live:resync");
}

function connect() {
  const socket = io(body.dataset.live, {
    transports: ["websocket"],
    reconnectionDelay: 500,
    reconnectionDelayMax: 5000,
    randomizationFactor: 0.5,
    auth: { page: document.querySelector("[data-viewing]")?.dataset.viewing ?? "" }, // its room: who else looks at it
  });
  socket.on("connect", up);
  socket.on("disconnect", (reason) => {
    down();
    if (reason === "io server disconnect") setTimeout(() => socket.connect(), 2000); // the hub restarts, or the session ended
  });
  socket.on("connect_error", () => {
    down();
    if (!socket.active) setTimeout(() => socket.connect(), POLL_MS); // refused: signed out elsewhere, perhaps signed in again
  });
  socket.on("event.changed", eventsChanged);
  socket.on("notification.created", (message) => soon("live:notifications", () => tell(body, "live:notifications", message)));
  socket.on("subscription.changed", () => announce("live:subscriptions"));
  socket.on("bulk.changed", () => announce("live:bulk"));
  socket.on("transfer.changed", () => announce("live:transfers"));
  socket.on("viewers.changed", () => announce("live:viewers"));
  socket.on("worker.changed", () => announce("live:workers"));
  // A tab that comes back from sleep may have missed anything.
  let hiddenAt = 0;
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) hiddenAt = Date.now();
    else if (Date.now() - hiddenAt > 30000) tell(body, "live:resync");
  });
}

if (body.dataset.live) connect();
else document.getElementById("connection")?.remove();
