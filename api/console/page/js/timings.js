// How long each stage took, and what was left out.

import { h, icon } from "./dom.js";
import { has, milliseconds, t } from "./i18n.js";

const ORDER = ["condense", "rewrite", "self_query", "encode", "retrieve", "fuse", "rerank", "open", "show"];

/** A bar of the stages of a search, with its total and a legend. */
export function timings(told) {
  const stages = ORDER.filter((name) => (told[name] ?? 0) >= 0.05).map((name) => [name, told[name]]);
  const sum = stages.reduce((total, [, ms]) => total + ms, 0) || 1;
  const named = (name) => t(`stage.${name}`);
  return h("details", { class: "timings" },
    h("summary", {},
      h("span", { class: "timing-bar", "aria-hidden": "true" },
        stages.map(([name, ms]) => h("span", { class: `stage stage-${name}`, style: { "flex-grow": String(ms / sum) }, title: `${named(name)} ${milliseconds(ms)}` }))),
      h("span", { class: "timing-total" }, milliseconds(told.total ?? sum))),
    h("ul", { class: "timing-legend" },
      stages.map(([name, ms]) => h("li", {}, h("span", { class: `swatch stage-${name}`, "aria-hidden": "true" }), named(name), " ", h("b", {}, milliseconds(ms))))));
}

/** What was skipped or too late, said plainly; null where nothing was. */
export function degradedNotice(degraded) {
  if (!degraded.length) return null;
  const one = (name) => (has(`degraded.${name}`) ? t(`degraded.${name}`) : t("degraded.other", { name }));
  return h("div", { class: "notice notice-warn", role: "status" }, icon("alert"),
    h("div", {}, h("strong", {}, t("degraded.title")), h("ul", {}, degraded.map((name) => h("li", {}, h("code", {}, name), " ", one(name))))));
}
