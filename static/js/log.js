// The log of a handler as it comes. At its end it follows; to somebody who scrolled up nothing moves, and a button says how
// much is new. Lines of several workers may be written down out of order, so the last few are asked for again.
const NEAR = 24; // pixels from the end
const KEPT = 1000; // lines in the page
const AGAIN = 20;

function follow(section) {
  const frame = section.querySelector(".log-frame");
  const box = frame.querySelector(".log");
  const list = box.querySelector("ol");
  const button = frame.querySelector("[data-log-new]");
  let fresh = 0;
  let busy = false;
  let again = false;

  const isAtEnd = () => box.scrollHeight - box.scrollTop - box.clientHeight < NEAR;
  const toEnd = () => { box.scrollTop = box.scrollHeight; };

  function say() {
    button.hidden = fresh === 0;
    button.textContent = `↓ ${fresh >= KEPT ? `${KEPT}+` : fresh} new ${fresh === 1 ? "line" : "lines"}`;
  }

  // Both are in order: every line is put behind the last one that is older.
  function merge(came) {
    let added = 0;
    for (const line of [...came.children]) {
      const seq = Number(line.dataset.seq);
      let at = list.lastElementChild;
      while (at && Number(at.dataset.seq) > seq) at = at.previousElementSibling;
      if (Number(at?.dataset.seq) === seq) continue;
      list.insertBefore(line, at ? at.nextElementSibling : list.firstElementChild);
      added += 1;
    }
    return added;
  }

  async function fetchOnce() {
    const url = new URL(section.dataset.log, location.href);
    url.searchParams.set("after", list.children[list.children.length - 1 - AGAIN]?.dataset.seq ?? (list.children.length < AGAIN ? "0" : list.firstElementChild.dataset.seq));
    const answer = await fetch(url, { headers: { "HX-Request": "true", "HX-Current-URL": location.href } });
    if (!answer.ok) throw new Error(`log: ${answer.status}`);
    const part = document.createElement("template");
    part.innerHTML = await answer.text(); // same origin, autoescaped; scripts in it cannot run
    const came = part.content.querySelector("ol");
    const follows = frame.hidden || isAtEnd();
    const added = merge(came);
    if (added) for (const element of [section, frame]) element.hidden = false;
    section.querySelector("[data-log-none]")?.toggleAttribute("hidden", list.children.length > 0);
    if (follows) {
      while (list.children.length > KEPT) list.firstElementChild.remove();
      toEnd();
    } else fresh += added;
    say();
    return came.dataset.more !== undefined;
  }

  async function look() {
    if (busy) { again = true; return; }
    if (fresh >= KEPT) return; // far behind, and reading: the rest is fetched on the way back to the end
    busy = true;
    try {
      do {
        again = false;
        again = await fetchOnce() || again;
      } while (again && fresh < KEPT);
    } catch { /* the badge says that the hub is away; live:resync comes when it is back */ }
    busy = false;
  }

  function release() {
    fresh = 0;
    toEnd();
    say();
    look();
  }

  button.addEventListener("click", () => { release(); box.focus(); });
  box.addEventListener("scroll", () => { if (fresh && isAtEnd()) release(); }, { passive: true });
  section.addEventListener("live:changed", look);
  for (const name of ["live:resync", "live:poll"]) document.body.addEventListener(name, look);
  toEnd();
}

document.querySelectorAll("[data-log]").forEach(follow);
