// What the server is asked, and what its refusals mean.

const REFUSALS = {
  401: "You are signed out. Sign in to Airflow again, then reload this page.",
  403: "You do not have the right to see this. Ask an administrator of this Airflow.",
  404: "There is nothing here that you may see: it does not exist, or its DAG is not among those that you may read.",
  422: "The address of this page is not complete.",
};

/** An answer that cannot be shown, with the words for it. */
export class Refusal extends Error {
  constructor(status) {
    super(REFUSALS[status] ?? "Airflow did not answer as it should. This page tries again.");
    this.lasting = status in REFUSALS;
    this.status = status;
  }
}

/** Ask the server; parameters without a value are left out. */
export async function ask(what, parameters, signal) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) if (value !== null && value !== "") query.set(name, value);
  let answer;
  try {
    answer = await fetch(`api/${what}?${query}`, { signal, headers: { Accept: "application/json" } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal(0);
  }
  if (!answer.ok) throw new Refusal(answer.status);
  return answer.json();
}

/** Give the parameters of this page's address. */
export function given(...names) {
  const query = new URLSearchParams(location.search);
  return Object.fromEntries(names.map((name) => [name, query.get(name) ?? ""]));
}
