// Tables of ops, modules and calls: sorted by a click on a header, filtered by a box.

const COLUMNS = [
  { name: "Name", at: 0, text: true },
  { name: "Time", at: 1, show: showTime },
  { name: "Share", at: 2, show: showPercent },
  { name: "Calls", at: 3, show: String },
  { name: "Bound by", at: 4, text: true },
  { name: "Of roofline", at: 5, show: showPercent },
  { name: "FLOP", at: 6, show: (v) => (v ? showRate(v, "FLOP") : "–") },
  { name: "Bytes", at: 7, show: (v) => (v ? showBytes(v) : "–") },
  { name: "Family", at: 8, text: true },
];
const PAGE_ROWS = 60;

function startTables(data, spotTimeline) {
  const state = { data, which: "ops", column: 1, down: true, filter: "", shown: PAGE_ROWS, spotTimeline };
  const tabs = [...document.querySelectorAll("[data-table]")];
  for (const tab of tabs) {
    tab.addEventListener("click", () => {
      press(tabs, tab, "aria-selected");
      Object.assign(state, { which: tab.dataset.table, shown: PAGE_ROWS });
      drawTable(state);
    });
    tab.addEventListener("keydown", (event) => {
      const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!by) return;
      const next = tabs[(tabs.indexOf(tab) + by + tabs.length) % tabs.length];
      next.focus();
      next.click();
    });
  }
  document.getElementById("filter").addEventListener("input", (event) => {
    Object.assign(state, { filter: event.target.value.trim().toLowerCase(), shown: PAGE_ROWS });
    drawTable(state);
  });
  drawTable(state);
}

function chosenRows({ data, which, filter, column, down }) {
  const { at, text } = COLUMNS[column];
  const rows = data[which].filter(
    (row) => !filter || `${row[0]} ${row[4]} ${row[8]}`.toLowerCase().includes(filter));
  const order = text ? (a, b) => String(a[at]).localeCompare(b[at]) : (a, b) => a[at] - b[at];
  return rows.sort((a, b) => (down ? -order(a, b) : order(a, b)));
}

function drawTable(state) {
  const rows = chosenRows(state);
  const most = Math.max(...state.data[state.which].map((row) => row[2]), 1e-12);
  const body = element("tbody");
  for (const row of rows.slice(0, state.shown)) body.append(tableRow(state, row, most));
  const table = element("table", {}, element("thead", {}, tableHead(state)), body);
  const place = document.getElementById("table");
  place.replaceChildren(table);
  if (rows.length > state.shown) {
    const more = element("button", { type: "button", style: "margin:10px" }, `Show all ${rows.length}`);
    more.addEventListener("click", () => { state.shown = Infinity; drawTable(state); });
    place.append(more);
  }
  const whole = state.data.num_rows[["ops", "modules", "calls"].indexOf(state.which)];
  const kept = state.data[state.which].length;
  document.getElementById("count").textContent =
    `${rows.length} of ${kept}${kept < whole ? ` (the ${kept} longest of ${whole})` : ""}`;
}

function tableHead(state) {
  const head = element("tr");
  COLUMNS.forEach((column, index) => {
    const button = element("button", { type: "button" }, column.name);
    button.addEventListener("click", () => {
      state.down = state.column === index ? !state.down : !column.text;
      state.column = index;
      drawTable(state);
      document.querySelectorAll("#table thead button")[index].focus();
    });
    const sorted = state.column === index ? (state.down ? "descending" : "ascending") : "none";
    head.append(element("th", { scope: "col", "aria-sort": sorted, class: column.text ? "" : "number" }, button));
  });
  return head;
}

function tableRow(state, row, most) {
  const made = element("tr");
  const name = element("button", { type: "button", title: "Highlight in the timeline" }, row[0]);
  name.addEventListener("click", () => state.spotTimeline(row[0] === "(outside)" ? "" : row[0]));
  for (const { at, text, show } of COLUMNS) {
    if (at === 0) made.append(element("td", { class: "name" }, name));
    else if (at === 2) made.append(shareCell(row[2], most));
    else if (at === 4) made.append(element("td", row[4] ? { class: "chip", style: `--chip:var(--${row[4].replace(" ", "-")})` } : {}, row[4]));
    else made.append(element("td", text ? {} : { class: "number" }, text ? row[at] : show(row[at])));
  }
  return made;
}

function shareCell(share, most) {
  const width = `${((100 * share) / most).toFixed(1)}%`;
  return element("td", { class: "number share" }, element("i", { style: `--w:${width}` }), showPercent(share));
}
