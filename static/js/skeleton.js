// Parts with data-skeleton are asked for again by a person, and answers may take their time: meanwhile a skeleton stands
// over what was there, so the place keeps its height. Quick answers show none. What refreshes itself shows none either.
const LATE_MS = 150;

export const placeOf = (target) => target?.closest?.("[data-skeleton]") ?? target?.querySelector?.("[data-skeleton]");

document.body.addEventListener("htmx:beforeRequest", ({ detail }) => {
  const place = detail.target.querySelector(".skeleton")?.parentElement ?? placeOf(detail.target);
  if (!place) return;
  place.setAttribute("aria-busy", "true");
  if ("skeleton" in place.dataset) setTimeout(() => { if (place.ariaBusy === "true") place.dataset.skeleton = "shown"; }, LATE_MS);
  detail.requestConfig.place = place;
});
document.body.addEventListener("htmx:afterRequest", ({ detail }) => {
  const { place } = detail.requestConfig;
  if (!place) return;
  place.removeAttribute("aria-busy");
  if ("skeleton" in place.dataset) place.dataset.skeleton = "";
});
