// Facets as filters, and the filters in force.

import { h, icon } from "./dom.js";
import { number, t } from "./i18n.js";

/** The filters in force, each with a button that takes it away; null where there are none. */
export function filterChips(context) {
  const chips = Object.entries(context.state.filters).flatMap(([field, values]) => values.map((value) =>
    h("li", {}, h("button", { type: "button", class: "chip", "aria-label": t("filter.remove", { field, value }), title: t("filter.remove", { field, value }), onclick: () => context.removeFilter(field, value) },
      h("span", { class: "tag-field" }, field), " ", value, icon("close")))));
  if (!chips.length) return null;
  return h("div", { class: "chips" }, h("ul", { "aria-label": t("filter.title") }, chips),
    h("button", { type: "button", class: "link", onclick: () => context.go({ filters: {} }) }, t("filter.clear")));
}

const most = (facet) => Math.max(...facet.values.map((one) => one.count));

/** Article numbers, names of files, …: fields that tell hits apart more than they group them. */
const isNaming = (facet) => facet.others > 0 && most(facet) <= 3;

/**
 * The candidates by metadata field, those that group best first; a value is a filter. Fields with no value at all are
 * not shown. `open`: whether the panel begins unfolded.
 */
export function facetPanel(context, facets, { open }) {
  const shown = Object.entries(facets).filter(([, facet]) => facet.values.length);
  shown.sort(([, one], [, other]) => most(other) - most(one));
  if (!shown.length) return null;
  return h("aside", { class: "facets", "aria-label": t("facets.title") },
    h("details", { class: "facets-all", open: open && matchMedia("(min-width: 56rem)").matches },
      h("summary", { class: "facets-title" }, t("facets.title")),
      shown.map(([field, facet]) => group(context, field, facet))));
}

function group(context, field, facet) {
  const highest = most(facet);
  const rest = [
    facet.others ? t("facets.others", { count: number(facet.others) }) : null,
    facet.missing ? t("facets.missing", { count: number(facet.missing) }) : null,
  ].filter(Boolean);
  const chosen = Boolean(context.state.filters[field]);
  return h("details", { class: "facet", open: chosen || !isNaming(facet) },
    h("summary", {}, field),
    h("ul", {}, facet.values.map(({ value, count }) => {
      const on = context.state.filters[field]?.includes(value) ?? false;
      return h("li", {}, h("button", { type: "button", class: "facet-value", id: `facet-${field}-${value}`, "aria-pressed": String(on), onclick: () => (on ? context.removeFilter(field, value) : context.addFilter(field, value)) },
        h("span", { class: "facet-share", style: { width: `${Math.round((100 * count) / highest)}%` }, "aria-hidden": "true" }),
        h("span", { class: "facet-name" }, value), h("span", { class: "facet-count" }, number(count))));
    })),
    rest.length ? h("p", { class: "quiet small" }, rest.join(" · ")) : null);
}
