// The live tail: hints say that something came; what came is fetched in one batch, at most once a second, and put where
// it belongs. While somebody points at it, reads further down or looks elsewhere, nothing moves and a pill counts.
const PAUSE_MS = 1000;
const KEPT = 200; // rows in the page
const OPEN_ASKED = 30;
const READING_BELOW = 160; // pixels scrolled

const tail = document.getElementById("tail");
const list = tail.querySelector("[data-tail-list]");
const pill = tail.querySelector("[data-tail-pill]");
const button = document.querySelector("[data-tail-pause]");
const state = tail.querySelector("[data-tail-state]");
const empty = tail.querySelector("[data-tail-empty]");
const rowsOf = () => list.tBodies[0].rows;
let stopped = false;
let pointed = false;
let timer = null;
let again = false;
let newest = rowsOf()[0]?.dataset.uid ?? "";

function isHeld() {
  const selection = document.getSelection();
  return stopped || pointed || scrollY > READING_BELOW || list.contains(document.activeElement)
    || Boolean(selection && !selection.isCollapsed && list.contains(selection.anchorNode));
}

function say() {
  const text = stopped ? "Paused" : isHeld() ? "Standing still while you read" : "Following";
  if (state.textContent !== text) state.textContent = text;
  tail.dataset.held = isHeld() ? "yes" : "no";
}

const address = (base, values) => {
  const url = new URL(base, location.href);
  for (const [name, value] of Object.entries(values)) if (value) url.searchParams.set(name, value);
  return url;
};
async function part(url) {
  const answer = await fetch(url, { headers: { "HX-Request": "true", "HX-Current-URL": location.href } });
  if (answer.status === 401) location.reload(); // the session has ended
  if (!answer.ok) throw new Error(`tail: ${answer.status}`);
  const template = document.createElement("template");
  template.innerHTML = await answer.text();
  return template.content.firstElementChild;
}

// Both are newest first: one walk puts every row where it belongs.
function merge(came) {
  let at = rowsOf()[0] ?? null;
  let added = 0;
  for (const row of [...came.rows]) {
    while (at && at.dataset.uid > row.dataset.uid) at = at.nextElementSibling;
    if (at?.dataset.uid === row.dataset.uid) {
      const next = at.nextElementSibling;
      if (at.dataset.open !== undefined || row.dataset.open !== undefined) at.replaceWith(row);
      at = next;
    } else if (at || rowsOf().length < KEPT) {
      list.tBodies[0].insertBefore(row, at);
      added += 1;
    }
  }
  const rows = rowsOf();
  while (rows.length > KEPT) rows[rows.length - 1].remove();
  newest = rows[0]?.dataset.uid ?? "";
  empty.hidden = rows.length > 0;
  return added;
}

async function follow() {
  const open = [...list.querySelectorAll("tr[data-open]")].slice(0, OPEN_ASKED).map((row) => row.dataset.uid).join(",");
  const came = await part(address(tail.dataset.rows, { after: newest, open }));
  if (isHeld()) return count();
  const added = merge(came);
  pill.hidden = true;
  if (came.dataset.more !== undefined) state.textContent = "Following; more came at once than are shown, all are in Events";
  document.dispatchEvent(new CustomEvent("tail:followed", { detail: { added, more: came.dataset.more !== undefined } }));
}

async function count() {
  const told = await part(address(tail.dataset.newer, { after: newest }));
  pill.hidden = told.dataset.count === "0";
  pill.textContent = `↑ ${told.textContent}`;
}

async function look() {
  if (document.hidden) return; // what came meanwhile is fetched when somebody looks again
  say();
  try {
    await (isHeld() ? count() : follow());
  } catch { /* the badge says that the hub is away; live:resync comes when it is back */ }
}

// The first hint is followed at once, those within the pause become one look at its end.
function soon() {
  if (timer) { again = true; return; }
  const begun = performance.now();
  timer = -1;
  look().finally(() => {
    timer = setTimeout(() => { timer = null; if (again) { again = false; soon(); } }, Math.max(0, PAUSE_MS - (performance.now() - begun)));
  });
}

function release() {
  say();
  if (!isHeld()) soon();
}

if (tail.dataset.rows) {
  button.hidden = false;
  button.addEventListener("click", () => {
    stopped = !stopped;
    button.setAttribute("aria-pressed", stopped);
    button.textContent = stopped ? "Follow" : "Pause";
    release();
  });
  pill.addEventListener("click", () => {
    if (stopped) button.click();
    pointed = false;
    document.activeElement?.blur();
    document.getSelection()?.removeAllRanges();
    scrollTo({ top: 0 });
    soon();
  });
  list.addEventListener("pointerenter", (event) => { if (event.pointerType === "mouse") { pointed = true; say(); } });
  list.addEventListener("pointerleave", () => { pointed = false; release(); });
  list.addEventListener("focusout", () => setTimeout(release));
  addEventListener("scroll", () => { if (tail.dataset.held !== (isHeld() ? "yes" : "no")) release(); }, { passive: true });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) soon(); });
  for (const name of ["live:events", "live:resync", "live:poll"]) document.body.addEventListener(name, soon);
  say();
}
