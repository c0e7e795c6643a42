"""What can be measured of how a page looks and what it tells a screen reader."""

from __future__ import annotations

from playwright.sync_api import Page

_CONTRASTS = """
() => {
  const channels = (colour) => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => {
    const linear = (each) => (each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4);
    const [x, y, z] = [r, g, b].map((each) => linear(each / 255));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = channels(getComputedStyle(each).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !element.getClientRects().length) continue;
    if (element.closest("noscript, .unseen, .skip")) continue;
    const style = getComputedStyle(element);
    const [one, other] = [light(channels(element.ownerSVGElement ? style.fill : style.color)), light(behind(element))];
    found.push([walk.currentNode.data.trim(), (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05)]);
  }
  return found;
}
"""
_NAMES = """
() => {
  const words = (each) => each?.textContent.trim();
  const named = (each) => each.getAttribute("aria-label") || words(each) || words(each.closest("label"));
  const all = "a[href], button, input, select, summary, [role=img], [tabindex='0']";
  return [...document.querySelectorAll(all)].filter((each) => !named(each)).map((each) => each.outerHTML);
}
"""


def contrasts(page: Page) -> list[tuple[str, float]]:
    """Give each visible text and its contrast to what is behind it, as WCAG 2 computes it."""
    return [(text, ratio) for text, ratio in page.evaluate(_CONTRASTS)]


def names_missing(page: Page) -> list[str]:
    """Give the controls and pictures that a screen reader has no name for."""
    return list(page.evaluate(_NAMES))
