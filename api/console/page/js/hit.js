// One hit: its title opens the document, its text is marked, its place explained, and thumbs say what it was worth.

import * as api from "./api.js";
import { documentDialog } from "./dialogs.js";
import { h, icon } from "./dom.js";
import { explanation } from "./explain.js";
import { pieces } from "./highlight.js";
import { number, t } from "./i18n.js";
import { announce } from "./notices.js";

const LONG = 420;

/**
 * Draw a hit. `shown` is `{queryId, collection, most, explain, beside}`: the search it is of, the best scores for the
 * bars, whether to explain, and what to say of its place in the search beside this one.
 */
export function hitCard(context, hit, shown) {
  const open = () => {
    send(hit, shown.queryId, "click", said);
    documentDialog(context, hit, shown.collection);
  };
  const said = h("span", { class: "said", role: "status" });
  return h("li", { class: "hit", dataset: { chunk: hit.chunk_id } },
    h("article", {},
      h("div", { class: "hit-head" },
        h("span", { class: "hit-rank", "aria-label": t("hit.rank", { rank: hit.rank }) }, hit.rank),
        h("h3", {}, h("button", { type: "button", class: "hit-title", id: `hit-${shown.queryId}-${hit.rank}`, onclick: open }, hit.title || hit.source || hit.doc_id)),
        shown.beside ? h("span", { class: `beside beside-${shown.beside.kind}`, title: shown.beside.about }, shown.beside.text) : null,
        h("span", { class: "hit-score", title: t("hit.score.about") }, number(hit.score, 3))),
      meta(context, hit),
      marked(hit.text, hit.highlights),
      copies(hit),
      shown.explain ? explanation(hit, shown.most) : null,
      h("div", { class: "hit-foot" },
        h("div", { class: "thumbs", role: "group", "aria-label": t("feedback.label") },
          thumb("up", hit, shown, said), thumb("down", hit, shown, said)), said)));
}

/** A text with what matched marked; a long one is cut short until it is wanted. */
export function marked(text, highlights) {
  const body = h("div", { class: "prose hit-text" },
    pieces(text, highlights).map((piece) => (piece.marked ? h("mark", {}, piece.text) : piece.text)));
  if (text.length <= LONG) return body;
  body.classList.add("clamped");
  const more = h("button", { type: "button", class: "link", "aria-expanded": "false", onclick: () => {
    const closed = body.classList.toggle("clamped");
    more.textContent = t(closed ? "hit.more" : "hit.less");
    more.setAttribute("aria-expanded", String(!closed));
  } }, t("hit.more"));
  return [body, more];
}

function meta(context, hit) {
  const values = Object.entries(hit.metadata).flatMap(([field, value]) => [value].flat().map((one) => [field, String(one)]))
    .filter(([, value]) => !hit.title.includes(value));  // what the title says already
  return h("div", { class: "hit-meta" },
    hit.source ? h("span", { class: "hit-source" }, icon("file"), hit.source) : null,
    values.slice(0, 8).map(([field, value]) =>
      h("button", { type: "button", class: "tag", title: t("filter.add", { field, value }), onclick: () => context.addFilter(field, value) },
        h("span", { class: "tag-field" }, field), " ", h("span", { class: "tag-value" }, value))));
}

function copies(hit) {
  if (!hit.duplicates?.length) return null;
  return h("details", { class: "copies" }, h("summary", {}, t("hit.copies", { count: hit.duplicates.length })),
    h("ul", {}, hit.duplicates.map((copy) => h("li", {}, copy.title || copy.source, " ", h("span", { class: "quiet" }, copy.source)))));
}

function thumb(action, hit, shown, said) {
  const button = h("button", { type: "button", class: `thumb thumb-${action}`, "aria-pressed": String(hit.vote === action), title: t(`feedback.${action}`), "aria-label": t(`feedback.${action}`),
    onclick: async () => {
      if (!(await send(hit, shown.queryId, action, said))) return;
      hit.vote = action;
      for (const other of button.parentElement.children) other.setAttribute("aria-pressed", String(other === button));
      said.textContent = t("feedback.thanks");
    } }, icon(action));
  return button;
}

/** Send feedback; a refusal is said beside the thumbs, a click that could not be sent is in nobody's way. */
async function send(hit, queryId, action, said) {
  try {
    await api.feedback({ query_id: queryId, chunk_id: hit.chunk_id, action });
    return true;
  } catch (error) {
    if (action === "click") console.info("feedback was not taken:", error.message);
    else {
      said.textContent = error.message || t("error.unreachable");
      announce(said.textContent);
    }
    return false;
  }
}
