import { h, s, head, card } from "./dom.js";
import { t } from "./words.js";
import { frame, extent, nearestPlace } from "./chart.js";
import { showHover, hideHover } from "./hover.js";
import { sortable } from "./table.js";
import { tile } from "./bars.js";
import { signed } from "./plan_tornado.js";

// Predictions beside measurements: a scatter, the errors, the worst rows, scores of groups.

// Ops with a colour of their own; the rest shares one.
const MOST_COLOURS = 7;
// What is shown: "" for all, `op:gemm` for an op, `table:mg` for rows whose ids begin so.
const keptGroup = { chosen: "" };

export function drawValidationView(main, item) {
  const told = item.document;
  const points = (told.points || []).map((p) => ({ ...p, error: p.predicted_s / p.measured_s - 1 }));
  const scatter = h("div", { id: "scatter" });
  const histogram = h("div", { id: "errors" });
  const groups = groupsOf(points);
  if (![...groups.ops, ...groups.tables].includes(keptGroup.chosen)) keptGroup.chosen = "";
  const draw = () => {
    const shown = points.filter((p) => !keptGroup.chosen || keptGroup.chosen === `op:${p.op}` || keptGroup.chosen === `table:${tableOf(p)}`);
    drawScatter(scatter, shown);
    drawErrors(histogram, shown);
  };
  const option = (value) => h("option", { value, selected: value === keptGroup.chosen }, value.slice(value.indexOf(":") + 1) || "–");
  const select = h("select", { id: "group", "aria-label": t("group"), onchange: (event) => { keptGroup.chosen = event.target.value; draw(); } }, h("option", { value: "" }, t("all_rows")),
    h("optgroup", { label: t("table") }, groups.tables.map(option)), h("optgroup", { label: t("op") }, groups.ops.map(option)));
  main.append(head(t("validation"), t("validation_lead", { rows: told.rows, n: told.predicted }), select), validationTiles(told),
    points.length ? h("div.two", {}, card(t("predicted_measured"), scatter), card(t("error_histogram"), histogram)) : h("p.notice", {}, t("no_points")),
    card(t("worst_rows"), worstTable(told.worst || [])), card(t("by_group"), groupTable(told.chip_op || [])));
  if (points.length) draw();
  return {};
}

// A table's rows have ids of one beginning: `mg-0001` is of the table `mg`.
function tableOf(point) {
  return String(point.id).split("-")[0];
}

function groupsOf(points) {
  const unique = (values) => [...new Set(values)].sort();
  return { ops: unique(points.map((p) => `op:${p.op}`)), tables: unique(points.map((p) => `table:${tableOf(p)}`)) };
}

// Ops by how many rows they have, the most first.
function commonOps(points) {
  const counts = new Map();
  for (const { op } of points) counts.set(op, (counts.get(op) || 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]).map(([op]) => op);
}

function validationTiles(told) {
  const all = told.overall;
  if (!all) return null;
  const percent = (v) => `${v.toFixed(1)} %`;
  return h("div.tiles", {}, tile(t("mean_error"), percent(all.mape), t("mean_error_note")), tile(t("median_error"), percent(all.median)),
    tile(t("bias"), signed(all.signed_median / 100), t("bias_note")), tile(t("nine_in_ten"), percent(all.p90)), tile(t("rows"), `${told.predicted.toLocaleString("en-US")}`, t("of_rows", { n: told.rows.toLocaleString("en-US") })));
}

