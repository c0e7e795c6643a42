// How things are called and written.

// In the order of a pipeline.
export const KINDS = {
  export: "Export",
  data_processing: "Data processing",
  model_training: "Training",
  model_transform: "Transform",
  endpoint: "Endpoint",
  endpoint_deletion: "Deletion of the endpoint",
};

// What a task does with a job that is not its own to run.
export const PARTS = { waits: "waits for this job", removes: "removes it", checks: "checks the export" };

export const STATUSES = {
  waiting: { title: "Not started", sign: "○" },
  running: { title: "Running", sign: "▶" },
  retrying: { title: "Waits for a retry", sign: "↻" },
  succeeded: { title: "Succeeded", sign: "✓" },
  failed: { title: "Failed", sign: "✕" },
  not_run: { title: "Not run", sign: "–" },
};

/** Airflow's states of a run, in the words above. */
export const RUN_STATES = { queued: "waiting", running: "running", success: "succeeded", failed: "failed" };

const FIGURES = { nodes: "nodes", edges: "edges", features: "features", train: "train", valid: "valid", test: "test" };

/** Give the figures of a record as pairs of a name and a text: sizes first, then a metric beside its baseline. */
export function figures(told) {
  const known = Object.entries(FIGURES).filter(([name]) => name in told);
  const pairs = known.map(([name, title]) => [title, number(told[name])]);
  const metric = told.metric_name ?? "metric";
  for (const [name, title] of [["value", metric], ["metric", metric], ["baseline", "baseline"]]) {
    if (isFinite(told[name]) && told[name] !== null) pairs.push([String(title), number(told[name])]);
  }
  return pairs;
}

/** Write a number: whole ones with their thousands apart, others with four digits. */
export function number(told) {
  const value = Number(told);
  if (!isFinite(value)) return String(told);
  return value.toLocaleString("en", Number.isInteger(value) ? {} : { maximumSignificantDigits: 4 });
}

/** Write a duration as the task log does, given two times; the second is now where it is not known. */
export function duration(from, to) {
  const seconds = Math.max(0, Math.round(((to ? Date.parse(to) : Date.now()) - Date.parse(from)) / 1000));
  if (!isFinite(seconds)) return "";
  const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const two = (value) => String(value).padStart(2, "0");
  if (hours) return `${hours} h ${two(minutes)} min`;
  return minutes ? `${minutes} min ${two(rest)} s` : `${rest} s`;
}

/** Give the time zone that Airflow's UI shows times in. */
export function zone() {
  try {
    const chosen = JSON.parse(localStorage.getItem("timezone"));
    new Intl.DateTimeFormat("en", { timeZone: chosen });
    return chosen ?? "UTC";
  } catch {
    return "UTC"; // none is chosen, or one that this browser does not know
  }
}

/** Write a time in that zone: 2026-11-24 04:35:10. */
export function moment(iso) {
  const at = new Date(iso);
  return isNaN(at) ? "" : at.toLocaleString("sv-SE", { timeZone: zone() });
}
