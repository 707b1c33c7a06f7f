// A report of `bothways eval --out DIR`, read and drawn in the browser: no server gets to see it.

import { bars } from "../charts.js";
import { h, icon, replace } from "../dom.js";
import { milliseconds, moment, number, t } from "../i18n.js";
import { dropZone } from "../upload.js";
import { labelled, select } from "./common.js";

const FIRST = ["hit@1", "hit@3", "hit@5", "hit@10", "mrr@10", "ndcg@10", "map"];

/** The report that is open, kept while other views are shown. */
const memory = { name: "", report: null, error: "", measure: "" };

/** Make the view. */
export function evaluationView() {
  const shown = h("div", { class: "report" });
  const update = () => {
    zone.classList.toggle("drop-small", memory.report !== null);
    replace(shown, memory.error ? h("div", { class: "notice notice-error", role: "alert" }, icon("alert"), h("p", {}, memory.error)) : null, memory.report ? drawReport(memory.report, update) : null);
  };
  const take = async ([file]) => {
    if (!file) return;
    Object.assign(memory, await read(file));
    update();
  };
  const chooser = h("input", { type: "file", id: "report-file", accept: ".json,application/json", class: "visually-hidden", onchange: (event) => take([...event.target.files]) });
  const zone = dropZone(h("label", { class: "drop", for: "report-file" }, icon("file"), h("strong", {}, t("evaluation.drop")), h("span", { class: "quiet" }, t("evaluation.about"))), take);
  const element = h("div", { class: "view view-evaluation" }, h("h1", {}, t("nav.evaluation")), chooser, zone, shown);
  update();
  return { element, update };
}

async function read(file) {
  const refused = (error) => ({ name: file.name, report: null, error });
  let report;
  try {
    report = JSON.parse(await file.text());
  } catch (error) {
    return refused(t("evaluation.not_json", { name: file.name, reason: error.message }));
  }
  const strategies = report?.strategies;
  const isReport = strategies && typeof strategies === "object" && Number.isFinite(report.queries) && Object.values(strategies).length
    && Object.values(strategies).every((row) => row && typeof row === "object" && Object.values(row).some(Number.isFinite));
  if (!isReport) return refused(t("evaluation.not_report", { name: file.name }));
  const known = Object.keys(Object.values(strategies)[0]);
  const measure = known.includes(report.measure) ? report.measure : known.includes("ndcg@10") ? "ndcg@10" : known[0];
  return { name: file.name, report, error: "", measure };
}

function drawReport(report, update) {
  const names = Object.keys(report.strategies);
  const measures = measuresOf(report);
  return [
    h("header", { class: "report-head" },
      h("h2", {}, report.collection ?? memory.name),
      h("p", { class: "quiet" }, [t("evaluation.queries", { count: number(report.queries) }), report.queries_file, report.split, report.embedding_model, moment(report.made_at)].filter(Boolean).join(" · "))),
    warnings(report),
    table(report, names, inTable(report, measures)),
    h("div", { class: "report-measure" }, labelled(t("evaluation.measure"), select("measure", measures.map((name) => [name, name]), memory.measure, (value) => { memory.measure = value; update(); document.getElementById("measure")?.focus(); }))),
    h("div", { class: "charts" }, quality(report, names), latency(report, names)),
    comparisons(report),
    slices(report, names),
  ];
}

const isTime = (name) => name.endsWith("_ms");

function measuresOf(report) {
  const known = [...new Set(Object.values(report.strategies).flatMap((row) => Object.keys(row)))].filter((name) => !isTime(name));
  return [...FIRST.filter((name) => known.includes(name)), ...known.filter((name) => !FIRST.includes(name))];
}

/** The measures of the table: those with an interval, which are the report's own choice; all are in the plot. */
function inTable(report, measures) {
  const chosen = Object.keys(Object.values(report.confidence_95 ?? {})[0] ?? {});
  return measures.filter((name) => (chosen.length ? chosen : FIRST).includes(name));
}

function warnings(report) {
  const missing = report.gold_not_in_index?.documents ?? report.gold_not_in_index?.length ?? 0;
  const said = [
    missing ? t("evaluation.missing", { count: number(missing) }) : null,
    report.leaked_queries ? t("evaluation.leaked", { count: number(report.leaked_queries) }) : null,
    ...Object.entries(report.degraded ?? {}).flatMap(([name, stages]) => Object.entries(stages).map(([stage, count]) => t("evaluation.degraded", { name, stage, count: number(count) }))),
  ].filter(Boolean);
  if (!said.length) return null;
  return h("div", { class: "notice notice-warn" }, icon("alert"), h("ul", {}, said.map((one) => h("li", {}, one))));
}

