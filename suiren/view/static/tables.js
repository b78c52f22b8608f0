import { h, head, choice, card } from "./dom.js";
import { t, named } from "./words.js";
import { paint } from "./look.js";
import { sortable, barCell } from "./table.js";
import { drawFlame } from "./flame.js";

// Tables of ops, calls and modules, and the modules as a flame.

const keptTab = { which: "flame" };

export function drawTablesView(main, item) {
  const { tables, flame } = item.step;
  const place = h("div", { id: "tables" });
  const box = h("input", { type: "search", id: "search", placeholder: t("filter"), "aria-label": t("filter") });
  const draw = () => {
    place.replaceChildren();
    box.hidden = keptTab.which === "flame";
    if (keptTab.which === "flame") drawFlame(place, flame);
    else place.append(rowsTable(tables, keptTab.which, box.value));
  };
  main.append(head(t("tables"), t("tables_lead"), box,
    choice(t("table"), [["flame", t("flame")], ["modules", t("modules")], ["ops", t("ops")], ["calls", t("calls")]], keptTab.which, (v) => { keptTab.which = v; draw(); })),
  card("", place));
  box.addEventListener("input", draw);
  draw();
  return {};
}

// A row: name, s, share, calls, bound by, roofline share, FLOP, bytes, family.
function rowsTable(tables, which, filter) {
  const rows = tables[which];
  const most = rows.reduce((a, row) => Math.max(a, row[2]), 1e-12);
  const whole = tables.num_rows[["ops", "modules", "calls"].indexOf(which)];
  const columns = [
    { name: t("name"), text: true, css: "name", value: (r) => r[0] },
    { name: t("time"), value: (r) => r[1], show: (r) => showTime(r[1]) },
    { name: "", value: (r) => r[2], css: "bar-cell", show: (r) => barCell(r[2] / most) },
    { name: t("share"), value: (r) => r[2], show: (r) => showPercent(r[2]) },
    { name: t("number"), value: (r) => r[3], show: (r) => r[3].toLocaleString("en-US") },
    { name: t("bound_by"), text: true, css: "nowrap", value: (r) => named(r[4]), show: (r) => (r[4] ? h("span", {}, h("i.key", { style: `background:${paint(r[4])}` }), named(r[4])) : "–") },
    { name: t("of_roofline"), value: (r) => r[5], show: (r) => (r[5] ? showPercent(r[5]) : "–") },
    { name: "FLOP", value: (r) => r[6], show: (r) => (r[6] ? showRate(r[6], "FLOP") : "–") },
    { name: t("bytes"), value: (r) => r[7], show: (r) => (r[7] ? showBytes(r[7]) : "–") },
    { name: t("family"), text: true, value: (r) => r[8] },
  ];
  const cut = rows.length < whole ? h("p.quiet", { style: "margin-bottom:8px" }, t("longest_of", { n: rows.length, all: whole })) : null;
  return h("div", {}, cut, sortable(columns, rows, { sort: 1, filter }));
}
