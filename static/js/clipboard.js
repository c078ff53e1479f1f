// Copy buttons: data-copy names an element, data-copy-text holds the text. The Clipboard API needs a secure
// context; a hub on plain HTTP falls back to the old command.
async function write(text) {
  if (navigator.clipboard && window.isSecureContext) {
    await navigator.clipboard.writeText(text);
    return true;
  }
  const area = document.createElement("textarea");
  area.value = text;
  area.readOnly = true;
  area.className = "visually-hidden";
  document.body.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  return copied;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy], [data-copy-text]");
  if (!button) return;
  const text = button.dataset.copyText ?? document.querySelector(button.dataset.copy)?.textContent ?? "";
  const copied = await write(text).catch(() => false);
  const label = button.textContent.trim();
  if (!label) {
    document.body.dispatchEvent(new CustomEvent("toast", { detail: copied ? { text: "Copied" } : { text: "Could not copy", tone: "dead" } }));
    return;
  }
  button.textContent = copied ? "Copied" : "Could not copy";
  button.focus();
  setTimeout(() => { button.textContent = label; }, 1500);
});
