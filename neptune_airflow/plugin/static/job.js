// One task and its job in detail.

import { ask, given } from "./api.js";
import { airflowPath, page, taskName, tick } from "./cards.js";
import { detail } from "./detail.js";
import { airflow, anew, h, say } from "./dom.js";
import { keepFresh } from "./refresh.js";
import { KINDS } from "./words.js";

// Airflow has a place for this page beside every task.
const NOTHING = "This task is not about a Neptune ML job.";

export function showJob(top, content) {
  const asked = given("dag_id", "run_id", "task_id", "map_index");
  // Of a task that is not mapped, Airflow leaves the index's place as it is.
  if (!/^\d+$/.test(asked.map_index)) asked.map_index = "-1";
  const problems = h("div");
  const title = h("h1", {}, asked.task_id);
  const up = h("nav", { class: "up", "aria-label": "Up" });
  let told = null;

  async function load() {
    const answer = await ask("job", asked);
    const { task, ...run } = answer;
    const now = JSON.stringify(answer);
    if (now !== told) {
      if (told !== null) say("The job has changed.");
      told = now;
      title.textContent = task ? `${KINDS[task.kind] ?? "Job"}: ${taskName(task)}` : asked.task_id;
      up.replaceChildren(
        h("a", { href: page("run", { dag_id: run.dag_id, run_id: run.run_id }) }, `← ${run.dag_name} ${run.run_id}`),
        airflow(airflowPath(run, task ?? { ...asked, map_index: Number(asked.map_index) }), "Task in Airflow"),
      );
      const parts = task ? detail(run, task) : [h("p", { class: "empty" }, NOTHING)];
      anew(content, () => content.replaceChildren(...parts));
    }
    tick(document);
    return run.state === "running" && ["running", "retrying", "waiting"].includes(task?.status);
  }

  top.append(up, h("div", { class: "line" }, title, keepFresh(load, problems)), problems);
}
