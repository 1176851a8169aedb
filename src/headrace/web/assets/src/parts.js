// Small parts of pages: menus that close, buttons that copy, forms that send themselves, rows that are one link.
export function watchParts() {
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
    const copying = event.target.closest?.("[data-copies]");
    if (copying) copy(copying);
    const row = event.target.closest?.("tr[data-href]");
    if (row && !event.target.closest("a, button, summary, details, input, label") && !String(getSelection())) {
      if (event.ctrlKey || event.metaKey) open(row.dataset.href); else location.href = row.dataset.href;
    }
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-sends]")) event.target.form.requestSubmit();
  });
  document.addEventListener("input", (event) => {
    const typed = event.target;
    if (!typed.matches("[data-confirms]")) return;
    typed.form.querySelector("button[type=submit]").disabled = typed.value !== typed.dataset.confirms;
  });
  for (const typed of document.querySelectorAll("[data-confirms]")) typed.dispatchEvent(new Event("input", { bubbles: true }));
}

async function copy(button) {
  const text = document.getElementById(button.dataset.copies).textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {  // no clipboard without https: the text is marked instead, for Ctrl+C
    getSelection().selectAllChildren(document.getElementById(button.dataset.copies));
    return;
  }
  button.dataset.copied = "";
  setTimeout(() => delete button.dataset.copied, 1500);
}
