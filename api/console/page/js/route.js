// What is on the screen stands in the address, behind its #: a link shows another person the same search. The part
// behind # is never sent to a server, so that questions stay out of the logs of proxies.

export const VIEWS = ["search", "ask", "collections", "jobs", "evaluation"];
export const STRATEGIES = [
  "hybrid_rerank", "hybrid", "bm25", "dense", "questions", "hybrid_q2d_rerank", "hybrid_q2d", "dense_q2d", "dedup",
];
export const REWRITES = ["none", "query2doc", "auto"];
export const DEFAULT = { strategy: "hybrid_rerank", rewrite: "none" };
const PAGE_SIZES = [5, 10, 20, 50];
const FILTER = "f.";

const oneOf = (allowed, value, otherwise) => (allowed.includes(value) ? value : otherwise);

/**
 * Read an address: `{view, q, collection, strategy, rewrite, compare, filters, top, explain}`; `compare` is null or the
 * second `{strategy, rewrite}`, `filters` are lists of values by field. What is not valid becomes the default.
 */
export function parse(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?");
  const given = new URLSearchParams(query);
  const filters = {};
  for (const [name, value] of given) {
    if (name.startsWith(FILTER) && value) (filters[name.slice(FILTER.length)] ??= []).push(value);
  }
  const against = given.get("compare");
  return {
    view: oneOf(VIEWS, path, "search"),
    q: given.get("q") ?? "",
    collection: given.get("collection") ?? "",
    strategy: oneOf(STRATEGIES, given.get("strategy"), DEFAULT.strategy),
    rewrite: oneOf(REWRITES, given.get("rewrite"), DEFAULT.rewrite),
    compare: against === null ? null : {
      strategy: oneOf(STRATEGIES, against, "bm25"),
      rewrite: oneOf(REWRITES, given.get("compare_rewrite"), DEFAULT.rewrite),
    },
    filters,
    top: oneOf(PAGE_SIZES, Number(given.get("top")), 10),
    explain: given.get("explain") !== "0",
  };
}

/** Write an address; what is the default is left out. */
export function format(state) {
  const query = new URLSearchParams();
  const put = (name, value, usual = "") => value !== usual && query.set(name, value);
  put("q", state.q);
  put("collection", state.collection);
  put("strategy", state.strategy, DEFAULT.strategy);
  put("rewrite", state.rewrite, DEFAULT.rewrite);
  if (state.compare) {
    query.set("compare", state.compare.strategy);
    put("compare_rewrite", state.compare.rewrite, DEFAULT.rewrite);
  }
  put("top", state.top, 10);
  if (!state.explain) query.set("explain", "0");
  for (const [field, values] of Object.entries(state.filters)) for (const value of values) query.append(FILTER + field, value);
  const text = query.toString();
  return `#/${state.view}${text ? `?${text}` : ""}`;
}

export { PAGE_SIZES };
