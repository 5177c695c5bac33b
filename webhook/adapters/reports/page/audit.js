// Filters, groups, pages and sorts the table of workloads, and keeps the filters in the address. The page is complete without
// it: every control that needs it is created or shown here. Where there are many workloads, it unpacks all but the first.
(() => {
  "use strict";
  const $ = (id) => document.getElementById(id);
  const table = $("table");
  if (!table) return;
  const PAGE = 50; // rows that are shown at once; groups are folded where there are more
  const body = table.tBodies[0];
  const outcomes = Array.from($("outcome").options).slice(1);
  const cellText = (row, place) => row.cells[place].firstElementChild.textContent;
  const known = (row, place) => ({
    row,
    place,
    text: "",
    name: cellText(row, 0),
    namespace: cellText(row, 1),
    policy: cellText(row, 2),
    outcome: Number(row.dataset.o),
    pods: Number(row.dataset.p),
    rules: (row.dataset.r || "").split(" ").filter(Boolean),
  });
  const rows = Array.from(body.rows, known);
  const controls = $("controls");
  const [text, sort, group] = ["text", "sort", "group"].map($);
  const fields = ["text", "outcome", "namespace", "rule", "group", "sort"];
  const collator = new Intl.Collator("en", { numeric: true });
  const headers = Array.from(table.tHead.rows[0].cells).filter((header) => header.dataset.key);
  let descending = false;
  let address = "";
  let opened = new Set(); // the groups that a person opened or closed against the default
  let limits = new Map(); // rows shown of each group, where more than a page
  let most = PAGE; // groups that are shown
  let all = false; // for printing

  const header = (key) => headers.find((one) => one.dataset.key === key);

  function matching() {
    const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const outcome = outcomes.findIndex((option) => option.value === $("outcome").value);
    const [namespace, rule] = [$("namespace").value, $("rule").value];
    const found = rows.filter((one) => {
      if (words.length && !one.text) one.text = one.row.textContent.toLowerCase();
      return (
        (outcome < 0 || one.outcome === outcome) &&
        (!namespace || one.namespace === namespace) &&
        (!rule || one.rules.includes(rule)) &&
        words.every((word) => one.text.includes(word))
      );
    });
    const key = sort.value;
    if (!key) return found;
    const sign = descending ? -1 : 1;
    const compare = (a, b) => (typeof a[key] === "number" ? a[key] - b[key] : collator.compare(a[key], b[key]));
    return found.sort((a, b) => sign * compare(a, b) || a.place - b.place);
  }

  // The rows as groups of [heading, rows]; one group without a heading where they are not grouped.
  function grouped(found) {
    if (!group.value) return [["", found]];
    const groups = new Map();
    for (const one of found) {
      const first = $("rule").value || one.rules[0];
      const parts = [outcomes[one.outcome].textContent];
      if (group.value.includes("rule") && first) parts.push(first);
      if (group.value.includes("namespace")) parts.push(one.namespace);
      const heading = parts.join(" · ");
      if (!groups.has(heading)) groups.set(heading, []);
      groups.get(heading).push(one);
    }
    return Array.from(groups);
  }

  function fold() {
    [opened, limits, most] = [new Set(), new Map(), PAGE];
  }

  function line(kind, content, action, expanded) {
    const row = document.createElement("tr");
    row.className = kind;
    row.setAttribute("role", "row");
    const cell = document.createElement(kind === "group" ? "th" : "td");
    cell.colSpan = 6;
    if (kind === "group") cell.scope = "rowgroup";
    cell.setAttribute("role", kind === "group" ? "rowheader" : "cell");
    cell.setAttribute("aria-colspan", "6");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = content;
    if (kind === "group") button.setAttribute("aria-expanded", String(expanded));
    button.addEventListener("click", () => {
      const place = Array.from(body.rows).indexOf(row);
      action();
      show();
      // The keyboard stays where it was: on the group's button, or on the first row's place that came in.
      const now = kind === "group" ? body.querySelectorAll("tr.group button") : [];
      const same = Array.from(now).find((one) => one.textContent === content);
      const next = same || body.rows[place]?.querySelector("button, summary") || body.querySelector("tr.more button");
      next?.focus({ preventScroll: true });
    });
    cell.append(button);
    row.append(cell);
    return row;
  }

  function show() {
    const found = matching();
    const fragment = document.createDocumentFragment();
    const folded = found.length > PAGE;
    const groups = grouped(found);
    for (const [heading, members] of all ? groups : groups.slice(0, most)) {
      const open = all || !heading || folded === opened.has(heading);
      if (heading) {
        const toggle = () => (opened.has(heading) ? opened.delete(heading) : opened.add(heading));
        fragment.append(line("group", `${heading} (${members.length.toLocaleString("en")})`, toggle, open));
      }
      if (!open) continue;
      const limit = all ? members.length : limits.get(heading) || PAGE;
      for (const one of members.slice(0, limit)) fragment.append(one.row);
      const left = members.length - limit;
      if (left > 0) {
        const more = `Show ${Math.min(left, PAGE).toLocaleString("en")} more of ${left.toLocaleString("en")}`;
        fragment.append(line("more", more, () => limits.set(heading, limit + PAGE)));
      }
    }
    if (!all && groups.length > most) {
      const left = groups.length - most;
      const more = `Show ${Math.min(left, PAGE)} more of ${left.toLocaleString("en")} groups`;
      fragment.append(line("more", more, () => { most += PAGE; }));
    }
    body.replaceChildren(fragment);
    for (const one of headers) {
      if (one.dataset.key === sort.value) one.setAttribute("aria-sort", descending ? "descending" : "ascending");
      else one.removeAttribute("aria-sort");
    }
    $("shown").value = `${found.length.toLocaleString("en")} of ${rows.length.toLocaleString("en")} match`;
    $("nothing").hidden = found.length > 0;
  }

  // The filters, in the address: "#outcome=denied&namespace=team-a". What is as at first is left out.
  function keep() {
    const values = new URLSearchParams();
    for (const id of fields) if ($(id).value !== ($(id).dataset.first || "")) values.set(id, $(id).value);
    if (descending) values.set("down", "1");
    address = values.size ? `#${values}` : "";
    // Opened from a file, a page may change only the fragment of its address.
    history.replaceState(null, "", address || "#workloads");
    show();
  }

  function restore() {
    if (location.hash === address && address) return;
    const values = new URLSearchParams(location.hash.slice(1));
    const filtered = fields.some((id) => values.has(id));
    if (location.hash && !filtered) return; // a place on the page
    for (const id of fields) {
      const wanted = values.has(id) ? values.get(id) : $(id).dataset.first || "";
      const known = !$(id).options || Array.from($(id).options).some((option) => option.value === wanted);
      $(id).value = known ? wanted : $(id).dataset.first || "";
    }
    descending = values.get("down") === "1";
    address = location.hash;
    fold();
    show();
    if (filtered) {
      $("workloads").scrollIntoView();
      $("workloads").focus({ preventScroll: true });
    }
  }

  function sortBy(key, down) {
    descending = down;
    sort.value = key;
    // An order by name or pods runs through all rows, so that groups would break it up.
    group.value = key ? "" : group.dataset.first;
    fold();
    keep();
  }

  for (const one of headers) {
    const key = one.dataset.key;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = one.textContent;
    button.addEventListener("click", () => {
      const now = one.getAttribute("aria-sort");
      sortBy(key, now ? now === "ascending" : "down" in one.dataset);
    });
    one.replaceChildren(button);
    sort.append(new Option(button.textContent.toLowerCase(), key));
  }
  sort.addEventListener("change", () => sortBy(sort.value, Boolean(sort.value) && "down" in header(sort.value).dataset));
  for (const id of ["text", "outcome", "namespace", "rule", "group"]) {
    $(id).addEventListener("input", () => {
      fold();
      keep();
    });
  }
  controls.addEventListener("submit", (event) => event.preventDefault());
  controls.addEventListener("reset", () => setTimeout(() => { descending = false; fold(); keep(); }));

  // Numbers, rules and namespaces further up lead to what they count; each link can be copied.
  for (const link of document.querySelectorAll("a[data-outcome], a[data-rule], a[data-namespace]")) {
    link.href = `#${new URLSearchParams({ ...link.dataset })}`;
    link.addEventListener("click", () => { address = ""; setTimeout(restore); });
  }
  window.addEventListener("hashchange", restore);
  // Paper has nothing to click: everything that matches is printed, and the patches that are open.
  let unfolded = [];
  window.addEventListener("beforeprint", () => {
    all = true;
    show();
    unfolded = Array.from(document.querySelectorAll("details:not([open], #table details)"));
    for (const one of unfolded) one.open = true;
  });
  window.addEventListener("afterprint", () => {
    all = false;
    for (const one of unfolded) one.open = false;
    show();
  });

  // What is gzip and base64 in an element, as text.
  function unpacked(element) {
    const bytes = Uint8Array.from(atob(element.textContent), (one) => one.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  }

  $("download").addEventListener("click", async () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([await unpacked($("data"))], { type: "application/json" }));
    link.download = "gpuwarden-audit.json";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });

  function start() {
    $("download").hidden = !("DecompressionStream" in window);
    controls.hidden = false;
    show();
    if (location.hash) restore();
  }

  const packed = $("packed");
  if (!packed || !("DecompressionStream" in window)) return start();
  unpacked(packed).then((text) => {
    const holder = document.createElement("template");
    // Escaped where it was made, as the rows that are not packed.
    holder.innerHTML = `<table><tbody>${text}</tbody></table>`;
    const found = holder.content.querySelectorAll("tr");
    for (const row of found) rows.push(known(row, rows.length));
    $("unpacking").remove();
    packed.remove();
    start();
  });
})();
