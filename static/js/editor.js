// JSON fields: says while typing whether the text is JSON, else where it breaks; a button lays it out.
// Only a courtesy: the hub decides, and says so in the same words beside the field.

// Browsers do not agree on how they tell where JSON breaks, and some do not tell: find it ourselves.
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const SCALAR = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;

class Scanner {
  constructor(text) { this.text = text; this.at = 0; }
  fail(expected) { throw { at: this.at, expected }; }
  skip() { while (/[ \t\r\n]/.test(this.text[this.at] ?? "")) this.at += 1; return this.text[this.at]; }
  match(pattern, expected) {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (!found) this.fail(expected);
    this.at += found[0].length;
  }
  list(close, item) {
    this.at += 1;
    if (this.skip() === close) { this.at += 1; return; }
    for (;;) {
      item();
      const next = this.skip();
      this.at += 1;
      if (next === close) return;
      if (next !== ",") { this.at -= 1; this.fail(`a comma or ${close}`); }
    }
  }
  pair() {
    this.skip();
    this.match(STRING, "a name in double quotes");
    if (this.skip() !== ":") this.fail("a colon");
    this.at += 1;
    this.value();
  }
  value() {
    const char = this.skip();
    if (char === "{") this.list("}", () => this.pair());
    else if (char === "[") this.list("]", () => this.value());
    else if (char === '"') this.match(STRING, "the end of this text, on the same line");
    else this.match(SCALAR, "a value");
  }
  document() {
    this.value();
    if (this.skip() !== undefined) this.fail("nothing more");
  }
}

export function place(text) {
  try {
    new Scanner(text).document();
    return null;
  } catch (error) {
    const before = text.slice(0, error.at).split("\n");
    return { line: before.length, column: before.at(-1).length + 1, expected: error.expected ?? "less nesting" };
  }
}

export function check(text) {
  try {
    return { ok: true, value: JSON.parse(text) };
  } catch (error) {
    const where = place(text);
    return { ok: false, text: where ? `Line ${where.line}, column ${where.column}: expected ${where.expected}` : error.message };
  }
}

function look(area) {
  const state = document.getElementById(`${area.id}-state`);
  const button = document.querySelector(`[data-format="${CSS.escape(area.id)}"]`);
  if (!state) return;
  if (area.getAttribute("aria-invalid") === "true") return; // the hub has said what is wrong; until it is touched
  const empty = !area.value.trim();
  const result = empty ? null : check(area.value);
  if (button) { button.hidden = false; button.disabled = !result?.ok; }
  if (result) state.dataset.ok = result.ok; else delete state.dataset.ok;
  const text = result ? (result.ok ? "Valid JSON" : result.text) : "";
  if (state.textContent !== text) state.textContent = text;
}

const editors = () => document.querySelectorAll("textarea[data-json]");

document.addEventListener("input", ({ target }) => {
  if (!target.matches?.("textarea[data-json]")) return;
  target.removeAttribute("aria-invalid");
  const refusal = document.getElementById(`${target.id}-error`);
  if (refusal) refusal.hidden = true;
  look(target);
});
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
