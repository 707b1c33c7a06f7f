// The search: one strategy, or two side by side.

import * as api from "../api.js";
import { h, icon, replace } from "../dom.js";
import { best } from "../explain.js";
import { facetPanel, filterChips } from "../facets.js";
import { hitCard } from "../hit.js";
import { number, t } from "../i18n.js";
import { announce, empty, failure, loading } from "../notices.js";
import { PAGE_SIZES, REWRITES, STRATEGIES } from "../route.js";
import { degradedNotice, timings } from "../timings.js";
import { collectionSelect, labelled, noCollections, select } from "./common.js";

const MOST_FACETS = 10;

/** What was found, kept while other views are shown: `columns` are `{spec, pages, error, busy}`. */
const memory = { asked: "", columns: [], running: null, redraw: null };

/** Make the view; `update` is called when the address has changed. */
export function searchView(context) {
  const form = h("form", { class: "search-form", role: "search" });
  const results = h("div", { class: "results" });
  const element = h("div", { class: "view view-search" }, h("h1", { class: "visually-hidden" }, t("nav.search")), form, results);

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const q = form.querySelector("#q").value.trim();
    if (!q) return;
    if (q === context.state.q) memory.asked = "";  // asked again on purpose
    context.go({ q });
  });
  element.addEventListener("keydown", arrows);

  const update = () => {
    drawForm(context, form);
    ask(context);
    drawResults(context, results);
  };
  memory.redraw = () => drawResults(context, results);  // of the view that is on the screen now
  update();
  return { element, update };
}

function drawForm(context, form) {
  const { state } = context;
  const typed = form.querySelector("#q");
  if (typed) {
    // What is being typed stays when something else has changed, such as the list of collections that has come.
    if (form.dataset.q !== state.q) typed.value = form.dataset.q = state.q;
    replace(form.querySelector(".search-options"), options(context));
    return;
  }
  form.dataset.q = state.q;
  replace(form,
    h("div", { class: "search-line" },
      icon("search"),
      h("input", { type: "search", id: "q", name: "q", value: state.q, "aria-label": t("search.label"), placeholder: t("search.placeholder"), autocomplete: "off", enterkeyhint: "search", maxlength: "10000" }),
      h("kbd", { class: "search-key", "aria-hidden": "true" }, "/"),
      h("button", { type: "submit", class: "button" }, t("search.go"))),
    h("div", { class: "search-options" }, options(context)));
}

function options(context) {
  const { state } = context;
  const compare = state.compare;
  return [
    labelled(t("collection"), collectionSelect(context, "collection")),
    compare ? null : strategyFields(state, "a", (changed) => context.go(changed)),
    labelled(t("search.top"), select("top", PAGE_SIZES.map((size) => [String(size), number(size)]), String(state.top), (value) => context.go({ top: Number(value) }))),
    h("label", { class: "check" }, h("input", { type: "checkbox", id: "explain", checked: state.explain, onchange: (event) => context.go({ explain: event.target.checked }) }), t("search.explain")),
    h("label", { class: "check" }, h("input", { type: "checkbox", id: "compare", checked: compare !== null, onchange: (event) =>
      context.go({ compare: event.target.checked ? { strategy: state.strategy === "bm25" ? "hybrid" : "bm25", rewrite: "none" } : null }) }), t("search.compare")),
  ];
}

/** Strategy and rewrite of one side. */
function strategyFields(spec, side, change) {
  const strategies = STRATEGIES.map((name) => [name, t(`strategy.${name}`)]);
  return [
    labelled(t("search.strategy"), select(`strategy-${side}`, strategies, spec.strategy, (strategy) => change({ strategy }))),
    labelled(t("search.rewrite"), select(`rewrite-${side}`, REWRITES.map((name) => [name, t(`rewrite.${name}`)]), spec.rewrite, (rewrite) => change({ rewrite }))),
  ];
}

const specs = (state) => [{ strategy: state.strategy, rewrite: state.rewrite }, ...(state.compare ? [state.compare] : [])];

function body(context, spec, offset = 0) {
  const { state } = context;
  const known = context.collection()?.metadata_fields ?? [];
  return {
    query: state.q, collection: state.collection, top_k: state.top, strategy: spec.strategy,
    rewrite: spec.strategy === "bm25" ? "none" : spec.rewrite, filters: state.filters,
    explain: true, highlight: true, offset, facets: offset ? [] : known.slice(0, MOST_FACETS),
  };
}

/** Search where the address asks for something else than what was found last. */
function ask(context) {
  const { state } = context;
  if (!state.q || !context.collection()) return;
  const asked = JSON.stringify([state.q, state.collection, state.filters, state.top, specs(state)]);
  if (asked === memory.asked) return;
  memory.asked = asked;
  memory.running?.abort();
  memory.running = new AbortController();
  memory.columns = specs(state).map((spec) => ({ spec, pages: [], error: null, busy: true }));
  for (const column of memory.columns) run(context, column, 0, memory.running.signal);
}

async function run(context, column, offset, signal) {
  column.busy = true;
  try {
    const page = await api.search(body(context, column.spec, offset), signal);
    column.pages.push(page);
    column.error = null;
    if (offset === 0) announce(t("search.found", { count: number(page.hits.length), total: number(page.total) }));
  } catch (error) {
    if (error.name === "AbortError") return;
    column.error = error;
  }
  column.busy = false;
  memory.redraw();
}

