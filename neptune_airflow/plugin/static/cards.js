// A job as a card, and a run's jobs as a row of stages.

import { airflow, entries, h, list, outside, text } from "./dom.js";
import { KINDS, PARTS, RUN_STATES, STATUSES, duration, figures, moment, says } from "./words.js";

/** Say how far something is, in a word, a sign and a colour. */
export function badge(status) {
  const { title, sign } = STATUSES[status] ?? STATUSES.waiting;
  return h("span", { class: `badge ${status}` }, h("span", { "aria-hidden": "true" }, sign), ` ${title}`);
}

/** Write a time so that a machine can read it too. */
export const time = (iso) => h("time", { datetime: iso }, moment(iso));

/** Write how long something took, or has taken so far. */
export function took(from, to) {
  return from ? h("span", to ? {} : { "data-since": from }, duration(from, to)) : null;
}

/** Let the durations of what still runs go on. */
export function tick(within) {
  for (const each of within.querySelectorAll("[data-since]")) each.textContent = duration(each.dataset.since);
}

/** Give the address of a page of ours. */
export function page(name, parameters) {
  return `${name}?${new URLSearchParams(parameters)}`;
}

/** Give the address of Airflow's own page of a run, or of one of its tasks. */
export function airflowPath(run, task) {
  const path = `dags/${encodeURIComponent(run.dag_id)}/runs/${encodeURIComponent(run.run_id)}`;
  if (!task) return path;
  const mapped = task.map_index >= 0 ? `/mapped/${task.map_index}` : "";
  return `${path}/tasks/${encodeURIComponent(task.task_id)}${mapped}`;
}

/** Give a task's name: of a mapped one, with its index. */
export const taskName = (task) => (task.map_index >= 0 ? `${task.task_id} [${task.map_index}]` : task.task_id);

/** Say of a run what it is, how far, since when. */
export function runFacts(run) {
  return [
    badge(RUN_STATES[run.state] ?? "waiting"),
    h("span", {}, "due ", time(run.run_after)),
    run.start && h("span", {}, run.end ? "took " : "runs for ", took(run.start, run.end)),
    h("span", { class: "muted" }, run.run_type),
    airflow(airflowPath(run), "In Airflow"),
  ];
}

// Of a mapped task, so many are shown as cards.
const FEW = 3;

/** Show a run's jobs, stage by stage. */
export function stages(run) {
  const known = Object.keys(KINDS);
  const kinds = [...new Set(run.tasks.map((task) => task.kind))];
  kinds.sort((one, other) => known.indexOf(one) - known.indexOf(other));
  return h(
    "ol",
    { class: "stages" },
    kinds.map((kind) => stage(run, kind)),
  );
}

function stage(run, kind) {
  const tasks = Object.values(
    Object.groupBy(
      run.tasks.filter((task) => task.kind === kind),
      (task) => task.task_id,
    ),
  );
  return h(
    "li",
    { class: "stage" },
    h("h3", {}, KINDS[kind] ?? (kind || "Job")),
    h(
      "ul",
      { class: "cards" },
      tasks.flatMap((some) => some.slice(0, FEW)).map((task) => h("li", {}, card(run, task))),
    ),
    tasks.filter((some) => some[0].of > FEW).map(([task]) => h("p", { class: "more" }, more(run, task))),
  );
}

function more(run, task) {
  const where = { dag_id: run.dag_id, run_id: run.run_id };
  return h("a", { href: `${page("run", where)}#detail` }, `${task.of - FEW} more of ${task.task_id}`);
}

/** Show one task and its job. */
export function card(run, task) {
  const record = task.record ?? {};
  const began = record.submitted ?? task.start;
  const ended = record.ended ?? task.end;
  const where = { dag_id: run.dag_id, run_id: run.run_id, task_id: task.task_id, map_index: task.map_index };
  return h(
    "article",
    { class: `card ${task.status}` },
    h("div", { class: "line" }, badge(task.status), began && h("span", { class: "muted" }, took(began, ended))),
    h("h4", {}, h("a", { href: page("job", where) }, taskName(task))),
    PARTS[task.part] && h("p", { class: "muted" }, PARTS[task.part]),
    record.id && h("p", { class: "id", title: record.id }, record.id),
    record.status && !says(task.status, record.status) && h("p", { class: "muted" }, lastSeen(task, record)),
    began && h("p", { class: "muted" }, "began ", time(began)),
    figureList(record.figures),
    failure(record.failure),
    links(record.links),
  );
}

/** Give a job's own word; of one that goes on while no worker looks at it, nobody keeps what comes after. */
export function lastSeen(task, record) {
  const goesOn = !["succeeded", "failed", "stopped"].includes(record.phase);
  return goesOn && task.state !== "running" ? `${text(record.status)} when last seen` : text(record.status);
}

/** Show figures as names and numbers. */
export function figureList(told) {
  const pairs = figures(told ?? {});
  if (!pairs.length) return null;
  return h(
    "dl",
    { class: "figures" },
    pairs.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
  );
}

/** Show a record's links. */
export function links(told) {
  const shown = entries(told)
    .map(([name, url]) => outside(url, name))
    .filter(Boolean);
  return shown.length
    ? h(
        "ul",
        { class: "links", "aria-label": "Links" },
        shown.map((link) => h("li", {}, link)),
      )
    : null;
}

/** Show why a job has failed, what to do, and the end of its log. */
export function failure(told) {
  if (!told?.reason && !told?.error_type) return null;
  const lines = list(told.log);
  const log = h("pre", { class: "log", tabindex: "0", "aria-label": "Log" }, lines.map(text).join("\n"));
  requestAnimationFrame(() => (log.scrollTop = log.scrollHeight)); // its end tells why
  return h(
    "div",
    { class: "failure" },
    h("p", { class: "reason" }, text(told.reason || told.error_type)),
    told.remedy && h("p", { class: "remedy" }, h("strong", {}, "What to do: "), text(told.remedy)),
    lines.length > 0 && h("h3", {}, "The last lines of its log"),
    lines.length > 0 && log,
  );
}
