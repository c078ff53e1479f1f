// Notifications of the browser itself: asked for only when a person presses the button on the preferences page.
const state = document.getElementById("push-state");
const button = document.getElementById("push-on");
const say = (text) => { state.textContent = text; };

function keyBytes(text) {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (char) => char.charCodeAt(0));
}

async function send(subscription) {
  const { endpoint, keys } = subscription.toJSON();
  const token = document.querySelector("meta[name=csrf-token]").content;
  const answer = await fetch("/notifications/push", {
    method: "POST",
    headers: { "HX-Request": "true", "X-CSRFToken": token },
    body: new URLSearchParams({ endpoint, p256dh: keys.p256dh, auth: keys.auth }),
  });
  if (!answer.ok) throw new Error(`the hub answered ${answer.status}`);
}

async function turnOn() {
  const permission = await Notification.requestPermission();
  if (permission !== "granted") return say("The browser does not allow it. Its settings for this page can change that.");
  const worker = await navigator.serviceWorker.register("/notifications/worker.js", { scope: "/" });
  await navigator.serviceWorker.ready;
  say("This browser shows notifications while a page of the hub is open.");
  try {
    const options = { userVisibleOnly: true, applicationServerKey: keyBytes(state.dataset.pushKey) };
    await send(await worker.pushManager.subscribe(options));
    say("This browser shows notifications, also while no page of the hub is open.");
  } catch (error) {
    say(`This browser shows notifications while a page of the hub is open. Pushes could not be turned on: ${error.message}`);
  }
}

async function begin() {
  if (!("Notification" in window) || !navigator.serviceWorker) return say("This browser offers no notifications here; they need https or localhost.");
  const worker = await navigator.serviceWorker.getRegistration("/");
  if (Notification.permission === "denied") return say("The browser does not allow it. Its settings for this page can change that.");
  const on = Notification.permission === "granted" && worker;
  const pushed = on && (await worker.pushManager?.getSubscription());
  say(pushed ? "This browser shows notifications, also while no page of the hub is open." : on ? "This browser shows notifications while a page of the hub is open." : "This browser shows none yet.");
  button.hidden = Boolean(pushed);
  button.addEventListener("click", () => turnOn().catch((error) => say(`It could not be turned on: ${error.message}`)));
}
begin();