function drawScatter(place, points) {
  const values = points.flatMap((p) => [p.measured_s, p.predicted_s]);
  const axis = { ...extent(values, true), show: showTime };
  const axes = frame(place, 460, { ...axis, title: t("measured") }, { ...axis, title: t("predicted") }, t("scatter_label"));
  const { sx, sy, layer } = axes;
  const [low, high] = [axis.min, axis.max];
  layer.append(s("path.roof.used", { d: `M${sx(low)} ${sy(low)}L${sx(high)} ${sy(high)}` }));
  for (const factor of [0.8, 1.25]) {
    const [a, b] = [Math.max(low, low / factor), Math.min(high, high / factor)];
    layer.append(s("path.roof", { d: `M${sx(a)} ${sy(a * factor)}L${sx(b)} ${sy(b * factor)}` }));
  }
  const places = points.map((p) => [sx(p.measured_s), sy(p.predicted_s)]);
  const ops = commonOps(points);
  const own = ops.length > MOST_COLOURS + 1 ? ops.slice(0, MOST_COLOURS) : ops;
  const cloud = (fits, paintName) => {
    const d = points.map((p, i) => (fits(p.op) ? `M${places[i][0].toFixed(1)} ${places[i][1].toFixed(1)}h0` : "")).join("");
    if (d) layer.append(s("path.cloud", { d, style: `stroke:var(--${paintName})` }));
  };
  cloud((op) => !own.includes(op), "quiet");
  own.forEach((op, number) => cloud((one) => one === op, `s${number}`));
  axes.svg.addEventListener("pointermove", (event) => {
    const index = nearestPlace(event, axes.svg, places);
    if (index < 0) return hideHover();
    const p = points[index];
    return showHover(event, p.id, [[t("card"), p.card], [t("op"), `${p.op} ${p.dtype || ""}`], [t("measured"), showTime(p.measured_s)], [t("predicted"), showTime(p.predicted_s)], [t("error"), signed(p.error)]]);
  });
  axes.svg.addEventListener("pointerleave", hideHover);
  const mark = (paintName, text) => h("li", {}, h("i", { style: `background:var(--${paintName})` }), text);
  place.append(h("ul.legend", {}, own.map((op, number) => mark(`s${number}`, op || "–")), ops.length > own.length ? mark("quiet", t("n_more", { n: ops.length - own.length })) : null, h("li.quiet", {}, t("dashed"))));
}

const ERROR_EDGES = [-0.5, -0.4, -0.3, -0.2, -0.15, -0.1, -0.05, 0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5];

function drawErrors(place, points) {
  const counts = new Array(ERROR_EDGES.length + 1).fill(0);
  for (const p of points) counts[ERROR_EDGES.filter((edge) => p.error >= edge).length] += 1;
  const most = Math.max(...counts, 1);
  const label = (i) => (i === 0 ? `< ${signed(ERROR_EDGES[0])}` : i === ERROR_EDGES.length ? `> ${signed(ERROR_EDGES[i - 1])}` : `${signed(ERROR_EDGES[i - 1])} … ${signed(ERROR_EDGES[i])}`);
  place.replaceChildren(h("table", {}, h("tbody", {}, counts.map((count, i) => {
    const middle = i === 0 ? -1 : ERROR_EDGES[i - 1];
    const far = Math.abs(middle + 0.025) > 0.21;
    return h("tr", {}, h("td.number", { style: "padding:2px 10px 2px 0;border:0;width:1%" }, label(i)),
      h("td.bar-cell", { style: "padding:2px 8px 2px 0;border:0" }, count ? h("i", { style: `height:14px;margin-top:3px;width:${(100 * count) / most}%;background:var(--${far ? "memory" : "matrix"})` }) : ""),
      h("td.number", { style: "padding:2px 0;border:0;width:1%" }, count ? count.toLocaleString("en-US") : ""));
  }))));
}

function worstTable(worst) {
  const error = (r) => r.predicted_s / r.measured_s - 1;
  return sortable([
    { name: "id", text: true, css: "nowrap", value: (r) => r.id }, { name: t("card"), text: true, value: (r) => r.card }, { name: t("op"), text: true, value: (r) => r.op },
    { name: t("measured"), value: (r) => r.measured_s, show: (r) => showTime(r.measured_s) }, { name: t("predicted"), value: (r) => r.predicted_s, show: (r) => showTime(r.predicted_s) },
    { name: t("error"), value: (r) => Math.abs(error(r)), show: (r) => signed(error(r)) }, { name: t("shapes"), text: true, css: "source", value: (r) => (r.shape.length > 140 ? `${r.shape.slice(0, 139)}…` : r.shape) },
  ], worst, { sort: 5 });
}

function groupTable(groups) {
  const percent = (name) => ({ value: (r) => r[name], show: (r) => `${r[name].toFixed(1)} %` });
  return sortable([
    { name: t("group"), text: true, value: (r) => r.group.filter(Boolean).join(" · ") }, { name: t("rows"), value: (r) => r.count },
    { name: t("bias"), value: (r) => r.signed_median, show: (r) => signed(r.signed_median / 100) },
    { name: t("mean_error"), ...percent("mape") }, { name: t("nine_in_ten"), ...percent("p90") },
  ], groups, { sort: 3 });
}
