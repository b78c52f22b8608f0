import { h } from "./dom.js";
import { t } from "./words.js";

// Tables that sort by a click on a header; `sort: -1` leaves rows as they come.
// A column: { name, value(row), show(row)?, text?, css? }.

const PAGE_ROWS = 60;

export function sortable(columns, rows, { sort = 0, down = true, filter = "", onrow = null, selected = null, tall = true } = {}) {
  const state = { sort, down, shown: PAGE_ROWS };
  const place = h(tall ? "div.scroll.tall" : "div.scroll");
  const draw = () => {
    const wanted = filter.trim().toLowerCase();
    const order = ordered(rows.filter((row) => !wanted || searched(columns, row).includes(wanted)), columns[state.sort], state.down);
    const body = h("tbody", {}, order.slice(0, state.shown).map((row) => line(columns, row, onrow, selected)));
    place.replaceChildren(h("table", {}, h("thead", {}, heads(columns, state, draw)), body));
    if (!order.length) place.append(h("p.quiet", { style: "padding:14px 0" }, t("no_rows")));
    if (order.length > state.shown) {
      place.append(h("button.plain-button", { type: "button", style: "margin:10px 0", onclick: () => { state.shown = Infinity; draw(); } }, t("show_all", { n: order.length })));
    }
  };
  draw();
  return place;
}

function searched(columns, row) {
  return columns.filter((column) => column.text).map((column) => column.value(row)).join(" ").toLowerCase();
}

function ordered(rows, column, isDown) {
  if (!column) return rows;
  const sign = isDown ? -1 : 1;
  const value = column.value;
  return [...rows].sort((a, b) => {
    const [one, two] = [value(a), value(b)];
    if (one === null || one === undefined) return 1;
    if (two === null || two === undefined) return -1;
    return sign * (column.text ? String(one).localeCompare(String(two)) : one - two);
  });
}

function heads(columns, state, draw) {
  return h("tr", {}, columns.map((column, index) => {
    const sorted = state.sort === index ? (state.down ? "descending" : "ascending") : "none";
    const act = (event) => {
      state.down = state.sort === index ? !state.down : !column.text;
      state.sort = index;
      const row = event.currentTarget.closest("table").parentElement;
      draw();
      row.querySelectorAll("thead button")[index].focus();
    };
    return h("th", { scope: "col", "aria-sort": sorted, class: column.text ? "" : "number" }, h("button", { type: "button", onclick: act }, column.name));
  }));
}

function line(columns, row, onrow, selected) {
  const made = h(onrow ? "tr.link" : "tr", onrow ? {
    tabindex: 0, onclick: () => onrow(row),
    onkeydown: (event) => { if (event.key === "Enter") onrow(row); },
  } : {});
  if (selected) made.setAttribute("aria-selected", String(selected(row)));
  for (const column of columns) {
    const shown = column.show ? column.show(row) : String(column.value(row) ?? "–");
    made.append(h("td", { class: column.css || (column.text ? "" : "number") }, shown));
  }
  return made;
}

export function barCell(share, paintName = "accent") {
  return h("i", { style: `width:${Math.max(0, Math.min(100, 100 * share)).toFixed(1)}%;background:var(--${paintName})` });
}
