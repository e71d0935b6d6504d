"use strict";
(() => {
  const MINUS = "\u2212";
  const numberOf = (text) => {
    const number = parseFloat(text.replace(/,/g, "").replace(MINUS, "-").replace("+", ""));
    return Number.isNaN(number) ? -Infinity : number;
  };
  const spelled = (number, digits) =>
    number === null ? "\u2014"
      : number.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits })
        .replace("-", MINUS);

  /* Sorting: a click sorts, the next one turns the order round; numbers start with the largest. */
  const sort = (table, column, head) => {
    const body = table.tBodies[0];
    body.querySelectorAll("tr.why").forEach((row) => row.remove());
    body.querySelectorAll("[aria-expanded=true]").forEach((b) => b.setAttribute("aria-expanded", "false"));
    const isNumber = head.classList.contains("n");
    const before = head.getAttribute("aria-sort");
    const order = before ? (before === "ascending" ? "descending" : "ascending") : isNumber ? "descending" : "ascending";
    const sign = order === "ascending" ? 1 : -1;
    const keyed = Array.from(body.rows, (row, at) => {
      const text = row.cells[column].textContent.trim();
      return { row, at, key: isNumber ? numberOf(text) : text };
    });
    keyed.sort((a, b) => {
      const compared = isNumber ? a.key - b.key || 0 : a.key < b.key ? -1 : a.key > b.key ? 1 : 0;
      return compared * sign || a.at - b.at;
    });
    body.append(...keyed.map((entry) => entry.row));
    for (const cell of head.parentNode.cells) cell.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", order);
  };
  document.querySelectorAll("table.sortable").forEach((table) => {
    if (table.tBodies[0].rows.length < 2) return;
    Array.from(table.tHead.rows[0].cells).forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => sort(table, column, head));
    });
  });

  /* Why a netting set owes what it owes: its positions and worst scenarios below its row. */
  const why = JSON.parse(document.getElementById("why").textContent);
  const smallTable = (caption, heads, rows) => {
    const table = document.createElement("table");
    table.createCaption().textContent = caption;
    const top = table.createTHead().insertRow();
    heads.forEach(([text, kind]) => {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.className = kind;
      cell.textContent = text;
      top.append(cell);
    });
    const body = table.createTBody();
    rows.forEach((values) => {
      const row = body.insertRow();
      values.forEach((value, i) => {
        const cell = row.insertCell();
        cell.className = heads[i][1];
        cell.textContent = value;
      });
    });
    return table;
  };
  const explain = (button, row) => {
    const isOpen = button.getAttribute("aria-expanded") === "true";
    button.setAttribute("aria-expanded", String(!isOpen));
    if (isOpen) { row.nextElementSibling.remove(); return; }
    const [reason, nPositions, positions, scenarios] = why.sets[button.textContent];
    const below = document.createElement("tr");
    below.className = "why";
    const cell = below.insertCell();
    cell.colSpan = row.cells.length;
    const box = document.createElement("div");
    box.className = "why-box";
    if (reason) { const p = document.createElement("p"); p.textContent = reason; box.append(p); }
    if (positions.length) box.append(smallTable(
      `Largest contributions, ${positions.length} of ${nPositions} positions`,
      [["Instrument", "t"], ["Quantity", "n"], ["Core", "n"], ["Add-ons", "n"], ["Contribution", "n"]],
      positions.map(([name, quantity, core, addOns]) =>
        [why.names[name], quantity.toLocaleString("en-US", { maximumFractionDigits: 8 }).replace("-", MINUS),
          spelled(core, 2), spelled(addOns, 2), spelled(core + addOns, 2)])));
    if (scenarios.length) box.append(smallTable("Worst scenarios", [["Scenario", "t"], ["Loss", "n"]],
      scenarios.map(([name, loss]) => [why.names[name], spelled(loss, 2)])));
    if (!box.childElementCount) box.append("No position, no requirement.");
    cell.append(box);
    row.after(below);
  };

  document.querySelectorAll(".searchable").forEach((holder) => {
    const form = holder.querySelector("form");
    const table = holder.querySelector("table.data");
    const body = table.tBodies[0];
    const heads = Array.from(table.tHead.rows[0].cells, (cell) => cell.textContent);
    const at = { status: heads.indexOf("Status"), decision: heads.indexOf("Decision") };
    const all = Array.from(body.rows);
    all.forEach((row) => {
      const head = row.cells[0];
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      button.setAttribute("aria-expanded", "false");
      head.replaceChildren(button);
      button.addEventListener("click", () => explain(button, row));
    });
    const filter = () => {
      const wanted = form.q.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      body.querySelectorAll("tr.why").forEach((row) => row.remove());
      all.forEach((row) => {
        const text = row.textContent.toLowerCase();
        const fits = wanted.every((word) => text.includes(word)) && ["status", "decision"].every(
          (name) => !form[name].value || row.cells[at[name]].textContent.trim() === form[name].value);
        row.hidden = !fits;
        row.cells[0].firstChild.setAttribute("aria-expanded", "false");
        shown += fits;
      });
      form.querySelector("output").textContent =
        `${shown.toLocaleString("en-US")} of ${all.length.toLocaleString("en-US")} shown`;
    };
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", filter);
    form.extra.addEventListener("change", () => table.classList.toggle("show-extra", form.extra.checked));
    filter();
  });

  /* The contents show where the reader is. */
  const links = new Map(Array.from(document.querySelectorAll("nav a"), (a) => [a.hash.slice(1), a]));
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      links.forEach((link) => link.removeAttribute("aria-current"));
      links.get(entry.target.id)?.setAttribute("aria-current", "true");
    }
  }, { rootMargin: "0px 0px -75% 0px" });
  document.querySelectorAll("main > section").forEach((section) => seen.observe(section));
})();