function drawResults(context, results) {
  const { state } = context;
  if (context.collections.error) return replace(results, failure(context, context.collections.error, context.loadCollections));
  const { list } = context.collections;
  if (!list && !context.collection()) return replace(results, loading());
  if (list && !list.length) return replace(results, noCollections(context));
  if (!context.collection()) return replace(results, empty(t("collection.unknown", { name: state.collection }), h("p", {}, t("collection.choose"))));
  if (!state.q) return replace(results, welcome(context));
  const again = () => { memory.asked = ""; context.refresh(); };
  const facets = memory.columns[0]?.pages[0]?.facets ?? {};
  const both = memory.columns.length > 1;
  const panel = facetPanel(context, facets, { open: !both });
  return replace(results,
    filterChips(context),
    h("div", { class: `found${panel && !both ? " with-facets" : ""}` },
      panel,
      h("div", { class: both ? "columns columns-two" : "columns" },
        memory.columns.map((column, index) => drawColumn(context, column, { index, both, again })))));
}

function drawColumn(context, column, { index, both, again }) {
  const side = "AB"[index];
  const first = column.pages[0];
  const head = both
    ? h("div", { class: "column-head" }, h("h2", { class: "side" }, side),
      strategyFields(column.spec, side.toLowerCase(), (changed) =>
        context.go(index ? { compare: { ...context.state.compare, ...changed } } : changed)))
    : h("h2", { class: "visually-hidden" }, t("search.results"));
  return h("section", { class: "column", "aria-label": both ? t("search.side", { side }) : t("search.results") }, head,
    column.error ? failure(context, column.error, again) : null,
    first ? [
      summary(first, both ? column : null, index),
      degradedNotice(first.degraded),
      selfQuery(first.self_query),
      first.rewritten ? h("details", { class: "rewritten" }, h("summary", {}, t("search.rewritten")), h("div", { class: "prose" }, first.rewritten)) : null,
      hits(context, column, index, both),
    ] : null,
    column.busy ? loading(t("search.busy")) : more(context, column));
}

function summary(first, column, index) {
  const other = column && memory.columns[1 - index]?.pages[0];
  const ids = other ? new Set(other.hits.map((hit) => hit.chunk_id)) : null;
  const common = ids ? first.hits.filter((hit) => ids.has(hit.chunk_id)).length : null;
  return h("div", { class: "summary" },
    h("p", {}, t("search.total", { total: number(first.total) }),
      common === null ? null : h("span", { class: "quiet" }, " · ", t("search.common", { count: number(common), of: number(first.hits.length) }))),
    timings(first.timings_ms));
}

function selfQuery(told) {
  if (!told?.recognised.length) return null;
  const names = told.recognised.map((one) => `“${one.text}”`).join("、");
  return h("p", { class: "notice notice-plain" }, t(told.relaxed ? "self_query.relaxed" : `self_query.${told.mode}`, { names }));
}

function hits(context, column, index, both) {
  const every = column.pages.flatMap((page) => page.hits.map((hit) => [hit, page.query_id]));
  if (!every.length) return empty(t("search.nothing"), h("p", {}, t(Object.keys(context.state.filters).length ? "search.nothing.filters" : "search.nothing.hint")));
  const most = best(every.map(([hit]) => hit));
  const ranks = both ? new Map(memory.columns[1 - index].pages.flatMap((page) => page.hits).map((hit) => [hit.chunk_id, hit.rank])) : null;
  const ready = both && memory.columns[1 - index].pages.length > 0;
  return h("ol", { class: "hits" }, every.map(([hit, queryId]) =>
    hitCard(context, hit, { queryId, collection: column.pages[0].collection, most, explain: context.state.explain, beside: ready ? beside(hit, ranks.get(hit.chunk_id), "AB"[1 - index]) : null })));
}

/** What to say of a hit's place in the other search. */
function beside(hit, rank, side) {
  if (rank === undefined) return { kind: "only", text: t("search.only"), about: t("search.only.about", { side }) };
  const kind = rank === hit.rank ? "same" : rank > hit.rank ? "higher" : "lower";
  return { kind, text: `${side} #${rank}`, about: t("search.beside", { side, rank }) };
}

function more(context, column) {
  const next = column.pages.at(-1)?.next_offset;
  if (next === null || next === undefined) return null;
  return h("button", { type: "button", class: "button button-quiet more", onclick: (event) => {
    event.target.disabled = true;
    run(context, column, next, memory.running.signal);
  } }, t("search.more"));
}

function welcome(context) {
  const collection = context.collection();
  return empty(t("welcome.title"),
    h("p", {}, t("welcome.body", { collection: collection.name, documents: number(collection.documents), chunks: number(collection.chunks) })),
    h("ul", { class: "welcome-list" }, ["explain", "compare", "filter", "feedback"].map((name) => h("li", {}, h("strong", {}, t(`welcome.${name}`)), " ", t(`welcome.${name}.about`)))));
}

/** Arrows go from the search box into the hits and from hit to hit; Enter on one opens it, as on every button. */
function arrows(event) {
  // While a Chinese word is being chosen, the arrows are the input method's.
  if (event.isComposing || (event.key !== "ArrowDown" && event.key !== "ArrowUp")) return;
  const from = event.target;
  if (!(from.id === "q" || from.classList.contains("hit-title"))) return;
  const column = from.closest(".column") ?? event.currentTarget;
  const titles = [...column.querySelectorAll(".hit-title")];
  const at = titles.indexOf(from) + (event.key === "ArrowDown" ? 1 : -1);
  const to = at < 0 ? event.currentTarget.querySelector("#q") : titles[at];
  if (!to) return;
  event.preventDefault();
  to.focus();
  if (to.id !== "q") to.closest(".hit").scrollIntoView({ block: "nearest" });
}
