// Keys: `/` to the filter, `g` and a letter to a section, Esc closes, Ctrl+Enter does the main thing of a form.
const SECTIONS = { d: "/destinations", s: "/sources", m: "/models", y: "/syncs", r: "/runs", c: "/calls", e: "/settings" };
const WRITING = "input, textarea, select, [contenteditable]";
let waiting = 0;

export function watchKeys() {
  document.addEventListener("keydown", (event) => {
    const writing = event.target.closest?.(WRITING);
    if (event.key === "Escape") return close(event, writing);
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      const form = event.target.closest?.("form") ?? document.querySelector("form[data-main]");
      if (form) { event.preventDefault(); form.requestSubmit(); }
      return;
    }
    if (writing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/") {
      const filter = document.querySelector("[data-filter]");
      if (filter) { event.preventDefault(); filter.focus(); filter.select(); }
    } else if (event.timeStamp - waiting < 1200 && SECTIONS[event.key]) {
      waiting = 0;
      location.href = SECTIONS[event.key];
    } else {
      waiting = event.key === "g" ? event.timeStamp : 0;
    }
  });
}

function close(event, writing) {
  const menu = document.querySelector("details.menu[open]");
  if (menu) { menu.open = false; menu.querySelector("summary").focus(); return; }
  if (writing) { writing.blur(); return; }
  const closing = document.querySelector("[data-closes]");
  if (closing && !document.querySelector("dialog[open]")) { event.preventDefault(); closing.click(); }
}
