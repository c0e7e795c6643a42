// Small plots, drawn of numbers. Each says in words what it shows, for who cannot see it.

import { h, svg } from "./dom.js";
import { duration, number } from "./words.js";

const WIDTH = 320;
const HEIGHT = 160;
const EDGE = { left: 44, right: 8, top: 8, bottom: 22 };
const COLOURS = 6; // classes c0 … c5 of the style sheet

const colour = (at) => (at < 0 ? "first" : `c${at % COLOURS}`);

/** Draw curves over epochs: of each its name and its points. */
export function curves(metric, series) {
  const points = series.flatMap((each) => each.points);
  const x = scale(
    points.map(([at]) => at),
    EDGE.left,
    WIDTH - EDGE.right,
  );
  const y = scale(
    points.map(([, value]) => value),
    HEIGHT - EDGE.bottom,
    EDGE.top,
  );
  const words = series.map(
    ({ name, points }) => `${name}: from ${number(points[0][1])} to ${number(points.at(-1)[1])}`,
  );
  return svg(
    "svg",
    {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      class: "plot",
      role: "img",
      "aria-label": `${metric} by epoch. ${words.join("; ")}`,
    },
    [y.low, y.high].map((value) => [
      svg("line", { class: "grid", x1: EDGE.left, x2: WIDTH - EDGE.right, y1: y(value), y2: y(value) }),
      svg("text", { x: EDGE.left - 4, y: y(value) + 4, "text-anchor": "end" }, number(value)),
    ]),
    [x.low, x.high].map((value, at) =>
      svg(
        "text",
        { x: x(value), y: HEIGHT - 6, "text-anchor": at ? "end" : "start" },
        at ? `epoch ${number(value)}` : number(value),
      ),
    ),
    series.map(({ points }, at) =>
      points.length > 1
        ? svg("polyline", { class: `curve ${colour(at)}`, points: points.map(([a, b]) => `${x(a)},${y(b)}`).join(" ") })
        : svg("circle", { class: `dot ${colour(at)}`, cx: x(points[0][0]), cy: y(points[0][1]), r: 3 }),
    ),
  );
}

/** Name the curves of a plot, each with its last value. */
export function legend(series) {
  return h(
    "ul",
    { class: "legend" },
    series.map(({ name, points }, at) => h("li", {}, patch(at), ` ${name}: ${number(points.at(-1)[1])}`)),
  );
}

/** Draw a bar that is divided as a whole is, and name its parts. */
export function shares(title, told) {
  const parts = told.filter(({ value }) => value > 0);
  const whole = parts.reduce((sum, { value }) => sum + value, 0);
  if (!whole) return null;
  let from = 0;
  const bars = parts.map(({ value }, at) => {
    const bar = svg("rect", { class: `part ${colour(at)}`, x: from, y: 0, width: (value / whole) * WIDTH, height: 14 });
    from += (value / whole) * WIDTH;
    return bar;
  });
  const said = parts.map(({ name, value }) => `${name} ${number(value)}`).join(", ");
  const percent = (value) => `${number(Math.round((value / whole) * 1000) / 10)} %`;
  return h(
    "div",
    { class: "shares" },
    h("h4", {}, title),
    svg(
      "svg",
      {
        viewBox: `0 0 ${WIDTH} 14`,
        preserveAspectRatio: "none",
        class: "bar",
        role: "img",
        "aria-label": `${title}: ${said}`,
      },
      bars,
    ),
    h(
      "ul",
      { class: "legend" },
      parts.map(({ name, value }, at) => h("li", {}, patch(at), ` ${name}: ${number(value)} (${percent(value)})`)),
    ),
  );
}

/** Draw bars of different lengths beside one another, one below the other, each with its name and value. */
export function bars(title, told) {
  const parts = told.filter(({ value }) => isFinite(value));
  const most = Math.max(...parts.map(({ value }) => Math.abs(value)));
  if (!parts.length || !most) return null;
  const rows = parts.map(({ name, value }, at) => [
    h("dt", {}, name),
    h("dd", {}, bar(Math.abs(value) / most, at), h("span", {}, number(value))),
  ]);
  return h("div", { class: "shares" }, h("h4", {}, title), h("dl", { class: "bars" }, rows));
}

function bar(share, at) {
  const rect = svg("rect", { class: `part ${colour(at)}`, x: 0, y: 0, width: share * WIDTH, height: 14 });
  return svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} 14`, preserveAspectRatio: "none", class: "bar", "aria-hidden": "true" },
    rect,
  );
}

/** Draw the statuses of a job one after another, as long as each lasted, each in the colour of its `shade`. */
export function spans(steps) {
  const lasted = steps.map(({ at, end }) => Math.max(0, Date.parse(end) - Date.parse(at)));
  const whole = lasted.reduce((sum, each) => sum + each, 0);
  if (!whole) return null;
  let from = 0;
  const bars = steps.map(({ status, at, end, shade }, step) => {
    const width = (lasted[step] / whole) * WIDTH;
    const bar = svg(
      "rect",
      { class: `part ${colour(shade)}`, x: from, y: 0, width, height: 14 },
      svg("title", {}, `${status}, ${duration(at, end)}`),
    );
    from += width;
    return bar;
  });
  const said = steps.map(({ status, at, end }) => `${status} ${duration(at, end)}`).join(", then ");
  return svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} 14`, preserveAspectRatio: "none", class: "bar", role: "img", "aria-label": said },
    bars,
  );
}

/** Give the colour of a part, as a small square. */
export const patch = (at) =>
  svg(
    "svg",
    { viewBox: "0 0 10 10", class: "patch", "aria-hidden": "true" },
    svg("rect", { class: `part ${colour(at)}`, width: 10, height: 10 }),
  );

function scale(values, from, to) {
  const low = Math.min(...values);
  const high = Math.max(...values);
  const place = (value) => (high > low ? from + ((value - low) / (high - low)) * (to - from) : (from + to) / 2);
  return Object.assign(place, { low, high });
}
