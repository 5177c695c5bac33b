"""Questions to a page, in JavaScript: contrast, what overflows, what can be reached, what is shown."""

CONTRAST = """
(() => {
  const channel = (c) => { c /= 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
  const parse = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const back = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = parse(getComputedStyle(at).backgroundColor);
      if (color.length < 4 || color[3] === 1) return color;
      if (color[3] !== 0) throw new Error("half transparent: " + at.className);
    }
    throw new Error("no background");
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const poor = new Set();
  let seen = 0;
  const look = (element) => {
    const style = getComputedStyle(element);
    const [a, b] = [light(parse(style.color)), light(back(element))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    seen += 1;
    if (ratio < (large ? 3 : 4.5)) poor.add(`${element.tagName}.${element.className} ${ratio.toFixed(2)}`);
    if (size < 11.5) poor.add(`${element.tagName}.${element.className} is ${size}px`);
  };
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || element.closest("script, style")) continue;
    look(element);
  }
  document.querySelectorAll("input, select, button").forEach(look);
  return { seen, poor: [...poor] };
})()
"""
"""Text whose contrast with its background is below WCAG 2.2 AA (1.4.3), or that is too small to read."""

OVERFLOWING = """
[...document.querySelectorAll("body *:not(#table tr:nth-child(n+20), #table tr:nth-child(n+20) *)")]
  .filter((e) => !e.closest(".scroll, .skip, .unseen, svg") && e.getBoundingClientRect().right > innerWidth + 1)
  .map((e) => `${e.tagName}.${e.className}`)
"""
"""What stands out of the window on the right, other than in a region that scrolls; of the workloads, among the first."""

FOCUSABLE = """
[...document.querySelectorAll("a[href], button, input, select, summary, [tabindex='0']")]
  .filter((e) => e.checkVisibility({ visibilityProperty: true }))
  .map((e, place) => (e.dataset.place = String(place)))
"""
"""Everything that must be reached with the keyboard; each gets its number."""

FOCUSED = """
(() => {
  const style = getComputedStyle(document.activeElement);
  return {
    place: document.activeElement.dataset.place || null,
    outline: style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth),
    label: document.activeElement.textContent.trim() || document.activeElement.id,
  };
})()
"""
"""What has the focus, and how that is shown."""

ROWS = """[...document.querySelectorAll("#table tbody tr[data-o]")].filter((row) => !row.hidden)"""
NAMES = f"""{ROWS}.map((row) => row.cells[0].firstElementChild.textContent)"""
"""The workloads that are shown, in their order."""
