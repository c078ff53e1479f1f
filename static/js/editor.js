// JSON fields: says while typing whether the text is JSON, else where it breaks; a button lays it out.
// Only a courtesy: the hub decides, and says so in the same words beside the field.

// V8 says "position 12" or "line 2 column 3", Firefox "line 2 column 3", Safari neither.
export function place(text, message) {
  const lined = /line (\d+) column (\d+)/.exec(message);
  if (lined) return { line: Number(lined[1]), column: Number(lined[2]) };
  const at = /position (\d+)/.exec(message);
  const end = at ? Number(at[1]) : /end of|unexpected eof|unterminated/i.test(message) ? text.length : null;
  if (end === null) return null;
  const before = text.slice(0, end).split("\n");
  return { line: before.length, column: before.at(-1).length + 1 };
}

export function check(text) {
  try {
    return { ok: true, value: JSON.parse(text) };
  } catch (error) {
    const where = place(text, error.message);
    const what = error.message.replace(/^JSON\.parse: /, "").replace(/(,? \.\.\.| in JSON at position| at line \d+ column).*$/s, "").replace(/ \(line.*$/s, "");
    return { ok: false, text: where ? `Line ${where.line}, column ${where.column}: ${what}` : what };
  }
}

function look(area) {
  const state = document.getElementById(`${area.id}-state`);
  const button = document.querySelector(`[data-format="${CSS.escape(area.id)}"]`);
  if (!state) return;
  const empty = !area.value.trim();
  const result = empty ? null : check(area.value);
  if (button) { button.hidden = false; button.disabled = !result?.ok; }
  if (result) state.dataset.ok = result.ok; else delete state.dataset.ok;
  const text = result ? (result.ok ? "Valid JSON" : result.text) : "";
  if (state.textContent !== text) state.textContent = text;
}

const editors = () => document.querySelectorAll("textarea[data-json]");

document.addEventListener("input", (event) => { if (event.target.matches?.("textarea[data-json]")) look(event.target); });
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-format]");
  const area = button && document.getElementById(button.dataset.format);
  if (!area) return;
  const result = check(area.value);
  if (result.ok && exactly(area.value)) area.value = JSON.stringify(result.value, null, 2);
  look(area);
});

// Laying out must not change a number (9007199254740993, 1.10): then the text is left alone.
function exactly(text) {
  const bare = (json) => json.replace(/"(?:[^"\\]|\\.)*"/gs, '""').replace(/\s+/g, "");
  return bare(text) === bare(JSON.stringify(JSON.parse(text)));
}

// Enter keeps the indent; Ctrl+Enter submits. Tab still leaves the field.
document.addEventListener("keydown", (event) => {
  const area = event.target;
  if (event.key !== "Enter" || event.ctrlKey || event.metaKey || !area.matches?.("textarea[data-json]")) return;
  const line = area.value.slice(0, area.selectionStart).split("\n").at(-1);
  const indent = /^\s*/.exec(line)[0] + (/[{[]\s*$/.test(line) ? "  " : "");
  if (!indent) return;
  event.preventDefault();
  area.setRangeText(`\n${indent}`, area.selectionStart, area.selectionEnd, "end");
  area.dispatchEvent(new Event("input", { bubbles: true }));
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.matches?.("textarea[data-json]")) event.target.form?.requestSubmit();
});

editors().forEach(look);
document.body.addEventListener("htmx:load", () => editors().forEach(look));
