// What is said where there is nothing to show: loading, nothing, an error with what to do.

import { h, icon } from "./dom.js";
import { t } from "./i18n.js";

/** A line that says that something is on its way. */
export const loading = (message = t("loading")) =>
  h("p", { class: "loading", role: "status" }, h("span", { class: "spinner", "aria-hidden": "true" }), message);

/** A calm page that says that there is nothing yet, and what to do. */
export const empty = (title, ...body) => h("div", { class: "empty" }, h("h2", {}, title), body);

/** An error: its title, the server's own words, and a way on. `context.askForKey` is offered where a key is missing. */
export function failure(context, error, retry) {
  const known = { 0: "error.unreachable", 401: "error.key", 403: "error.forbidden", 503: "error.unavailable" }[error.status];
  return h("div", { class: "notice notice-error", role: "alert" }, icon("alert"),
    h("div", {},
      h("strong", {}, known ? t(known) : error.title || t("error.title")),
      error.message ? h("p", {}, error.message) : null,
      h("p", { class: "notice-actions" },
        error.status === 401 ? h("button", { type: "button", class: "button", onclick: () => context.askForKey(retry) }, t("key.enter")) : null,
        retry ? h("button", { type: "button", class: "button button-quiet", onclick: retry }, t("retry")) : null)));
}

/** Say something to screen readers, without moving the focus. */
export function announce(message) {
  const region = document.getElementById("announcer");
  if (region) region.textContent = message;
}
