// Bars in SVG. The numbers stand in a table beside them as well, so that nothing is said by a picture alone.

import { h, svg } from "./dom.js";
import { number } from "./i18n.js";

const WIDTH = 640;
const LEFT = 150;
const RIGHT = 64;
const ROW = 34;

/**
 * Horizontal bars from zero: `rows` are `{label, value, low, high, kind}`, `low` and `high` (the interval) may be
 * missing; `shown(value)` writes a value. `baseline` is a value at which a line is drawn.
 */
export function bars(title, rows, { shown = (value) => number(value, 3), most, baseline } = {}) {
  const top = most ?? Math.max(...rows.map((row) => row.high ?? row.value), 1e-9);
  const ticks = ticksTo(top);
  const end = Math.max(top, ticks.at(-1));
  const x = (value) => LEFT + ((WIDTH - LEFT - RIGHT) * Math.max(0, value)) / end;
  const height = rows.length * ROW + 34;
  const label = `${title}: ${rows.map((row) => `${row.label} ${shown(row.value)}`).join(", ")}`;
  return h("figure", { class: "chart" },
    h("figcaption", {}, title),
    svg("svg", { viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": label },
      ticks.map((tick) => [
        svg("line", { class: "grid", x1: x(tick), x2: x(tick), y1: 4, y2: height - 26 }),
        svg("text", { class: "tick", x: x(tick), y: height - 8, "text-anchor": "middle" }, shown(tick)),
      ]),
      baseline === undefined ? null : svg("line", { class: "baseline", x1: x(baseline), x2: x(baseline), y1: 4, y2: height - 26 }),
      rows.map((row, index) => bar(row, 4 + index * ROW, x, shown))));
}

function bar(row, y, x, shown) {
  const middle = y + ROW / 2;
  const whisker = row.low === undefined ? null : [
    svg("line", { class: "whisker", x1: x(row.low), x2: x(row.high), y1: middle, y2: middle }),
    svg("line", { class: "whisker", x1: x(row.low), x2: x(row.low), y1: middle - 5, y2: middle + 5 }),
    svg("line", { class: "whisker", x1: x(row.high), x2: x(row.high), y1: middle - 5, y2: middle + 5 }),
  ];
  return svg("g", {},
    svg("text", { class: "bar-label", x: LEFT - 10, y: middle + 4, "text-anchor": "end" }, row.label),
    svg("rect", { class: `bar bar-${row.kind ?? "plain"}`, x: LEFT, y: y + 6, width: Math.max(1, x(row.value) - LEFT), height: ROW - 12, rx: 3 }),
    whisker,
    svg("text", { class: "bar-value", x: x(row.high ?? row.value) + 8, y: middle + 4 }, shown(row.value)));
}

/** About five round numbers from 0 up to `top`. */
function ticksTo(top) {
  const rough = top / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough) * power;
  return Array.from({ length: Math.floor(top / step + 1e-9) + 1 }, (_, index) => index * step);
}
