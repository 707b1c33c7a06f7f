// Questions with answers: written as they come, each citation leading to the passage that it names.

import * as api from "../api.js";
import { citedText } from "../citations.js";
import { documentDialog } from "../dialogs.js";
import { h, icon, replace } from "../dom.js";
import { marked } from "../hit.js";
import { t } from "../i18n.js";
import { announce, empty, failure, loading } from "../notices.js";
import { degradedNotice, timings } from "../timings.js";
import { collectionSelect, labelled, noCollections } from "./common.js";

/** The conversation, kept while other views are shown: `{question, collection, text, done, error, busy, stop}`. */
const memory = { turns: [], draft: "", redraw: null };

/** Make the view. */
export function askView(context) {
  const body = h("div", {});
  const form = questionForm(context);
  const element = h("div", { class: "view view-ask" }, h("h1", { class: "visually-hidden" }, t("nav.ask")), body, form.element);
  const update = () => {
    form.update();
    const { error, list } = context.collections;
    form.element.hidden = !list?.length;
    if (error) return replace(body, failure(context, error, context.loadCollections));
    if (!list) return replace(body, loading());
    if (!list.length) return replace(body, noCollections(context));
    return replace(body, head(context, update), memory.turns.length
      ? h("div", { class: "turns" }, memory.turns.map((turn, index) => drawTurn(context, turn, index)))
      : empty(t("ask.empty"), h("p", {}, t("ask.empty.about"))));
  };
  /** Draws the turn that has changed, or all, in the view that is on the screen now. */
  memory.redraw = (turn) => {
    const index = memory.turns.indexOf(turn);
    const drawn = body.querySelectorAll(".turn")[index];
    if (drawn) drawn.replaceWith(drawTurn(context, turn, index));
    else update();
    form.update();
  };
  update();
  return { element, update };
}

function head(context, update) {
  return h("div", { class: "ask-head" },
    labelled(t("collection"), collectionSelect(context, "ask-collection")),
    memory.turns.length ? h("button", { type: "button", class: "button button-quiet", onclick: () => {
      for (const turn of memory.turns) turn.stop?.abort();
      memory.turns = [];
      update();
      document.getElementById("ask-q")?.focus();
    } }, t("ask.new")) : null);
}

/** Made once, so that what is being typed is never disturbed. */
function questionForm(context) {
  const input = h("textarea", { id: "ask-q", class: "field", rows: "2", maxlength: "10000", "aria-label": t("ask.label"), placeholder: t("ask.placeholder"), value: memory.draft,
    oninput: (event) => { memory.draft = event.target.value; },
    onkeydown: (event) => {
      // Enter that ends the choice of a Chinese word is not yet the end of the question.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      element.requestSubmit();
    } });
  const running = () => memory.turns.find((turn) => turn.busy);
  const go = h("button", { type: "submit", class: "button" }, t("ask.go"));
  const stop = h("button", { type: "button", class: "button button-quiet", onclick: () => running()?.stop.abort() }, t("ask.stop"));
  const element = h("form", { class: "ask-form", onsubmit: (event) => {
    event.preventDefault();
    const question = input.value.trim();
    if (!question || running()) return;
    memory.draft = input.value = "";
    put(context, question);
  } }, input, go, stop);
  const update = () => {
    go.hidden = Boolean(running());
    stop.hidden = !running();
    if (document.activeElement !== input) input.value = memory.draft;
  };
  return { element, update };
}

