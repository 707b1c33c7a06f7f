// The page: header, the view that the address names, and what all views share.

import * as api from "./api.js";
import { keyboardDialog, keyDialog, singleKeys } from "./dialogs.js";
import { h, iconButton, replace } from "./dom.js";
import { language, rememberLanguage, t, useLanguage } from "./i18n.js";
import { VIEWS, format, parse } from "./route.js";
import { recall, remember } from "./store.js";
import { askView } from "./views/ask.js";
import { collectionsView } from "./views/collections.js";
import { evaluationView } from "./views/evaluation.js";
import { jobsView } from "./views/jobs.js";
import { searchView } from "./views/search.js";

const MAKE = { search: searchView, ask: askView, collections: collectionsView, jobs: jobsView, evaluation: evaluationView };
const THEMES = ["auto", "light", "dark"];
const app = document.getElementById("app");

let shown = null;  // {name, view} of the view on the screen
let main = null;
let nav = null;

/**
 * What views are given. `collections` is `{list, error, first}`; `list` is null until it has come, `first` is the
 * collection that the address named, which is known sooner.
 */
const context = {
  state: parse(location.hash),
  collections: { list: null, error: null, first: null },
  collection() {
    const { list, first } = context.collections;
    return (list ?? (first ? [first] : [])).find((one) => one.name === context.state.collection);
  },
  link: (changes) => format({ ...context.state, ...changes }),
  go(changes, { replaced = false } = {}) {
    const address = context.link(changes);
    if (address === location.hash) render();
    else if (replaced) {
      history.replaceState(null, "", address);
      render();
    } else location.hash = address;
  },
  refresh: () => render(),
  addFilter(field, value) {
    const values = context.state.filters[field] ?? [];
    if (!values.includes(value)) context.go({ filters: { ...context.state.filters, [field]: [...values, value] } });
  },
  removeFilter(field, value) {
    const filters = { ...context.state.filters, [field]: (context.state.filters[field] ?? []).filter((one) => one !== value) };
    if (!filters[field].length) delete filters[field];
    context.go({ filters });
  },
  askForKey: (then) => keyDialog(async () => {
    await context.loadCollections();
    then?.();
  }),
  loadCollections,
};

let loading = null;

/** Ask for the collections; who asks while that is under way waits for the same answer. */
function loadCollections() {
  loading ??= load().finally(() => { loading = null; });
  return loading;
}

async function load() {
  try {
    const list = await api.collections();
    list.sort((one, other) => one.name.localeCompare(other.name));
    context.collections = { list, error: null, first: null };
  } catch (error) {
    context.collections = { list: null, error, first: null };
  }
  render();
}

/** A link to a search need not wait for the list of all collections. */
async function loadFirst() {
  if (!context.state.collection) return;
  try {
    const first = await api.collection(context.state.collection);
    if (context.collections.list || context.collections.error) return;
    context.collections.first = first;
    render();
  } catch (error) {
    console.info("the list will say what is wrong:", error.message);
  }
}

/** Where the address names no collection, take the last one that was looked at, or the first. */
function chooseCollection() {
  const { list } = context.collections;
  if (context.state.collection || !list?.length) return;
  const last = recall("collection");
  context.state.collection = list.some((one) => one.name === last) ? last : list[0].name;
  history.replaceState(null, "", format(context.state));
}

function render() {
  context.state = parse(location.hash);
  chooseCollection();
  if (context.collection()) remember("collection", context.state.collection);
  const { view, q } = context.state;
  document.title = view === "search" && q ? `${q} – Bothways` : `${t(`nav.${view}`)} – Bothways`;
  for (const link of nav.querySelectorAll("a")) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
    link.href = context.link({ view: link.dataset.view });
  }
  if (shown?.name === view) shown.view.update();
  else {
    shown?.view.leave?.();
    shown = { name: view, view: MAKE[view](context) };
    replace(main, shown.view.element);
  }
}

/** Draw everything anew, in the language that is in force. */
function build() {
  shown?.view.leave?.();
  shown = null;
  main = h("main", { id: "main", tabindex: "-1" });
  nav = h("nav", { class: "nav", "aria-label": t("nav.label") }, h("ul", {}, VIEWS.map((view) =>
    h("li", {}, h("a", { href: `#/${view}`, dataset: { view } }, t(`nav.${view}`))))));
  replace(app,
    h("a", { class: "skip", href: "#main", onclick: (event) => { event.preventDefault(); main.focus(); } }, t("skip")),
    h("header", { class: "top" }, h("div", { class: "top-inner" },
      h("a", { class: "brand", href: "#/search" }, h("img", { src: "icon.svg", alt: "", width: "28", height: "28" }), h("span", {}, "Bothways")),
      nav,
      h("div", { class: "tools" },
        h("button", { type: "button", class: "icon-button language", lang: language() === "zh" ? "en" : "zh", onclick: switchLanguage, "aria-label": language() === "zh" ? "English" : "中文", title: language() === "zh" ? "English" : "中文" }, language() === "zh" ? "EN" : "中"),
        themeButton(),
        iconButton("key", t("key.title"), { onclick: () => context.askForKey(context.refresh) }),
        iconButton("keyboard", t("keys.title"), { onclick: keyboardDialog, class: "wide-only" })))),
    main,
    h("footer", { class: "foot" }, h("p", {}, t("foot"), " ", h("a", { href: api.docsAddress }, t("foot.api")))),
    h("div", { id: "announcer", class: "visually-hidden", "aria-live": "polite" }));
  render();
}

async function switchLanguage() {
  const name = language() === "zh" ? "en" : "zh";
  await useLanguage(name);
  rememberLanguage(name);
  build();
  document.querySelector(".language").focus();
}

function themeButton() {
  const now = document.documentElement.dataset.theme ?? "auto";
  const sign = { auto: "auto", light: "sun", dark: "moon" }[now];
  const button = iconButton(sign, t(`theme.${now}`), { class: "theme", onclick: () => {
    const next = THEMES[(THEMES.indexOf(now) + 1) % THEMES.length];
    if (next === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    remember("theme", next);
    const other = themeButton();
    button.replaceWith(other);
    other.focus();
  } });
  return button;
}

function keys(event) {
  const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || !singleKeys() || document.querySelector("dialog[open]")) return;
  if (event.key === "/" && !typing) {
    event.preventDefault();
    if (context.state.view !== "search" && context.state.view !== "ask") context.go({ view: "search" });
    requestAnimationFrame(() => {
      const box = document.getElementById("q") ?? document.getElementById("ask-q");
      box?.focus();
      box?.select();
    });
  } else if (event.key === "?" && !typing) {
    event.preventDefault();
    keyboardDialog();
  } else if (event.key === "Escape" && event.target.id === "q") event.target.blur();
}

await useLanguage(language());
document.addEventListener("keydown", keys);
// A file that misses its place must not replace the page.
for (const kind of ["dragover", "drop"]) document.addEventListener(kind, (event) => event.preventDefault());
window.addEventListener("hashchange", render);
build();
await Promise.all([loadFirst(), loadCollections()]);
