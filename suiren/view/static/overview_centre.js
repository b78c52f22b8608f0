import { h, card } from "./dom.js";
import { t, named } from "./words.js";
import { tile, stackedBar } from "./bars.js";
import { paint } from "./look.js";
import { showAs, showCount, fewer } from "./show.js";
import { drawGeneric } from "./generic.js";

// Computing centres side by side: time, energy, power, money, and whether the goal holds.

// Names with a colour of their own; those behind share one.
const SERIES = 8;

export function drawCentreOverview(main, told) {
  const { centres, comparison } = told;
  if (centres.length === 1) main.append(centreTiles(centres[0]));
  main.append(card("", figuresOf(centres, comparison)));
  main.append(h("div.even", {}, barsCard(t("peak_power"), centres, (one) => Object.entries(one.power.peak_w), (v) => showAs("w", v)),
    barsCard(t("month_energy"), centres, (one) => Object.entries(one.power.month_j), (v) => showAs("j", v))));
  main.append(barsCard(t("money_lines"), centres, (one) => one.money.lines.map((line) => [line.name, line.present]), (v) => showCount(Math.round(v))));
  if (comparison?.break_even?.length) main.append(breakEven(comparison.break_even, centres));
  centres.forEach((one) => main.append(goalCard(one)));
  const rest = h("div");
  main.append(h("details", { ontoggle: () => { if (!rest.children.length) drawGeneric(rest, told); } }, h("summary", {}, t("everything")), rest));
}

function centreTiles({ days, power, money, machines }) {
  return h("div.tiles", {},
    tile(t("cards"), showCount(machines.cards), machines.card_title), tile(t("duration"), days === null ? "–" : t("days", { n: fewer(days) })),
    tile(t("power"), showAs("w", power.average_w), t("peak_of", { w: showAs("w", power.meter_peak_w) })),
    tile(t("total_cost"), `${showCount(Math.round(money.total))} ${money.currency}`, t("over_years", { n: money.years })));
}

// A row of the table: key, its value for a centre, and whether less is better (-1) or more (1).
const CENTRE_FIGURES = [
  ["cards", (c) => c.machines.cards, showCount, 0], ["duration", (c) => c.days, (v) => t("days", { n: fewer(v) }), -1],
  ["step_time", (c) => c.jobs[0]?.step_s, (v) => showTime(v), -1], ["MFU", (c) => c.jobs[0]?.mfu, (v) => showPercent(v), 1],
  ["goodput_word", (c) => c.jobs[0]?.month?.goodput_share, (v) => showPercent(v), 1],
  ["power", (c) => c.power.average_w, (v) => showAs("w", v), -1], ["peak_power", (c) => c.power.meter_peak_w, (v) => showAs("w", v), -1],
  ["month_energy", (c) => c.power.month_total_j, (v) => showAs("j", v), -1], ["carbon", (c) => c.power.carbon_kg_per_month, (v) => `${showCount(Math.round(v))} kg`, -1],
  ["total_cost", (c) => c.money.total, (v) => showCount(Math.round(v)), -1], ["jobs_cost", (c) => c.money.jobs_cost, (v) => showCount(Math.round(v)), -1],
];

function figuresOf(centres) {
  const rows = CENTRE_FIGURES.map(([key, read, show, better]) => {
    const values = centres.map((one) => read(one) ?? null);
    const known = values.filter((v) => v !== null);
    if (!known.length) return null;
    const best = better && centres.length > 1 ? known.reduce((a, v) => (better * v > better * a ? v : a)) : null;
    return h("tr", {}, h("td", {}, key === "MFU" ? key : t(key)), values.map((v) => h("td", { class: `number ${v !== null && v === best ? "faster" : ""}` }, v === null ? "–" : show(v))));
  });
  return h("div.scroll", {}, h("table", {}, h("thead", {}, h("tr", {}, h("th"), centres.map((one) => h("th.number", {}, `${one.title} (${one.money.currency})`)))), h("tbody", {}, rows.filter(Boolean))));
}

// A stacked bar a centre, all to one scale; names have colours in the order they come.
function barsCard(title, centres, partsOf, show) {
  const names = [...new Set(centres.flatMap((one) => partsOf(one).map(([name]) => name)))];
  const sums = centres.map((one) => partsOf(one).reduce((sum, [, v]) => sum + v, 0));
  const key = (name) => (names.indexOf(name) < SERIES ? `s${names.indexOf(name)}` : "quiet");
  const row = (one, n) => h("div", {}, h("div.spread", {}, h("span.quiet", {}, one.title), h("span", {}, show(sums[n]))),
    stackedBar(partsOf(one).map(([name, v]) => [key(name), v]), show, { whole: Math.max(...sums), legend: false }));
  return card(title, centres.map(row), h("ul.legend", {}, names.map((name) => h("li", {}, h("i", { style: `background:${paint(key(name))}` }), named(name.replaceAll("_", " "))))));
}

function breakEven(rows, centres) {
  return card(t("break_even"), h("p.lead", {}, t("break_even_lead")), h("div.scroll", {}, h("table", {}, h("tbody", {}, rows.map((row) => h("tr", {}, h("td", {}, centres[row.centre].title), h("td", {}, row.name), h("td.number", {}, `${showCount(row.given)} → ${row.price === null ? "–" : showCount(Math.round(row.price))}`)))))));
}

function goalCard({ title, goal }) {
  if (!goal?.asked) return "";
  const mark = (holds) => h(holds ? "span.pill.good" : "span.pill.bad", {}, holds ? t("holds") : t("holds_not"));
  return card(`${title}: ${t("goal")}`, mark(goal.holds),
    h("div.scroll", { style: "margin-top:10px" }, h("table", {}, h("tbody", {}, goal.checks.map((one) => h("tr", {}, h("td", {}, one.name.replaceAll("_", " ")), h("td.number", {}, `${showCount(one.found ?? 0)} / ${showCount(one.asked ?? 0)}`), h("td", {}, mark(one.holds))))))),
    goal.changes.length ? h("p.quiet", { style: "margin-top:10px" }, `${t("would_do")} ${goal.changes.map((one) => one.text || `${one.name} ${showCount(one.before)} → ${showCount(one.after)}`).join("; ")}`) : null);
}