async function put(context, question) {
  const { collection, filters, strategy, rewrite } = context.state;
  const history = memory.turns.filter((turn) => turn.done?.answer && turn.collection === collection)
    .flatMap((turn) => [{ role: "user", content: turn.question }, { role: "assistant", content: turn.done.answer }]);
  const turn = { question, collection, text: "", done: null, error: null, busy: true, stop: new AbortController() };
  memory.turns.push(turn);
  context.refresh();
  document.querySelector(".turn:last-child")?.scrollIntoView({ block: "start" });
  try {
    const asked = { query: question, collection, strategy, rewrite: strategy === "bm25" ? "none" : rewrite, highlight: true, filters, history: history.slice(-20) };
    for await (const { event, data } of api.ask(asked, turn.stop.signal)) {
      if (event === "delta") turn.text += data.text;
      else if (event === "done") turn.done = data;
      memory.redraw(turn);
    }
    if (!turn.done) turn.error = new api.ApiError(0, t("ask.torn"));
    else announce(turn.done.answer ?? turn.done.note ?? "");
  } catch (error) {
    if (error.name !== "AbortError") turn.error = error;
  }
  turn.busy = false;
  memory.redraw(turn);
}

function drawTurn(context, turn, index) {
  const { done } = turn;
  const passages = done?.contexts ?? [];
  const known = new Set(passages.map((passage) => passage.n));
  const show = done ? (n) => lead(`passage-${index}-${n}`) : null;
  const text = done ? done.answer : turn.text;
  const again = () => {
    memory.turns = memory.turns.filter((one) => one !== turn);
    put(context, turn.question);
  };
  return h("section", { class: "turn", "aria-busy": String(turn.busy), dataset: { status: done?.status ?? "" } },
    h("h2", { class: "question" }, turn.question),
    done?.standalone ? h("p", { class: "quiet small" }, t("ask.standalone"), " ", h("q", {}, done.standalone)) : null,
    h("div", { class: "answer" },
      text ? citedText(text, known, show) : null,
      turn.busy && !text ? loading(t("ask.busy")) : null,
      turn.busy && text ? h("span", { class: "caret", "aria-hidden": "true" }) : null,
      done ? status(done) : null,
      !turn.busy && !done && !turn.error ? h("p", { class: "quiet" }, t("ask.stopped")) : null),
    turn.error ? problem(context, turn.error, again) : null,
    done ? degradedNotice(done.degraded) : null,
    passages.length ? [
      h("h3", { class: "passages-title" }, t("ask.passages", { count: passages.length })),
      h("ol", { class: "passages" }, passages.map((passage) => drawPassage(context, passage, index, done))),
      timings(done.timings_ms),
    ] : null);
}

function status(done) {
  const said = done.note ?? (["no_model", "failed", "cut", "uncited"].includes(done.status) ? t(`ask.status.${done.status}`) : null);
  return [
    said ? h("p", { class: "notice notice-plain" }, said) : null,
    done.removed_citations ? h("p", { class: "quiet small" }, t("ask.removed", { count: done.removed_citations })) : null,
  ];
}

function problem(context, error, again) {
  if (error.status !== 404 || error.message !== "Not Found") return failure(context, error, again);
  return h("div", { class: "notice notice-plain", role: "status" }, icon("alert"), t("ask.no_route"));
}

function drawPassage(context, passage, index, done) {
  const cited = done.citations.some((citation) => citation.n === passage.n);
  return h("li", { class: cited ? "passage passage-cited" : "passage", id: `passage-${index}-${passage.n}`, tabindex: "-1" },
    h("span", { class: "passage-n" }, passage.n),
    h("div", {}, h("h4", {}, h("button", { type: "button", class: "hit-title", onclick: () => documentDialog(context, passage, done.collection) }, passage.title || passage.source)),
      h("p", { class: "hit-meta" }, h("span", { class: "hit-source" }, icon("file"), passage.source)),
      marked(passage.text, passage.highlights ?? [])));
}

/** Go to a passage and let it be seen which one it is. */
function lead(id) {
  const passage = document.getElementById(id);
  if (!passage) return;
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  passage.scrollIntoView({ block: "center", behavior: calm ? "auto" : "smooth" });
  passage.focus({ preventScroll: true });
  passage.classList.remove("passage-flash");
  void passage.offsetWidth;  // lets the animation begin anew
  passage.classList.add("passage-flash");
}
