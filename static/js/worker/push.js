// The service worker: shows what is pushed, and opens what it is about. It caches nothing and answers no requests.
const isPath = (link) => typeof link === "string" && link.startsWith("/") && !link.startsWith("//");

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("push", (event) => {
  let told = {};
  try { told = event.data.json(); } catch { /* what cannot be read is still told of: browsers demand it */ }
  const link = isPath(told.link) ? told.link : "/notifications";
  event.waitUntil(self.registration.showNotification(told.title || "Something happened", { tag: told.id, icon: "/static/favicon.svg", data: { link } }));
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  const link = isPath(event.notification.data?.link) ? event.notification.data.link : "/notifications";
  event.waitUntil((async () => {
    const open = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
    const found = open.find((one) => new URL(one.url).pathname === link) ?? null;
    if (found) return found.focus();
    return self.clients.openWindow(link);
  })());
});
