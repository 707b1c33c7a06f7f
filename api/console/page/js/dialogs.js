// The dialogs: the API key, the keyboard, and a document with its chunks and the questions they learnt.

import * as api from "./api.js";
import { h, iconButton, replace } from "./dom.js";
import { number, t } from "./i18n.js";
import { failure, loading } from "./notices.js";
import { apiKey, recall, remember, setApiKey } from "./store.js";

let count = 0;

/** Open a dialog over the page; the browser keeps the focus in it, Escape closes it, and the focus goes back. */
export function dialog(title, body, { wide = false } = {}) {
  const name = `dialog-${++count}`;
  const before = document.activeElement;
  const box = h("dialog", { class: wide ? "dialog dialog-wide" : "dialog", "aria-labelledby": name },
    h("header", { class: "dialog-head" }, h("h2", { id: name }, title), iconButton("close", t("close"), { onclick: () => box.close() })),
    h("div", { class: "dialog-body" }, body));
  box.addEventListener("close", () => {
    box.remove();
    if (before?.isConnected) before.focus();
  });
  box.addEventListener("click", (event) => event.target === box && box.close());
  document.body.append(box);
  box.showModal();
  return box;
}

/** Ask for the API key of this tab, and go on with `then`. */
export function keyDialog(then) {
  const input = h("input", { type: "password", id: "api-key", autocomplete: "off", spellcheck: "false", value: apiKey(), class: "field" });
  const wrong = h("p", { class: "field-error", role: "alert" });
  const save = (event) => {
    event.preventDefault();
    const key = input.value.trim();
    if (/[^\x21-\x7e]/.test(key)) {
      wrong.textContent = t("key.invalid");
      return;
    }
    setApiKey(key);
    box.close();
    then?.();
  };
  const form = h("form", { class: "stack", onsubmit: save },
    h("p", {}, t("key.about")),
    h("label", { for: "api-key" }, t("key.label")), input, wrong,
    h("p", { class: "row" },
      h("button", { type: "submit", class: "button" }, t("key.save")),
      h("button", { type: "button", class: "button button-quiet", onclick: () => { setApiKey(""); box.close(); then?.(); } }, t("key.forget"))));
  const box = dialog(t("key.title"), form);
  input.focus();
}

/** Whether keys without a modifier act; who speaks to the computer may want them off (WCAG 2.1.4). */
export const singleKeys = () => recall("keys") !== "off";

/** Show the keyboard's shortcuts. */
export function keyboardDialog() {
  const row = (keys, what) => h("div", { class: "shortcut" }, h("dt", {}, keys.map((key) => h("kbd", {}, key))), h("dd", {}, what));
  const box = h("input", { type: "checkbox", checked: singleKeys(), onchange: (event) => remember("keys", event.target.checked ? "on" : "off") });
  dialog(t("keys.title"), [
    h("dl", { class: "shortcuts" },
      row(["/"], t("keys.search")), row(["↓", "↑"], t("keys.move")), row(["Enter"], t("keys.open")),
      row(["Esc"], t("keys.escape")), row(["?"], t("keys.help"))),
    h("label", { class: "check" }, box, t("keys.single")),
  ]);
}

/** Show a document; `chunkId` is scrolled to and marked. */
export async function documentDialog(context, hit, collection) {
  const body = h("div", { class: "document" }, loading());
  const box = dialog(hit.title || hit.source || hit.doc_id, body, { wide: true });
  const load = async () => {
    replace(body, loading());
    try {
      replace(body, documentBody(await api.document_(collection, hit.doc_id), hit.chunk_id));
      box.querySelector(".chunk-here")?.scrollIntoView({ block: "center" });
    } catch (error) {
      replace(body, failure(context, error, load));
    }
  };
  await load();
}

function documentBody(told, chunkId) {
  const facts = Object.entries(told.metadata).map(([field, value]) => [field, [value].flat().join("、")]);
  return [
    h("dl", { class: "facts" }, [[t("document.source"), told.source], ...facts].map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
    h("p", { class: "quiet" }, t("document.chunks", { count: number(told.chunks.length) })),
    told.chunks.map((chunk) =>
      h("section", { class: chunk.chunk_id === chunkId ? "chunk chunk-here" : "chunk" },
        chunk.heading ? h("h3", { class: "chunk-heading" }, chunk.heading) : null,
        h("div", { class: "prose" }, chunk.text),
        chunk.questions.length
          ? h("details", { class: "learnt", open: chunk.chunk_id === chunkId },
            h("summary", {}, t("document.questions", { count: chunk.questions.length })),
            h("ul", {}, chunk.questions.map((question) => h("li", {}, question))))
          : null)),
  ];
}
