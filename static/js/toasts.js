// Short messages: of an answer (HX-Trigger: {"toast": …}), of new notifications, of a request that failed.
// They are announced politely and never take the focus; at most three are shown, and those of errors stay.
const SHAPES = {
  succeeded: "M5 .8a4.2 4.2 0 1 1 0 8.4a4.2 4.2 0 1 1 0-8.4z",
  warning: "M5 .8 9.6 9H.4z",
  dead: "M1 1h8v8H1z",
};
const TONES = { success: "succeeded", error: "dead", info: "info" };
const STAY_MS = 6000;
const MOST = 3;
const REMEMBERED = 200; // more than one answer names
const box = document.getElementById("toasts");

function leave(toast) {
  const wait = setInterval(() => {
    if (!toast.isConnected) clearInterval(wait);
    else if (!box.matches(":hover, :focus-within")) { clearInterval(wait); toast.remove(); }
  }, STAY_MS);
}

// Room is made by the oldest that is no error, else by the oldest; what holds the focus stays.
function put(toast, stays, most = MOST) {
  while (box.children.length >= most) {
    const free = [...box.children].filter((one) => !one.matches(":focus-within"));
    (free.find((one) => !one.dataset.stays) ?? free[0] ?? box.firstElementChild).remove();
  }
  if (stays) toast.dataset.stays = "1";
  box.append(toast);
  window.htmx?.process(toast);
  if (!stays) leave(toast);
}

export function show({ text, tone = "succeeded", link = "", most = MOST }) {
  const name = TONES[tone] ?? tone;
  const toast = document.getElementById("toast-template").content.firstElementChild.cloneNode(true);
  toast.querySelector(".shape").classList.add(`state-${name}`);
  toast.querySelector(".shape path").setAttribute("d", SHAPES[name] ?? SHAPES.succeeded);
  const place = toast.querySelector(".toast-text");
  if (link.startsWith("/") && !link.startsWith("//")) {
    const anchor = document.createElement("a");
    anchor.href = link;
    place.append(anchor);
    anchor.textContent = text;
  } else {
    place.textContent = text;
  }
  put(toast, name === "dead", most);
}

document.body.addEventListener("toast", (event) => show(event.detail));
document.addEventListener("click", (event) => event.target.closest("[data-dismiss]")?.closest("[data-toast]")?.remove());
box.addEventListener("htmx:afterRequest", (event) => { if (event.detail.successful) event.target.closest("[data-toast]")?.remove(); });
box.querySelectorAll("[data-toast]").forEach(leave);

// Notifications are fetched as a part, so that permissions and words stay on the server: all that came since the
// last one seen, however long the connection was away. The hub hands out a little more; what was shown is known.
// A tab goes on where its last page was; what was there before the first page of a tab is no news.
const there = (box.dataset.seen ?? "").split(" ");
let seen = sessionStorage.getItem("seen") ?? there[0];
const known = new Set([...JSON.parse(sessionStorage.getItem("toasts") ?? "[]"), ...(seen === there[0] ? there : [])]);
sessionStorage.setItem("seen", seen);
sessionStorage.setItem("toasts", JSON.stringify([...known].slice(-REMEMBERED)));
function isNew(id) {
  if (known.has(id)) return false;
  known.add(id);
  sessionStorage.setItem("toasts", JSON.stringify([...known].slice(-REMEMBERED)));
  return true;
}

async function tellBrowser({ id, title, link }) {
  if (!document.hidden || !("Notification" in window) || Notification.permission !== "granted") return;
  const worker = await navigator.serviceWorker?.getRegistration("/");
  await worker?.showNotification(title, { tag: id, data: { link } });
}

async function fetchNew() {
  const answer = await fetch(`/notifications/toasts?after=${encodeURIComponent(seen)}`, { headers: { "HX-Request": "true" }, credentials: "same-origin" }).catch(() => null);
  if (!answer || answer.status !== 200) return;
  const part = document.createElement("template");
  part.innerHTML = await answer.text(); // same origin, autoescaped; scripts in it cannot run
  const told = part.content.querySelector("[data-seen]");
  if (!told) return;
  if (told.dataset.seen > seen) sessionStorage.setItem("seen", (seen = told.dataset.seen));
  const fresh = [...told.querySelectorAll("[data-toast]")].filter((toast) => isNew(toast.dataset.id));
  for (const toast of fresh) {
    put(toast, toast.dataset.toast === "error");
    if ("browser" in toast.dataset) tellBrowser(toast.dataset);
  }
  const more = told.dataset.others.split(" ").filter((id) => id && isNew(id)).length;
  if (more > 0) show({ text: `and ${more} more`, tone: "info", link: "/notifications?view=unread", most: MOST + 1 });
}
if (document.body.dataset.live) for (const name of ["live:notifications", "live:resync", "live:poll"]) document.body.addEventListener(name, fetchNew);
