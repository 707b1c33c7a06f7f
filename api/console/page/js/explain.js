// Why a hit is where it is: a bar for each leg, what BM25 matched, the pseudo-question that was nearest.

import { h } from "./dom.js";
import { number, t } from "./i18n.js";

const LEGS = ["bm25", "text_sem", "questions"];
const sigmoid = (logit) => 1 / (1 + Math.exp(-logit));

/** The best score of each leg among hits: bars of scores without an upper end are shares of it. */
export function best(hits) {
  const most = {};
  for (const hit of hits) {
    for (const leg of LEGS) most[leg] = Math.max(most[leg] ?? 0, hit.explain?.[leg]?.score ?? 0);
    most.rrf = Math.max(most.rrf ?? 0, hit.explain?.rrf ?? 0);
  }
  return most;
}

/** The explanation of a hit as a list of rows; null where it has none. */
export function explanation(hit, most) {
  const told = hit.explain;
  if (!told) return null;
  const rows = LEGS.filter((leg) => most[leg]).map((leg) => legRow(leg, told[leg], most));
  const fused = told.convex ?? told.rrf;
  if (fused !== undefined) {
    const share = told.convex ?? told.rrf / (most.rrf || 1);
    const note = told.convex !== undefined && told.rrf !== undefined ? `RRF ${number(told.rrf, 4)}` : null;
    rows.push(row("fused", { share, value: number(fused, told.convex === undefined ? 4 : 3), note }));
  }
  if (told.cross_encoder !== undefined) {
    const share = sigmoid(told.cross_encoder);
    rows.push(row("cross_encoder", { share, value: number(share, 3), note: t("explain.logit", { value: number(told.cross_encoder, 2) }) }));
  }
  return h("div", { class: "explain" },
    h("ul", { class: "legs", "aria-label": t("explain.title", { rank: hit.rank }) }, rows),
    matchedQuestion(told.questions), matchedWords(told.bm25));
}

function legRow(leg, placed, most) {
  if (!placed) return row(leg, { share: 0, value: t("explain.absent"), absent: true });
  // A cosine goes from 0 to 1 as (1 + cosine) / 2; BM25 has no upper end.
  const share = leg === "bm25" ? placed.score / most.bm25 : placed.score;
  return row(leg, { share, rank: placed.rank, value: number(placed.score, leg === "bm25" ? 1 : 3) });
}

function row(leg, { share, value, rank, note, absent }) {
  const width = `${Math.round(1000 * Math.min(1, Math.max(0, share))) / 10}%`;
  return h("li", { class: `leg leg-${leg}${absent ? " leg-absent" : ""}`, title: t(`leg.${leg}.about`) },
    h("span", { class: "leg-name" }, t(`leg.${leg}`)),
    h("span", { class: "leg-rank" }, rank ? `#${rank}` : ""),
    h("span", { class: "leg-bar", "aria-hidden": "true" }, h("span", { class: "leg-fill", style: { width } })),
    h("span", { class: "leg-value" }, value),
    h("span", { class: "leg-note" }, note));
}

function matchedQuestion(placed) {
  if (!placed?.matched) return null;
  return h("p", { class: "matched" }, h("span", { class: "matched-label" }, t("explain.matched")),
    h("q", {}, placed.matched));
}

function matchedWords(placed) {
  if (!placed?.words?.length && !Object.keys(placed?.synonyms ?? {}).length && !placed?.bigrams?.length) return null;
  const hidden = new Set(placed.in_questions ?? []);
  const word = (text, from) => h("span", { class: `word${hidden.has(text) ? " word-hidden" : ""}`, title: hidden.has(text) ? t("explain.in_questions") : null },
    text, from && h("span", { class: "word-from" }, t("explain.for", { word: from })));
  const shown = [
    ...(placed.words ?? []).map((text) => word(text)),
    ...Object.entries(placed.synonyms ?? {}).map(([text, from]) => word(text, from)),
    ...(placed.bigrams ?? []).map((text) => h("span", { class: "word word-run", title: t("explain.bigrams") }, text)),
  ];
  return h("p", { class: "words" }, h("span", { class: "matched-label" }, t("explain.words")), shown,
    hidden.size ? h("span", { class: "words-note" }, t("explain.in_questions_note")) : null);
}
