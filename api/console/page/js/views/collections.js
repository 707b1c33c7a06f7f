// The collections, and uploads into one of them.

import { h, replace } from "../dom.js";
import { moment, number, t } from "../i18n.js";
import { failure, loading } from "../notices.js";
import { uploadPanel } from "../upload.js";

/** Make the view. */
export function collectionsView(context) {
  const upload = uploadPanel(context);
  const list = h("div", {});
  const element = h("div", { class: "view view-collections" }, h("h1", {}, t("nav.collections")), upload.element, list);
  const update = () => {
    upload.update();
    const { error, list: known } = context.collections;
    if (error) return replace(list, failure(context, error, context.loadCollections));
    if (!known) return replace(list, loading());
    if (!known.length) return replace(list, h("p", { class: "quiet" }, t("collections.none")));
    return replace(list, h("ul", { class: "cards" }, known.map((one) => card(context, one, upload.choose))));
  };
  update();
  context.loadCollections();
  return { element, update };
}

function card(context, collection, choose) {
  const live = collection.versions.find((version) => version.state === "live");
  const facts = [
    [t("collections.model"), collection.embedding_model],
    [t("collections.analyzer"), collection.analyzer],
    [t("collections.chunker"), collection.chunker && `${collection.chunker}${collection.max_chars ? ` ≤ ${collection.max_chars}` : ""}`],
    [t("collections.fields"), collection.metadata_fields.join("、")],
    [t("collections.versions"), collection.versions.length > 1 ? number(collection.versions.length) : null],
    [t("collections.made"), moment(live?.created_at)],
    [t("collections.acl"), collection.acl_field],
  ].filter(([, value]) => value);
  return h("li", { class: "card", dataset: { collection: collection.name } },
    h("h2", {}, collection.name),
    collection.problem && h("div", { class: "notice notice-warn", role: "alert" }, h("p", {}, collection.problem)),
    h("p", { class: "figures" },
      h("span", {}, h("b", {}, number(collection.documents)), " ", t("collections.documents")),
      h("span", {}, h("b", {}, number(collection.chunks)), " ", t("collections.chunks"))),
    h("dl", { class: "facts" }, facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
    h("p", { class: "row" },
      h("a", { class: "button", href: context.link({ view: "search", q: "", collection: collection.name, filters: {} }), "aria-label": `${t("collections.search")}: ${collection.name}` }, t("collections.search")),
      h("button", { type: "button", class: "button button-quiet", onclick: () => choose(collection.name), "aria-label": `${t("upload.here")}: ${collection.name}` }, t("upload.here"))));
}
