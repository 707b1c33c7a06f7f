// What several views have: fields with labels, the choice of a collection, and what to do where there is none.

import { h } from "../dom.js";
import { t } from "../i18n.js";
import { empty } from "../notices.js";

/** A field under its label. */
export const labelled = (label, field) => h("label", { class: "labelled" }, h("span", {}, label), field);

/** A choice among `[value, label]`. */
export function select(id, choices, value, change) {
  return h("select", { id, class: "field", onchange: (event) => change(event.target.value) },
    choices.map(([name, label]) => h("option", { value: name, selected: name === value }, label)));
}

/** The choice of the collection that the address names. */
export function collectionSelect(context, id) {
  const names = (context.collections.list ?? []).map((one) => one.name);
  const { collection } = context.state;
  if (collection && !names.includes(collection)) names.unshift(collection);
  return select(id, names.map((name) => [name, name]), collection, (name) => context.go({ collection: name, filters: {} }));
}

/** What is said where nothing was indexed yet. */
export const noCollections = (context) =>
  empty(t("collections.none"),
    h("p", {}, t("collections.none.about")),
    h("pre", { class: "command", tabindex: "0" }, h("code", {}, "bothways index ~/documents --collection mine")),
    h("p", {}, h("a", { class: "button", href: context.link({ view: "collections" }) }, t("collections.none.upload"))));
