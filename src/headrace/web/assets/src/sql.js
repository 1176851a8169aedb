// A textarea with `data-sql` becomes an editor: highlighting, completion from the schema, Ctrl+Enter. The textarea stays
// and holds the text, so that forms post as they did. The editor lives in a shadow root: its styles are adopted sheets
// there, which the content security policy allows, where style elements would be refused.
import { EditorView, basicSetup } from "codemirror";
import { sql, PostgreSQL } from "@codemirror/lang-sql";
import { Prec } from "@codemirror/state";
import { keymap } from "@codemirror/view";
import { HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { tags } from "@lezer/highlight";

const theme = EditorView.theme({
  "&": { fontSize: "13px", backgroundColor: "transparent", color: "var(--foreground)", height: "100%" },
  "&.cm-focused": { outline: "none" },
  ".cm-content": { fontFamily: "var(--font-mono)", caretColor: "var(--foreground)", padding: "10px 0" },
  ".cm-gutters": { backgroundColor: "transparent", color: "var(--muted-foreground)", border: "none" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "color-mix(in oklab, var(--foreground) 4%, transparent)" },
  ".cm-cursor": { borderLeftColor: "var(--foreground)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": { backgroundColor: "color-mix(in oklab, var(--primary) 22%, transparent)" },
  ".cm-tooltip": { backgroundColor: "var(--popover)", color: "var(--popover-foreground)", border: "1px solid var(--border)", borderRadius: "6px" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { backgroundColor: "var(--primary)", color: "var(--primary-foreground)" },
});
const colours = HighlightStyle.define([
  { tag: tags.keyword, color: "var(--primary-text)", fontWeight: "600" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--green-text)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--amber-text)" },
  { tag: tags.comment, color: "var(--muted-foreground)", fontStyle: "italic" },
]);

for (const text of document.querySelectorAll("textarea[data-sql]")) {
  const host = document.createElement("div");
  host.className = "editor";
  text.after(host);
  text.hidden = true;
  const schema = text.dataset.sql ? JSON.parse(text.dataset.sql) : {};
  const view = new EditorView({
    doc: text.value, root: host.attachShadow({ mode: "open" }),
    extensions: [
      Prec.highest(keymap.of([{ key: "Mod-Enter", run: () => { text.form.requestSubmit(text.form.querySelector("[data-runs]")); return true; } }])),
      basicSetup, sql({ dialect: PostgreSQL, schema, upperCaseKeywords: false }), theme, syntaxHighlighting(colours), EditorView.lineWrapping,
      EditorView.contentAttributes.of({ "aria-label": text.getAttribute("aria-label") ?? "SQL" }),
      EditorView.updateListener.of((update) => {
        if (update.docChanged) { text.value = update.state.doc.toString(); text.dispatchEvent(new Event("input", { bubbles: true })); }
      }),
    ],
  });
  view.root.append(view.dom);
  text.insertAtCursor = (words) => { view.dispatch(view.state.replaceSelection(words)); view.focus(); };
}
