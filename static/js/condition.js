// The rows of a condition: shows the inputs that the chosen operator has, and offers the operators that fit the field.
// The hub renders the same; this only saves the way there while somebody types.

const TEXT = new Set(["eq", "ne", "in", "not_in", "prefix", "suffix", "contains", "glob", "cidr", "exists", "missing"]);
const TIME = new Set(["before", "after", "exists", "missing"]);
const NUMBER = new Set(["eq", "ne", "in", "not_in", "gt", "gte", "lt", "lte", "between"]);

function fitting(field) {
  if (field === "time") return TIME;
  if (field === "version") return NUMBER;
  return /^(type|source|subject|id|label\..*)$/.test(field) ? TEXT : null;
}

function show(row) {
  const op = row.querySelector(".row-op");
  const chosen = op.selectedOptions[0];
  row.dataset.shape = chosen.dataset.shape;
  row.dataset.folds = chosen.dataset.folds;
  row.dataset.as = row.querySelector(".row-as").value;
  row.querySelector(".row-value").placeholder = chosen.dataset.hint;
}

function offer(row) {
  const fits = fitting(row.querySelector(".row-field").value.trim());
  const op = row.querySelector(".row-op");
  for (const option of op.options) option.hidden = Boolean(fits && !fits.has(option.value));
  if (op.selectedOptions[0].hidden) op.value = [...op.options].find((option) => !option.hidden).value;
  show(row);
}

document.addEventListener("change", ({ target }) => {
  const row = target.closest?.(".condition-row");
  if (!row) return;
  if (target.matches(".row-field")) offer(row);
  else if (target.matches(".row-op, .row-as")) show(row);
});
