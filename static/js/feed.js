// Lists that follow: on top of the page they fetch themselves again; while someone reads, selects or works further
// down, nothing moves and a button says how many are new.
const READING_BELOW = 160; // pixels scrolled

function isRead(feed) {
  const selection = document.getSelection();
  const selecting = selection && !selection.isCollapsed && feed.contains(selection.anchorNode);
  return scrollY > READING_BELOW || selecting || feed.contains(document.activeElement) || feed.querySelector(":popover-open, details[open]");
}

const follows = (feed) => feed.dataset.feed === "newest" && !isRead(feed);

document.body.addEventListener("live:events", () => {
  for (const feed of document.querySelectorAll("[data-feed]")) {
    if (follows(feed)) window.htmx.trigger(feed, "feed:refresh");
    else if (feed.dataset.feedCount) window.htmx.trigger(document.querySelector(feed.dataset.feedCount), "feed:count");
  }
});

// A list that is about to fetch itself does not need its rows to do so one by one.
document.addEventListener("live:changed", (event) => {
  const feed = event.target.closest("[data-feed]");
  if (feed && follows(feed)) event.stopPropagation();
}, true);

// Rows that were not there before are shown as new.
let before = new Set();
const rows = (feed) => [...feed.querySelectorAll("[data-live-id]")];
document.body.addEventListener("htmx:beforeSwap", (event) => {
  const feed = event.detail.target?.closest?.("[data-feed]");
  before = new Set(feed ? rows(feed).map((row) => row.dataset.liveId) : []);
});
document.body.addEventListener("htmx:afterSettle", (event) => {
  const feed = event.target.closest?.("[data-feed]");
  if (!feed || before.size === 0) return;
  for (const row of rows(feed)) if (!before.has(row.dataset.liveId)) row.classList.add("row-new");
  before = new Set();
});

// A panel that says the same as before stays as it is: a button must not vanish under the finger that presses it.
const plain = (element) => {
  const copy = element.cloneNode(true);
  copy.querySelectorAll("input[name=csrf_token]").forEach((input) => input.removeAttribute("value"));
  copy.querySelectorAll("time[data-ago], time[data-until], time[data-since]").forEach((time) => { time.textContent = ""; });
  copy.querySelectorAll("[hx-preserve]").forEach((kept) => kept.replaceWith(kept.id)); // they stay, whatever comes
  copy.querySelectorAll("details").forEach((details) => { details.open = false; });
  for (const one of [copy, ...copy.querySelectorAll("*")]) {
    one.removeAttribute("hx-swap-oob");
    one.classList.remove("htmx-added", "htmx-settling", "htmx-swapping", "htmx-request");
  }
  return copy.outerHTML.replace(/\s+/g, " ");
};
document.body.addEventListener("htmx:oobBeforeSwap", (event) => {
  const { target, fragment } = event.detail;
  const fresh = fragment.firstElementChild;
  if (fresh && plain(fresh) === plain(target)) event.detail.shouldSwap = false;
});
