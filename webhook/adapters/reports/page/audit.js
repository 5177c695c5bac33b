// Filters and sorts the table of workloads. The page can be read without it: every control that needs it is made or shown here.
(() => {
  "use strict";
  const table = document.getElementById("table");
  if (!table) return;
  const body = table.tBodies[0];
  const outcomes = Array.from(document.getElementById("outcome").options).slice(1).map((option) => option.value);
  const cellText = (row, place) => row.cells[place].firstElementChild.textContent;
  const rows = Array.from(body.rows, (row, place) => ({
    row,
    place,
    text: "",
    name: cellText(row, 0),
    namespace: cellText(row, 1),
    policy: cellText(row, 2),
    outcome: Number(row.dataset.o),
    pods: Number(row.dataset.p),
    rules: (row.dataset.r || "").split(" "),
  }));
  const controls = document.getElementById("controls");
  const [text, outcome, namespace, rule, sort, shown, nothing] =
    ["text", "outcome", "namespace", "rule", "sort", "shown", "nothing"].map((id) => document.getElementById(id));
  const collator = new Intl.Collator("en", { numeric: true });
  const headers = Array.from(table.tHead.rows[0].cells).filter((header) => header.dataset.key);

  function filter() {
    const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = outcomes.indexOf(outcome.value);
    let count = 0;
    for (const one of rows) {
      if (words.length && !one.text) one.text = one.row.textContent.toLowerCase();
      const fits =
        (wanted < 0 || one.outcome === wanted) &&
        (!namespace.value || one.namespace === namespace.value) &&
        (!rule.value || one.rules.includes(rule.value)) &&
        words.every((word) => one.text.includes(word));
      if (one.row.hidden === fits) one.row.hidden = !fits;
      count += fits;
    }
    shown.value = `${count.toLocaleString("en")} of ${rows.length.toLocaleString("en")} shown`;
    nothing.hidden = count > 0;
  }

  function order(key, descending) {
    const compare = key
      ? (a, b) => (typeof a[key] === "number" ? a[key] - b[key] : collator.compare(a[key], b[key]))
      : () => 0;
    const sign = descending ? -1 : 1;
    const sorted = rows.slice().sort((a, b) => sign * compare(a, b) || a.place - b.place);
    const fragment = document.createDocumentFragment();
    for (const one of sorted) fragment.append(one.row);
    body.append(fragment);
    for (const header of headers) {
      if (header.dataset.key === key) header.setAttribute("aria-sort", descending ? "descending" : "ascending");
      else header.removeAttribute("aria-sort");
    }
  }

  for (const header of headers) {
    const key = header.dataset.key;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = header.textContent;
    button.addEventListener("click", () => {
      const now = header.getAttribute("aria-sort");
      const descending = now ? now === "ascending" : "down" in header.dataset;
      order(key, descending);
      sort.value = key;
    });
    header.replaceChildren(button);
    if (key !== "outcome") sort.append(new Option(button.textContent.toLowerCase(), key));
    else sort.options[0].value = key;
  }
  sort.addEventListener("change", () => {
    const header = headers.find((one) => one.dataset.key === sort.value);
    order(sort.value, "down" in header.dataset);
  });
  for (const control of [text, outcome, namespace, rule]) control.addEventListener("input", filter);
  controls.addEventListener("submit", (event) => event.preventDefault());
  controls.addEventListener("reset", () => setTimeout(() => { filter(); order("", false); }));

  // Numbers, rules and namespaces further up lead to what they count.
  for (const link of document.querySelectorAll("a[data-outcome], a[data-rule], a[data-namespace]")) {
    link.addEventListener("click", () => {
      controls.reset();
      outcome.value = link.dataset.outcome || "";
      rule.value = link.dataset.rule || "";
      namespace.value = link.dataset.namespace || "";
    });
  }
  controls.hidden = false;
  filter();
})();
