// An answer's text with its citations: `[n]` becomes a button that leads to passage n.

import { h } from "./dom.js";
import { t } from "./i18n.js";

/** Draw an answer; `show(n)` leads to a passage, and is null while the passages have not come yet. */
export function citedText(text, known, show) {
  const lines = text.split(/\n{2,}/).filter((one) => one.trim());
  return lines.map((one) => h("p", { class: "prose" }, one.split(/(\[\d{1,3}\])/).map((piece) => {
    const number = /^\[(\d{1,3})\]$/.exec(piece)?.[1];
    if (!number) return piece;
    const ready = show !== null && known.has(Number(number));
    return h("button", { type: "button", class: "citation", disabled: !ready, "aria-label": t("ask.citation", { n: number }), onclick: () => show(Number(number)) }, number);
  })));
}
