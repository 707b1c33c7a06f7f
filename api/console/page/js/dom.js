// Building the page. Text from documents becomes text nodes and nothing else: there is no innerHTML in the console.

const SVG = "http://www.w3.org/2000/svg";

/**
 * Make an element: `h("button", {class: "quiet", onclick: run}, "Go")`. Properties that begin with "on" are listeners,
 * `dataset` and `style` are objects (`style` by CSSOM, which the policy allows), true is an attribute without a value;
 * null, undefined and false are left out, as attributes and as children.
 */
export function h(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

/** The same in SVG. */
export function svg(tag, properties = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "dataset") Object.assign(element.dataset, value);
    else if (name === "style") for (const [key, one] of Object.entries(value)) element.style.setProperty(key, one);
    else if (name === "value" || name === "checked" || name === "selected") element[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
}

/** Put other children into an element; where the focus was in it, it stays on the one of the same id. */
export function replace(element, ...children) {
  const focused = element.contains(document.activeElement) ? document.activeElement.id : "";
  element.replaceChildren();
  append(element, children);
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  return element;
}

const PATHS = {
  search: "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13Zm4.8 11.3L20 20",
  up: "M7 11v9H4v-9h3Zm0 0 4-7c1.6 0 2.4 1.2 2 2.7L12.4 10H18a2 2 0 0 1 2 2.4l-1.2 6A2 2 0 0 1 16.8 20H7",
  down: "M7 13V4H4v9h3Zm0 0 4 7c1.6 0 2.4-1.2 2-2.7L12.4 14H18a2 2 0 0 0 2-2.4l-1.2-6A2 2 0 0 0 16.8 4H7",
  key: "M6 11h12v9H6v-9Zm2.5 0V7.5a3.5 3.5 0 0 1 7 0V11M12 14.5v2",
  keyboard: "M3 7h18v10H3V7Zm3 3h.01M9.5 10h.01M13 10h.01M16.5 10h.01M8 14h8",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8Zm0-5v2m0 14v2M3 12h2m14 0h2M5.6 5.6 7 7m10 10 1.4 1.4M5.6 18.4 7 17M17 7l1.4-1.4",
  moon: "M20 14.5A8 8 0 0 1 9.5 4a8 8 0 1 0 10.5 10.5Z",
  auto: "M12 4a8 8 0 1 0 0 16V4Zm0 0a8 8 0 0 1 0 16",
  close: "M6 6l12 12M18 6 6 18",
  file: "M6 3h8l4 4v14H6V3Zm8 0v4h4",
  upload: "M12 16V4m0 0L7.5 8.5M12 4l4.5 4.5M4 16v4h16v-4",
  link: "M10 14a4 4 0 0 0 6 .3l3-3a4 4 0 0 0-5.7-5.7L12 7m2 3a4 4 0 0 0-6-.3l-3 3a4 4 0 0 0 5.7 5.7L12 17",
  alert: "M12 4 2.5 20h19L12 4Zm0 6v5m0 2.5h.01",
};

/** A drawn sign; it says nothing to screen readers, the button around it does. */
export function icon(name) {
  return svg("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true", focusable: "false" }, svg("path", { d: PATHS[name] }));
}

/** A button that shows a sign alone, and is called `label`. */
export function iconButton(name, label, properties = {}) {
  const { class: given = "", ...others } = properties;
  return h("button", { type: "button", class: `icon-button ${given}`, "aria-label": label, title: label, ...others }, icon(name));
}

/** Wait until nothing has called for `ms`. */
export function debounced(ms, run) {
  let timer = 0;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => run(...given), ms);
  };
}
