// Elements are made here and nowhere else, and what is told becomes text: no data is ever read as HTML.

const SVG = "http://www.w3.org/2000/svg";

function filled(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(9).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Make an HTML element; a function among the properties listens to the event of that name. */
export const h = (tag, properties = {}, ...children) => filled(document.createElement(tag), properties, children);

/** Make an SVG element. */
export const svg = (tag, properties = {}, ...children) =>
  filled(document.createElementNS(SVG, tag), properties, children);

/** Make a link to another web page, if the address is one. */
export function outside(url, ...children) {
  const safe = /^https?:\/\//i.test(String(url));
  return safe ? h("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, ...children) : null;
}

/** Make a link to a page of Airflow's own UI, given its path below Airflow's address. */
export function airflow(path, ...children) {
  return h("a", { href: new URL(`../${path}`, document.baseURI).href, target: "_top" }, ...children);
}

/**
 * Let links leave the frame, those that lead out of it and those that somebody wants in a window of their own. Airflow
 * shows this page in a frame that may open nothing; but the page around it, which has the same address, may.
 */
export function letLinksLeave() {
  if (parent === window) return;
  const leave = (event) => {
    const link = event.target.closest?.("a[href]");
    const apart = event.ctrlKey || event.metaKey || event.shiftKey || event.button === 1;
    if (!link || event.button > 1 || !(link.target || apart)) return;
    event.preventDefault();
    const around = parent.document;
    const twin = around.createElement("a");
    const target = apart || link.target !== "_top" ? "_blank" : "";
    Object.assign(twin, { href: link.href, rel: target && "noopener noreferrer", target });
    around.body.append(twin);
    twin.click();
    twin.remove();
  };
  for (const kind of ["click", "auxclick"]) document.addEventListener(kind, leave);
}

/** Make a part of the page anew; what had the focus in it has it again if it is still there. */
export function anew(place, make) {
  const name = (element) => `${element.tagName} ${element.getAttribute("href") ?? element.dataset.key}`;
  const focused = place.contains(document.activeElement) && name(document.activeElement);
  make();
  if (!focused || place.contains(document.activeElement)) return;
  [...place.querySelectorAll("a, summary")].find((element) => name(element) === focused)?.focus();
}

/** Say something to a screen reader, and to nobody else. */
export function say(text) {
  document.getElementById("said").textContent = text;
}

/** Give a list, whatever was told. */
export const list = (told) => (Array.isArray(told) ? told : []);

/** Give the entries of an object, whatever was told. */
export const entries = (told) => (told && typeof told === "object" && !Array.isArray(told) ? Object.entries(told) : []);

/** Give a text, whatever was told; an object becomes JSON. */
export const text = (told) =>
  told === null || told === undefined ? "" : typeof told === "object" ? JSON.stringify(told, null, 2) : String(told);