function table(report, names, measures) {
  const most = Object.fromEntries(measures.map((measure) => [measure, Math.max(...names.map((name) => report.strategies[name][measure] ?? -1))]));
  const times = ["p50_ms", "p95_ms"].filter((time) => names.some((name) => report.strategies[name][time] !== undefined));
  const cell = (name, measure) => {
    const value = report.strategies[name][measure];
    const interval = report.confidence_95?.[name]?.[measure];
    return h("td", { class: value === most[measure] ? "best" : null }, value === undefined ? "–" : number(value, 3),
      interval ? h("span", { class: "interval" }, `${number(interval[0], 3)}–${number(interval[1], 3)}`) : null);
  };
  return h("div", { class: "table-scroll", tabindex: "0", role: "region", "aria-label": t("evaluation.table") },
    h("table", {}, h("caption", { class: "visually-hidden" }, t("evaluation.table")),
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("search.strategy")), [...measures, ...times].map((name) => h("th", { scope: "col" }, name.replace("_ms", ""))))),
      h("tbody", {}, names.map((name) => h("tr", {}, h("th", { scope: "row" }, name, name === report.baseline ? h("span", { class: "interval" }, t("evaluation.baseline")) : null),
        measures.map((measure) => cell(name, measure)),
        times.map((time) => h("td", {}, report.strategies[name][time] === undefined ? "–" : milliseconds(report.strategies[name][time]))))))));
}

function quality(report, names) {
  const { measure } = memory;
  const rows = names.filter((name) => report.strategies[name][measure] !== undefined).map((name) => {
    const [low, high] = report.confidence_95?.[name]?.[measure] ?? [];
    return { label: name, value: report.strategies[name][measure], low, high, kind: name === report.baseline ? "base" : "plain" };
  });
  const baseline = report.strategies[report.baseline]?.[measure];
  const intervals = rows.some((row) => row.low !== undefined);
  return bars(intervals ? t("evaluation.with_intervals", { measure }) : measure, rows, { most: Math.min(1, Math.max(...rows.map((row) => row.high ?? row.value)) * 1.05), baseline });
}

function latency(report, names) {
  const rows = names.filter((name) => report.strategies[name].p50_ms !== undefined).flatMap((name) => [
    { label: `${name} p50`, value: report.strategies[name].p50_ms },
    { label: "p95", value: report.strategies[name].p95_ms, kind: "soft" },
  ]);
  return rows.length ? bars(t("evaluation.latency"), rows, { shown: (value) => milliseconds(value) }) : null;
}

function comparisons(report) {
  if (!report.comparisons?.length) return null;
  const signed = (value) => `${value < 0 ? "−" : "+"}${number(Math.abs(value), 3)}`;
  const heads = ["compared", "difference", "interval", "wins", "p"].map((name) => h("th", { scope: "col" }, t(`evaluation.${name}`)));
  return h("section", {}, h("h2", {}, t("evaluation.comparisons", { baseline: report.baseline, measure: report.measure })),
    h("div", { class: "table-scroll", tabindex: "0", role: "region", "aria-label": t("evaluation.comparisons", { baseline: report.baseline, measure: report.measure }) }, h("table", {}, h("thead", {}, h("tr", {}, heads)),
      h("tbody", {}, report.comparisons.map((one) => h("tr", {}, h("th", { scope: "row" }, one.name),
        h("td", {}, signed(one.difference.mean)), h("td", {}, `${signed(one.difference.low)} … ${signed(one.difference.high)}`),
        h("td", {}, `${one.better} / ${one.worse} / ${one.equal}`),
        h("td", {}, one.p_adjusted < 0.001 ? "< 0.001" : number(one.p_adjusted, 3), " ", h("span", { class: one.significant ? "verdict verdict-yes" : "verdict" }, t(one.significant ? "evaluation.significant" : "evaluation.chance")))))))));
}

function slices(report, names) {
  if (!report.slices?.length) return null;
  const title = t("evaluation.slices", { measure: report.measure });
  return h("section", {}, h("h2", {}, title),
    h("div", { class: "table-scroll", tabindex: "0", role: "region", "aria-label": title }, h("table", {},
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("evaluation.slice")), h("th", { scope: "col" }, t("evaluation.count")), names.map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, report.slices.map((one) => h("tr", {}, h("th", { scope: "row" }, `${one.field} ${one.label}`), h("td", {}, number(one.queries)),
        names.map((name) => h("td", {}, one.measured[name] ? number(one.measured[name].mean, 3) : "–"))))))));
}
