// An indexing job: how it stands, what it did, what did not work.

import * as api from "./api.js";
import { h } from "./dom.js";
import { moment, number, t } from "./i18n.js";

export const ENDED = new Set(["done", "failed", "cancelled", "lost"]);
const SHOWN = ["documents", "chunks", "indexed", "unchanged", "removed", "questions"];

/** Draw a job; `changed(job)` is called with what the server made of a cancellation or a retry. */
export function jobCard(context, job, changed) {
  const said = h("span", { class: "said", role: "alert" });
  const act = (name, run) => h("button", { type: "button", class: "button button-quiet", dataset: { act: name }, onclick: async (event) => {
    event.target.disabled = true;
    try {
      changed(await run(job.id));
    } catch (error) {
      event.target.disabled = false;
      said.textContent = error.message || t("error.unreachable");
    }
  } }, t(`job.${name}`));
  const running = !ENDED.has(job.state);
  const counts = SHOWN.filter((name) => job.counts[name]);
  return h("article", { class: `job job-${job.state}`, dataset: { job: job.id } },
    h("header", { class: "job-head" },
      h("span", { class: `state state-${job.state}` }, t(`job.state.${job.state}`)),
      h("h2", {}, job.kind === "upload" ? files(job.files) : job.source),
      h("span", { class: "job-where" }, "→ ", job.collection)),
    running ? h("progress", { class: "job-progress", "aria-label": t(`job.state.${job.state}`) }) : null,
    counts.length ? h("dl", { class: "counts" }, counts.map((name) => h("div", {}, h("dt", {}, t(`job.count.${name}`)), h("dd", {}, number(job.counts[name]))))) : null,
    job.error ? h("p", { class: "job-error" }, job.error) : null,
    job.failures.length ? list("job.failures", job.counts.failures ?? job.failures.length, job.failures.map((one) => h("li", {}, h("b", {}, one.title || one.item), " ", h("span", { class: "quiet" }, one.stage), h("br"), one.reason))) : null,
    job.skipped.length ? list("job.skipped", job.counts.skipped ?? job.skipped.length, job.skipped.map(([name, reason]) => h("li", {}, h("b", {}, name), " ", reason))) : null,
    h("footer", { class: "job-foot" },
      h("span", { class: "quiet small" }, moment(job.created), job.seconds ? ` · ${number(job.seconds, 1)} s` : "", " · ", h("code", {}, job.id)),
      h("span", { class: "row" }, said,
        running ? (job.cancel_requested ? h("span", { class: "quiet" }, t("job.cancelling")) : act("cancel", api.cancelJob)) : null,
        ["failed", "cancelled", "lost"].includes(job.state) && job.kind === "upload" ? act("retry", api.retryJob) : null,
        job.state === "done" ? h("a", { class: "button button-quiet", href: context.link({ view: "search", q: "", collection: job.collection, filters: {} }) }, t("job.search")) : null)));
}

const files = (names) => (names.length > 3 ? t("job.files", { first: names.slice(0, 2).join("、"), count: names.length - 2 }) : names.join("、"));

const list = (key, count, items) => h("details", { class: "job-list" }, h("summary", {}, t(key, { count: number(count) })), h("ul", {}, items));

/** Ask for a job until it has ended or `signal` says so; `onchange` is told each time. */
export async function watch(job, onchange, signal) {
  let known = job;
  onchange(known, null);
  while (!ENDED.has(known.state)) {
    await new Promise((resolve) => { setTimeout(resolve, 600); });
    if (signal.aborted) return;
    try {
      known = await api.job(known.id, signal);
      onchange(known, null);
    } catch (error) {
      if (error.name === "AbortError") return;
      onchange(known, error);
      if (error.status === 401 || error.status === 403 || error.status === 404) return;
    }
  }
}
