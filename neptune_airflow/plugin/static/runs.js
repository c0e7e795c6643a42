// The page "Neptune ML": the runs of all DAGs with Neptune ML jobs, newest first.

import { ask, given } from "./api.js";
import { page, runFacts, stages, tick } from "./cards.js";
import { anew, h, say } from "./dom.js";
import { KINDS, STATUSES } from "./words.js";
import { keepFresh } from "./refresh.js";

const FILTERS = ["dag_id", "kind", "status", "since", "until"];

export function showRuns(top, content) {
  const asked = given(...FILTERS, "before", "before_id");
  const dags = choice("dag_id", "DAG", {}, asked);
  const problems = h("div");
  const runs = h("ul", { class: "runs", "aria-label": "Runs, those first that were due last" });
  const after = h("nav", { class: "pages", "aria-label": "Pages" });
  const shown = new Map();
  let announced = false;

  async function load() {
    const answer = await ask("runs", asked);
    offer(dags, answer.dags, asked.dag_id);
    if (!runs.isConnected) content.replaceChildren(runs, after);
    const changed = update(runs, shown, answer.runs);
    after.replaceChildren(...pages(asked, answer.next));
    if (!answer.runs.length) runs.replaceChildren(nothing(answer.dags.length > 0));
    tick(runs);
    if (!announced) say(answer.runs.length ? `${answer.runs.length} runs are shown.` : "No run is shown.");
    else if (changed) say(changed === 1 ? "One run has changed." : `${changed} runs have changed.`);
    announced = true;
    return answer.runs.some((run) => run.state === "running" || run.state === "queued");
  }

  top.append(
    h("div", { class: "line" }, h("h1", {}, "Neptune ML"), keepFresh(load, problems)),
    form(dags, asked),
    problems,
  );
}

function form(dags, asked) {
  const titles = (table) => Object.fromEntries(Object.entries(table).map(([name, told]) => [name, told.title ?? told]));
  return h(
    "form",
    { class: "filters", method: "get", role: "search", "aria-label": "Filter the runs" },
    dags,
    choice("kind", "Kind of job", titles(KINDS), asked),
    choice("status", "Status of a job", titles(STATUSES), asked),
    day("since", "Due from (UTC)", asked),
    day("until", "Due until (UTC)", asked),
    h("button", { type: "submit", class: "main" }, "Filter"),
    FILTERS.some((name) => asked[name]) && h("a", { href: "./" }, "Show all"),
  );
}

function choice(name, title, options, asked) {
  const select = h("select", { name }, h("option", { value: "" }, "any"));
  for (const [value, words] of Object.entries(options)) select.append(h("option", { value }, words));
  if (asked[name] && !(asked[name] in options)) select.append(h("option", { value: asked[name] }, asked[name]));
  select.value = asked[name];
  return h("label", {}, title, select);
}

function day(name, title, asked) {
  return h(
    "label",
    {},
    title,
    h("input", { type: "date", name, value: asked[name], min: "2000-01-01", max: "2999-12-31" }),
  );
}

/** Offer the DAGs that there are; what is chosen stays chosen. */
function offer(label, dags, asked) {
  const select = label.querySelector("select");
  const before = select.value;
  const options = dags.map(({ id, name }) => h("option", { value: id }, name));
  if (asked && !dags.some(({ id }) => id === asked)) options.push(h("option", { value: asked }, asked));
  if (options.length + 1 === select.length && options.every((option, at) => option.value === select[at + 1].value)) {
    options.forEach((option, at) => (select[at + 1].text = option.text));
    return;
  }
  select.replaceChildren(select[0], ...options);
  select.value = before;
}

/** Show the runs; of those that were shown already, only what has changed is made anew, so that a focus stays. */
function update(place, shown, runs) {
  let changed = 0;
  const items = runs.map((run) => {
    const key = JSON.stringify([run.dag_id, run.run_id]);
    const told = JSON.stringify(run);
    let item = shown.get(key);
    if (item?.told !== told) {
      item = { told, element: h("li", {}, one(run)) };
      changed += 1;
    }
    return [key, item];
  });
  shown.clear();
  for (const [key, item] of items) shown.set(key, item);
  const elements = items.map(([, item]) => item.element);
  if (elements.length !== place.children.length || elements.some((element, at) => element !== place.children[at])) {
    anew(place, () => place.replaceChildren(...elements));
  }
  return changed;
}

function one(run) {
  const where = { dag_id: run.dag_id, run_id: run.run_id };
  return h(
    "article",
    { class: "run" },
    h("h2", {}, h("a", { href: page("run", where) }, run.dag_name, h("span", { class: "id" }, ` ${run.run_id}`))),
    h("div", { class: "facts" }, runFacts(run)),
    stages(run),
  );
}

function pages(asked, next) {
  const filters = Object.fromEntries(FILTERS.filter((name) => asked[name]).map((name) => [name, asked[name]]));
  return [
    asked.before && h("a", { href: `./?${new URLSearchParams(filters)}` }, "← Newest runs"),
    next && h("a", { href: `./?${new URLSearchParams({ ...filters, ...next })}` }, "Older runs →"),
  ].filter(Boolean);
}

function nothing(anything) {
  const words = anything
    ? "No run fits. Take a filter away, or choose a longer time."
    : "No Neptune ML task has begun yet in a DAG that you may read. Once one has, its run is shown here.";
  return h("li", { class: "empty" }, h("p", {}, words), anything && h("a", { href: "./" }, "Show all runs"));
}
