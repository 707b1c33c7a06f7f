// The indexing jobs, newest first, followed while they run.

import * as api from "../api.js";
import { h, replace } from "../dom.js";
import { number, t } from "../i18n.js";
import { ENDED, jobCard } from "../job.js";
import { empty, failure, loading } from "../notices.js";
import { labelled, select } from "./common.js";

const STATES = ["queued", "running", "done", "failed", "cancelled", "lost"];
const PAGE = 20;
const QUICK_MS = 1000;
const SLOW_MS = 10_000;

/** What is looked at, kept while other views are shown. */
const memory = { state: "", collection: "", size: PAGE };

/** Make the view; `leave` ends the asking. */
export function jobsView(context) {
  const stop = new AbortController();
  const list = h("div", { class: "jobs" }, loading());
  const tools = h("div", { class: "search-options" });
  const element = h("div", { class: "view view-jobs" }, h("h1", {}, t("nav.jobs")), tools, list);
  const cards = new Map();
  let timer = 0;

  const poll = async () => {
    clearTimeout(timer);
    let wait = SLOW_MS;
    if (!document.hidden) {
      try {
        const query = { limit: String(memory.size) };
        if (memory.state) query.state = memory.state;
        if (memory.collection) query.collection = memory.collection;
        const found = await api.jobs(query, stop.signal);
        draw(context, list, cards, found, poll);
        if (found.jobs.some((job) => !ENDED.has(job.state))) wait = QUICK_MS;
      } catch (error) {
        if (error.name === "AbortError") return;
        cards.clear();
        replace(list, failure(context, error, poll));
      }
    }
    if (!stop.signal.aborted) timer = setTimeout(poll, wait);
  };
  const update = () => {
    const names = (context.collections.list ?? []).map((one) => [one.name, one.name]);
    replace(tools,
      labelled(t("job.state"), select("job-state", [["", t("all")], ...STATES.map((name) => [name, t(`job.state.${name}`)])], memory.state, (value) => { memory.state = value; memory.size = PAGE; poll(); })),
      labelled(t("collection"), select("job-collection", [["", t("all")], ...names], memory.collection, (value) => { memory.collection = value; memory.size = PAGE; poll(); })));
  };
  update();
  poll();
  return { element, update, leave: () => { stop.abort(); clearTimeout(timer); } };
}

/** Draw what has changed and leave the rest alone, so that neither the focus nor an open list is lost. */
function draw(context, list, cards, found, poll) {
  if (!found.jobs.length) {
    cards.clear();
    return replace(list, empty(t("job.none"), h("p", {}, t("job.none.about"))));
  }
  const items = found.jobs.map((job) => {
    const text = JSON.stringify(job);
    const known = cards.get(job.id);
    if (known?.text === text) return known.element;
    const element = jobCard(context, job, poll);
    if (known) {
      for (const [index, details] of known.element.querySelectorAll("details").entries()) {
        const now = element.querySelectorAll("details")[index];
        if (now) now.open = details.open;
      }
    }
    cards.set(job.id, { text, element });
    return element;
  });
  const focused = document.activeElement?.closest?.("[data-job]");
  const act = focused && document.activeElement.dataset.act;
  const same = items.length === list.children.length - 1 && items.every((item, index) => item === list.children[index]);
  if (!same) {
    replace(list, items, foot(found, poll));
    if (act && !document.activeElement?.isConnected) list.querySelector(`[data-job="${CSS.escape(focused.dataset.job)}"] [data-act]`)?.focus();
  }
  return list;
}

function foot(found, poll) {
  return h("p", { class: "row" }, h("span", { class: "quiet" }, t("job.total", { shown: number(found.jobs.length), total: number(found.total) })),
    found.total > found.jobs.length && memory.size < 1000
      ? h("button", { type: "button", class: "button button-quiet", onclick: () => { memory.size += PAGE; poll(); } }, t("job.more"))
      : null);
}
