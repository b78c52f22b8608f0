import { h, head, card, choice } from "./dom.js";
import { t, named } from "./words.js";
import { paint } from "./look.js";
import { fetched } from "./data.js";
import { sortable } from "./table.js";
import { stackedBar } from "./bars.js";
import { showAs, labelOf } from "./show.js";
import { signed } from "./plan_tornado.js";

// Two answers: figures, the split of both steps, memory by owner, and every row by its change.
// A number is [name, before, after, unit]; null where a side does not have it.

const keptTable = { title: "by op" };
// For these a larger number is the better one; for the rest of those with a unit, the smaller.
const BETTER_MORE = /(samples|tokens|MFU|HFU|goodput)/i;

export async function drawCompareView(main, app, ids, go) {
  const offered = app.rows.filter((row) => row.kind !== "topology" && row.kind !== "trace");
  const b = ids[1] || offered[0]?.id;
  const kindB = offered.find((row) => row.id === b)?.kind;
  const a = ids[0] || (offered.find((row) => row.id !== b && row.kind === kindB) || offered[1])?.id;
  if (offered.length < 2) {
    main.append(h("div.empty", {}, h("h1", {}, t("compare")), h("p", {}, t("compare_needs_two")), h("pre", {}, "suiren view last last~1")));
    return [];
  }
  const pick = (side, chosen) => h("select", { id: `pick-${side}`, "aria-label": t(side === "a" ? "before" : "after"), onchange: (event) => go(side === "a" ? [event.target.value, b] : [a, event.target.value]) },
    offered.map((row) => h("option", { value: row.id, selected: row.id === chosen }, labelOf(row))));
  main.append(head(t("compare"), t("compare_lead"), pick("a", a), h("span.quiet", {}, "→"), pick("b", b), h("button.plain-button", { type: "button", title: t("swap"), "aria-label": t("swap"), onclick: () => go([b, a]) }, "⇄")));
  try {
    drawDifference(main, await fetched(`compare/${a}/${b}`));
  } catch (problem) {
    main.append(h("p.notice", {}, problem.message.startsWith("compare/") ? t("pair_not_in_file") : problem.message));
  }
  return [a, b];
}

function drawDifference(main, told) {
  const { split, phases, memory } = told.bars;
  const isEqual = !told.figures.length && !told.tables.length;
  if (isEqual) main.append(h("p.notice", {}, t("equal")));
  if (told.figures.length) main.append(figureCard(told));
  main.append(h("div.even", {}, split ? barCard(t("split"), told, split, showTime) : "", memory ? barCard(t("at_peak"), told, memory, showBytes, (n) => (n === "data" ? "owner-data" : n)) : ""));
  if (phases && !isEqual) main.append(barCard(t("phases"), told, phases, showTime));
  if (told.tables.length) main.append(tablesCard(told));
  const texts = Object.entries(told.texts);
  if (texts.length) main.append(card(t("said"), texts.map(([heading, rows]) => h("details", {}, h("summary", {}, `${named(heading)} (${rows.length})`), textTable(told, rows)))));
}

function figureHeads(told) {
  return h("thead", {}, h("tr", {}, h("th"), h("th.number", { title: labelOf(told.a) }, told.a.id), h("th.number", { title: labelOf(told.b) }, told.b.id), h("th.number", {}, t("change"))));
}

function shareOf([, before, after]) {
  return before && after !== null ? after / before - 1 : null;
}

function figureCard(told) {
  return card("", h("div.scroll", {}, h("table", {}, figureHeads(told), h("tbody", {}, told.figures.map((row) => {
    const [name, before, after, unit] = row;
    const share = shareOf(row);
    const better = share === null || Math.abs(share) < 0.0005 ? 0 : Math.sign(share) * (BETTER_MORE.test(name) ? 1 : -1);
    return h("tr", {}, h("td", {}, named(name)), h("td.number", {}, showUnit(unit, before)), h("td.number", {}, showUnit(unit, after)),
      h("td", { class: `number ${better > 0 ? "faster" : better < 0 ? "slower" : ""}` }, share === null ? "–" : signed(share)));
  })))));
}

