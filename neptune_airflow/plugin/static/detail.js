// All that is known of a job, part by part.

import { badge, failure, figureList, lastSeen, links, time, took } from "./cards.js";
import { entries, h, list, text } from "./dom.js";
import { bars, curves, legend, patch, shares, spans } from "./plots.js";
import { PARTS, QUEUED, number, says } from "./words.js";

const SETS = { train: "training", valid: "validation", test: "test" };

/** Give the parts of a job's page that have something to show. */
export function detail(run, task) {
  const record = task.record;
  if (!record) {
    return [h("p", { class: "empty" }, badge(task.status), " This task has no record of a Neptune ML job.")];
  }
  const report = record.report;
  const parts = [
    ["Why it failed", failure(record.failure), "broad"],
    ["Job", facts(task, record)],
    ["Status over time", timeline(record)],
    ["Model beside baselines", comparison(report)],
    ["Trials", trials(report), "broad"],
    ["Labels", labels(list(report.labels))],
    ["Warnings", bullets(list(report.warnings))],
    ["Features and their encodings", table(list(report.features))],
    ["Parameters, as sent", parameters(record.parameters)],
  ];
  const shown = parts.filter(([, content]) => content);
  return [
    h(
      "div",
      { class: "sections" },
      shown.map(([title, content, kind]) => section(title, content, kind)),
    ),
    report.cut && h("p", { class: "muted" }, "The report is longer than what is kept of it here."),
  ].filter(Boolean);
}

const section = (title, content, kind) => h("section", { class: kind }, h("h2", {}, title), content);

function facts(task, record) {
  const word = text(record.status);
  const known = [
    [
      "Status",
      [
        badge(task.status),
        word && !says(task.status, word) && ` ${lastSeen(task, record)}`,
        record.adopted && " (adopted)",
      ],
    ],
    ["Figures", figureList(record.figures)],
    ["Links", links(record.links)],
    [
      "Task",
      [task.operator, PARTS[task.part] && `, ${PARTS[task.part]}`, `, try ${record.try_number ?? task.try_number}`],
    ],
    ["Submitted", record.submitted && time(record.submitted)],
    ["Ended", record.ended && time(record.ended)],
    ["Took", record.submitted && took(record.submitted, record.ended ?? task.end)],
    ["Gives up", record.deadline && !record.ended && time(record.deadline)],
    ["Job id", record.id && h("code", {}, record.id)],
    ["SageMaker name", record.name && h("code", {}, record.name)],
    ["ARN", record.arn && h("code", {}, record.arn)],
    ["Input", record.input_location && h("code", {}, record.input_location)],
    ["Output", record.output_location && h("code", {}, record.output_location)],
  ];
  return pairs(known.filter(([, value]) => value));
}

const pairs = (known) =>
  h(
    "dl",
    { class: "pairs" },
    known.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
  );

function timeline(record) {
  const moments = list(record.timeline).filter((each) => Array.isArray(each) && !isNaN(Date.parse(each[0])));
  if (!moments.length) return null;
  const lasting = record.ended ? moments.length - 1 : moments.length; // the last word of an ended one lasts no time
  const ends = moments.slice(1).map(([at]) => at);
  const last = record.ended ?? new Date().toISOString();
  let begun = 0;
  const steps = moments.map(([at, status], step) => {
    const shade = QUEUED.has(text(status).toLowerCase()) ? -1 : begun++;
    return { status: text(status), at, end: ends[step] ?? last, shade };
  });
  return [
    spans(steps),
    h(
      "table",
      {},
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          ["Status", "Since", "For"].map((name) => h("th", { scope: "col" }, name)),
        ),
      ),
      h(
        "tbody",
        {},
        steps.map(({ status, at, shade }, step) =>
          h(
            "tr",
            {},
            h("td", {}, step < lasting && patch(shade), ` ${status}`),
            h("td", {}, time(at)),
            h("td", {}, step < lasting ? took(at, ends[step]) : "–"),
          ),
        ),
      ),
    ),
  ];
}

function comparison(report) {
  const values = entries(report.comparison).map(([name, value]) => ({ name, value }));
  return bars(
    [report.metric, report.target && `of ${text(report.target)}`].filter(Boolean).map(text).join(" "),
    values,
  );
}

/** One plot with a curve for each trial, and what was tried. */
function trials(report) {
  const told = list(report.trials).map((trial) => Object.fromEntries(entries(trial)));
  const series = told.map((trial, at) => ({
    name: `trial ${text(trial.name) || at + 1}`,
    points: points(trial.metrics),
  }));
  const drawn = series.filter((each) => each.points.length);
  const metric = text(report.metric) || "metric";
  const on = report.compared_on ? `${metric} (${text(report.compared_on)})` : metric;
  const rows = told.map(({ metrics, parameters, name, ...trial }) => ({
    trial: name,
    ...trial,
    ...Object.fromEntries(entries(parameters)),
  }));
  if (!told.length) return null;
  return h(
    "div",
    { class: "plots" },
    drawn.length > 0 && h("figure", {}, h("figcaption", {}, on), curves(on, drawn), legend(drawn)),
    h(
      "div",
      { class: "broad" },
      table(rows),
      report.best_trial && h("p", {}, `Best: trial ${text(report.best_trial)}`),
    ),
  );
}

const points = (told) =>
  list(told)
    .map((point) => list(point).map(Number))
    .filter(([x, y]) => isFinite(x) && isFinite(y));

function labels(told) {
  const plots = told.map((label) => {
    const split = Object.entries(SETS).map(([name, title]) => ({
      name: title,
      value: Number(label?.split?.[name]) || 0,
    }));
    const classes = entries(label?.classes).map(([name, value]) => ({ name, value: Number(value) || 0 }));
    const rest = entries(label).filter(([name]) => !["target", "split", "classes"].includes(name));
    const kinds = list(label?.classes).map(text).join(", ");
    return h(
      "figure",
      {},
      h("figcaption", {}, text(label?.target) || "label"),
      shares("Label split", split),
      classes.length > 0 && shares("Classes", classes),
      kinds && h("p", {}, `classes: ${kinds}`),
      rest.length > 0 && h("p", { class: "muted" }, rest.map(([name, value]) => `${name}: ${text(value)}`).join(", ")),
    );
  });
  return plots.length ? h("div", { class: "plots" }, plots) : null;
}

const bullets = (told) =>
  told.length
    ? h(
        "ul",
        { class: "bullets" },
        told.map((each) => h("li", {}, text(each))),
      )
    : null;

/** A table of whatever rows were told, with a column for each name in them. */
function table(told) {
  const rows = told.map((row) => Object.fromEntries(entries(row)));
  const columns = [...new Set(rows.flatMap(Object.keys))];
  if (!columns.length) return null;
  const cell = (value) => (typeof value === "number" ? number(value) : text(value));
  return h(
    "div",
    { class: "wide", tabindex: "0", role: "region", "aria-label": "Table" },
    h(
      "table",
      {},
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          columns.map((name) => h("th", { scope: "col" }, name.replaceAll("_", " "))),
        ),
      ),
      h(
        "tbody",
        {},
        rows.map((row) =>
          h(
            "tr",
            {},
            columns.map((name) => h("td", {}, cell(row[name]))),
          ),
        ),
      ),
    ),
  );
}

function parameters(told) {
  const known = entries(told).map(([name, value]) => [h("code", {}, name), h("code", { class: "value" }, text(value))]);
  return known.length ? pairs(known) : null;
}
