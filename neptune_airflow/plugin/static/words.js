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

/** Tell whether a job's own word says no more than the status of its task. */
export const says = (status, word) =>
  STATUSES[status]?.title.toLowerCase() === word.toLowerCase() || (status === "succeeded" && word === "Completed");

/** Airflow's states of a run, in the words above. */
export const RUN_STATES = { queued: "waiting", running: "running", success: "succeeded", failed: "failed" };

/** A job's own words for that it has not begun. */
export const QUEUED = new Set(["pending", "starting", "submitted", "runnable"]);

// Sizes, in the order in which they are shown.
const SIZES = ["nodes", "edges", "features", "train", "valid", "test", "trials", "errors", "warnings"];

/** Give the figures of a record as pairs of a name and a text: sizes first, then a metric beside its baseline. */
export function figures(told) {
  const named = {
    value: [told.metric_name ?? "metric", told.split && `(${told.split})`],
    baseline: ["baseline", told.baseline_name && `(${told.baseline_name})`],
  };
  const known = [...SIZES.map((name) => [name, [name]]), ...Object.entries(named)];
  return known
    .filter(([name]) => typeof told[name] === "number")
    .map(([name, title]) => [title.filter(Boolean).join(" "), number(told[name])]);
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

/** Write now as a time of day in that zone, with its name. */
export const now = () => `${moment(new Date().toISOString()).slice(11)} (${zone()})`;

/** Write a time in that zone: 2026-11-24 04:35:10. */
export function moment(iso) {
  const at = new Date(iso);
  return isNaN(at) ? "" : at.toLocaleString("sv-SE", { timeZone: zone() });
}
