// A page asks again by itself while somebody looks at it.

import { Refusal } from "./api.js";
import { h, say } from "./dom.js";
import { now } from "./words.js";

const SOON = 5_000; // while something runs
const LATER = 30_000;
const STORED = "neptune-ml-refresh";

/**
 * Keep a page fresh.
 *
 * @param load asks the server and shows the answer; gives whether something still runs. What it throws is shown.
 * @param place where an error is shown.
 * @returns the controls: when it was last asked, a switch, a button.
 */
export function keepFresh(load, place) {
  let timer = null;
  let asking = false;
  let soon = true;
  const when = h("span", { class: "muted" }, "");
  const automatic = h("input", { type: "checkbox", change: () => (remember(automatic.checked), plan()) });
  automatic.checked = remembered();

  async function refresh() {
    if (asking) return;
    asking = true;
    clearTimeout(timer);
    try {
      soon = await load();
      place.replaceChildren();
      when.textContent = `Updated ${now()}`;
    } catch (error) {
      soon = false;
      show(error, place, refresh);
      if (error instanceof Refusal && error.lasting) automatic.checked = false;
    } finally {
      asking = false;
      document.getElementById("content").setAttribute("aria-busy", "false");
      plan();
    }
  }

  function plan() {
    clearTimeout(timer);
    if (automatic.checked && !document.hidden) timer = setTimeout(refresh, soon ? SOON : LATER);
  }

  document.addEventListener("visibilitychange", () =>
    document.hidden ? clearTimeout(timer) : automatic.checked && refresh(),
  );
  refresh();
  return h(
    "div",
    { class: "fresh" },
    when,
    h("label", {}, automatic, " Auto-refresh"),
    h("button", { type: "button", click: refresh }, "Refresh"),
  );
}

function show(error, place, again) {
  const words = error instanceof Refusal ? error.message : "This page met something that it does not understand.";
  place.replaceChildren(
    h(
      "div",
      { class: "notice bad", role: "alert" },
      h("p", {}, words),
      h("button", { type: "button", click: again }, "Try again"),
    ),
  );
  document.querySelector(".loading")?.remove();
  if (!(error instanceof Refusal)) console.error(error);
  say("");
}

function remembered() {
  try {
    return localStorage.getItem(STORED) !== "off";
  } catch {
    return true; // the browser keeps nothing for this address
  }
}

function remember(on) {
  try {
    localStorage.setItem(STORED, on ? "on" : "off");
  } catch {
    // then the choice is this page's alone
  }
}
