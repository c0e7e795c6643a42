// One DAG run: its jobs as stages, and each in detail when it is opened.

import { Refusal, ask, given } from "./api.js";
import { airflowPath, badge, page, runFacts, stages, taskName, tick } from "./cards.js";
import { detail } from "./detail.js";
import { airflow, anew, h, say } from "./dom.js";
import { keepFresh } from "./refresh.js";
import { KINDS } from "./words.js";

// Of a mapped task, the server tells no more.
const MOST = 100;

export function showRun(top, content) {
  const asked = given("dag_id", "run_id");
  const problems = h("div");
  const title = h("h1", {}, asked.dag_id, h("span", { class: "id" }, ` ${asked.run_id}`));
  const facts = h("div", { class: "facts" });
  const opened = new Set();
  let told = null;

  async function load() {
    const run = await ask("run", asked);
    const now = JSON.stringify(run);
    if (now !== told) {
      if (told !== null) say("The run has changed.");
      told = now;
      title.replaceChildren(run.dag_name, h("span", { class: "id" }, ` ${run.run_id}`));
      facts.replaceChildren(...runFacts(run).filter(Boolean));
      anew(content, () => content.replaceChildren(...body(run, opened)));
    }
    tick(document);
    return run.state === "running" || run.state === "queued";
  }

  top.append(
    h("nav", { "aria-label": "Up" }, h("a", { href: "./" }, "← All runs")),
    h("div", { class: "line" }, title, keepFresh(load, problems)),
    facts,
    problems,
  );
}

function body(run, opened) {
  if (!run.tasks.length) return [h("p", { class: "empty" }, "No task of this run is about a Neptune ML job.")];
  const recorded = run.tasks.filter((task) => task.record);
  return [
    h("section", { "aria-label": "Stages" }, stages(run)),
    recorded.length > 0 &&
      h(
        "section",
        { id: "detail" },
        h("h2", {}, "In detail"),
        recorded.map((task) => opening(run, task, opened)),
      ),
    ...run.tasks
      .filter((task, at) => task.of > MOST && run.tasks[at - 1]?.task_id !== task.task_id)
      .map((task) => rest(run, task)),
  ].filter(Boolean);
}

function rest(run, task) {
  const path = `${airflowPath(run, { ...task, map_index: -1 })}/mapped`;
  return h("p", { class: "more" }, airflow(path, `All ${task.of} of ${task.task_id}, in Airflow`));
}

/** A part that is asked for when it is opened, and stays open when the page is made anew. */
function opening(run, task, opened) {
  const where = { dag_id: run.dag_id, run_id: run.run_id, task_id: task.task_id, map_index: task.map_index };
  const key = page("job", where);
  const inside = h("div", { class: "inside" });
  const element = h(
    "details",
    { toggle: () => (element.open ? (opened.add(key), fill()) : opened.delete(key)) },
    h("summary", { "data-key": key }, badge(task.status), ` ${KINDS[task.kind] ?? task.kind}: ${taskName(task)}`),
    inside,
  );
  async function fill() {
    try {
      const answer = await ask("job", where);
      inside.replaceChildren(...(answer.task ? detail(answer, answer.task) : []));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      inside.replaceChildren(h("p", { class: "notice bad", role: "alert" }, error.message));
    }
  }
  element.open = opened.has(key);
  return element;
}
