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
 * Let links leave the frame. Airflow shows this page in a frame that may open nothing; but the page around it, which
 * has the same address, may.
 */
export function letLinksLeave() {
  if (parent === window) return;
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[target]");
    if (!link || event.defaultPrevented) return;
    event.preventDefault();
    const around = parent.document;
    const twin = around.createElement("a");
    Object.assign(twin, { href: link.href, rel: link.rel, target: link.target === "_top" ? "" : link.target });
    around.body.append(twin);
    twin.click();
    twin.remove();
  });
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
