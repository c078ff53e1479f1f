// Long work told to those who cannot see its bar: where it stands when the page is opened, every quarter, its pauses
// and its end. Ticks in between are silent. The part that shows the work is fetched again and again, so what was
// told is remembered here, and the words go to a place of their own that is never replaced.
const told = new Map(); // id -> what was said last

const voice = document.createElement("p");
voice.className = "visually-hidden";
voice.id = "work-voice";
voice.setAttribute("role", "status");
voice.setAttribute("aria-live", "polite");
document.body.append(voice);

const quarter = (percent) => (percent === "" ? -1 : Math.floor(Number(percent) / 25));
const WORDS = { done: "done", aborted: "aborted", paused: "paused", counting: "counting" };

export function sentence({ label, state, percent, left, said }) {
  if (state === "running") return `${label}: ${[percent === "" ? "has begun" : `${percent} percent`, left].filter(Boolean).join(", ")}`;
  return `${label}: ${WORDS[state] ?? state}${said ? `. ${said}` : ""}`;
}

export function hear(element) {
  const { work, state, percent } = element.dataset;
  const now = state === "running" ? `running ${quarter(percent)}` : state;
  if (told.get(work) === now) return "";
  told.set(work, now);
  return sentence(element.dataset);
}

function listen() {
  const words = [...document.querySelectorAll("[data-work]")].map(hear).filter(Boolean);
  if (words.length) voice.textContent = words.join(". ");
}

setTimeout(listen, 500); // a live region must have been there before it speaks
document.body.addEventListener("htmx:afterSettle", listen);
