// What the theme leaves out for keyboards and screen readers: wide tables and pictures scroll by keyboard, and the search has a name.
document.addEventListener("DOMContentLoaded", () => {
  document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
  for (const wide of document.querySelectorAll('.md-typeset__scrollwrap, p:has(> img[src$=".svg"])')) {
    if (wide.scrollWidth > wide.clientWidth) {
      wide.tabIndex = 0;
    }
  }
});