// Units as the history writes them: J and W are capitals there.
function showUnit(unit, value) {
  return showAs(unit.toLowerCase(), value);
}

function barCard(title, told, rows, show, name = (n) => n) {
  const sums = [1, 2].map((at) => rows.reduce((sum, row) => sum + row[at], 0));
  const bar = (id, at) => h("div.labelled", {}, h("span.quiet", {}, id),
    h("div", {}, stackedBar(rows.map((row) => [name(row[0]), row[at]]), show, { whole: Math.max(...sums), legend: false })), h("span.number", {}, show(sums[at - 1])));
  return card(title, bar(told.a.id, 1), bar(told.b.id, 2), changeList(rows, show, name));
}

function changeList(rows, show, name) {
  return h("ul.legend", {}, rows.filter(([, one, two]) => one || two).map(([part, one, two]) => h("li", {}, h("i", { style: `background:${paint(name(part))}` }), named(part), " ",
    h("b", { class: two > one ? "slower" : two < one ? "faster" : "" }, changed(two - one, show)), " ", h("small", {}, one && two !== one ? signed(two / one - 1) : ""))));
}

function changed(by, show) {
  return by ? `${by > 0 ? "+" : "−"}${show(Math.abs(by))}` : "±0";
}

function tablesCard(told) {
  const titles = told.tables.map((table) => table.title);
  if (!titles.includes(keptTable.title)) keptTable.title = titles.includes("by op") ? "by op" : titles[0];
  const box = h("input", { type: "search", id: "search", placeholder: t("filter"), "aria-label": t("filter") });
  const place = h("div", { id: "changes" });
  const draw = () => {
    const table = told.tables.find((one) => one.title === keptTable.title);
    place.replaceChildren(changesTable(told, table, box.value));
  };
  box.addEventListener("input", draw);
  draw();
  return card(t("by_change"), h("div.tools", { style: "margin-bottom:10px" }, choice(t("table"), titles.map((title) => [title, named(title)]), keptTable.title, (v) => { keptTable.title = v; draw(); }), box), place);
}

function changesTable(told, { rows }, filter) {
  const by = (r) => (r[2] || 0) - (r[1] || 0);
  const most = rows.reduce((a, r) => Math.max(a, Math.abs(by(r))), 1e-30);
  const bar = (r) => h("i", { style: `${by(r) < 0 ? "right:50%" : "left:50%"};width:${(46 * Math.abs(by(r))) / most}%;background:var(--${by(r) > 0 ? "bad" : "good"})` });
  const ratio = (r) => (r[1] === null ? t("new") : r[2] === null ? t("gone") : r[1] ? signed(r[2] / r[1] - 1) : "–");
  return sortable([
    { name: t("name"), text: true, css: "name", value: (r) => r[0] },
    { name: told.a.id, value: (r) => r[1], show: (r) => showUnit(r[3], r[1]) }, { name: told.b.id, value: (r) => r[2], show: (r) => showUnit(r[3], r[2]) },
    { name: t("change"), value: (r) => Math.abs(by(r)), show: (r) => changed(by(r), (v) => showUnit(r[3], v)) },
    { name: "", css: "diverge", value: by, show: bar },
    { name: "%", value: (r) => shareOf(r), show: ratio },
  ], rows, { sort: 3, filter });
}

function textTable(told, rows) {
  return h("div.scroll", {}, h("table", {}, h("thead", {}, h("tr", {}, h("th"), h("th", {}, told.a.id), h("th", {}, told.b.id))),
    h("tbody", {}, rows.map(([name, before, after]) => h("tr", {}, h("td.nowrap", {}, name), h("td.source", {}, before || "–"), h("td.source", {}, after || "–"))))));
}
