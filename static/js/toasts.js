// Short messages: of an answer (HX-Trigger: {"toast": …}), of a new notification, of a request that failed.
const SHAPES = {
  succeeded: "M5 .8a4.2 4.2 0 1 1 0 8.4a4.2 4.2 0 1 1 0-8.4z",
  warning: "M5 .8 9.6 9H.4z",
  dead: "M1 1h8v8H1z",
};
const TONES = { success: "succeeded", error: "dead", info: "info" };
const STAY_MS = 6000;
const box = document.getElementById("toasts");

function leave(toast) {
  const wait = setInterval(() => {
    if (!toast.isConnected) clearInterval(wait);
    else if (!toast.matches(":hover, :focus-within")) { clearInterval(wait); toast.remove(); }
  }, STAY_MS);
}

export function show({ text, tone = "succeeded", link = "" }) {
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
  while (box.children.length >= 4) box.firstElementChild.remove();
  box.append(toast);
  if (name !== "dead") leave(toast);
}

document.body.addEventListener("toast", (event) => show(event.detail));
document.addEventListener("click", (event) => event.target.closest("[data-dismiss]")?.closest("[data-toast]")?.remove());
box.querySelectorAll("[data-toast]").forEach(leave);

// Notifications are fetched as a part, so that permissions and words stay on the server.
document.body.addEventListener("live:notifications", async () => {
  const answer = await fetch("/notifications/toast", { headers: { "HX-Request": "true" }, credentials: "same-origin" }).catch(() => null);
  if (!answer || answer.status !== 200) return;
  const part = document.createElement("template");
  part.innerHTML = await answer.text(); // same origin, autoescaped; scripts in it cannot run
  const toast = part.content.querySelector("[data-toast]");
  if (!toast || document.getElementById(toast.id)) return;
  box.append(toast);
  leave(toast);
});

const MESSAGES = { 0: "The hub does not answer. It is tried again when you press the button.", 401: "You are signed out. Reload the page to sign in.", 403: "You may not do this.", 404: "This is not there any more.", 409: "Its state has changed meanwhile; the page shows it now.", 429: "Too many requests; wait a moment." };
document.body.addEventListener("htmx:responseError", (event) => {
  const { xhr, requestConfig } = event.detail;
  const told = xhr.getResponseHeader("HX-Trigger") ?? "";
  if (requestConfig.verb === "get" || told.includes('"toast"')) return; // parts that fail to refresh stay as they are
  show({ text: MESSAGES[xhr.status] ?? "The hub could not do this. Nothing was changed.", tone: "dead" });
});
document.body.addEventListener("htmx:sendError", (event) => {
  if (event.detail.requestConfig.verb !== "get") show({ text: MESSAGES[0], tone: "dead" });
});
