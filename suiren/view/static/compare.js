import { h, head, card, choice } from "./dom.js";
import { t, named } from "./words.js";
import { paint } from "./look.js";
import { fetched } from "./data.js";
import { sortable } from "./table.js";
import { stackedBar } from "./bars.js";
import { showAs } from "./show.js";
import { signed } from "./plan_tornado.js";

// Two answers: figures, the split of both steps, memory owners, and ops and modules by change.

const keptTab = { which: "ops" };

export async function drawCompareView(main, app, ids, go) {
  const offered = app.rows.filter((row) => ["run", "ranks", "step", "plan"].includes(row.kind));
  const [a, b] = [ids[0] || (offered[1] || offered[0])?.id, ids[1] || offered[0]?.id];
  const pick = (side, chosen) => h("select", { id: `pick-${side}`, "aria-label": t(side === "a" ? "before" : "after"), onchange: (event) => go(side === "a" ? [event.target.value, b] : [a, event.target.value]) },
    offered.map((row) => h("option", { value: row.id, selected: row.id === chosen }, `${row.id} · ${row.title}`)));
  if (offered.length < 2) {
    main.append(h("div.empty", {}, h("h1", {}, t("compare")), h("p", {}, t("compare_needs_two")), h("pre", {}, "suiren view last last~1")));
    return {};
  }
  main.append(head(t("compare"), t("compare_lead"), pick("a", a), h("span.quiet", {}, "→"), pick("b", b), h("button.plain-button", { type: "button", title: t("swap"), "aria-label": t("swap"), onclick: () => go([b, a]) }, "⇄")));
  let told;
  try {
    told = await fetched(`compare/${a}/${b}`);
  } catch (problem) {
    main.append(h("p.notice", {}, problem.message.startsWith("compare/") ? t("pair_not_in_file") : problem.message));
    return {};
  }
  main.append(figureCard(told), ...splitCards(told), changesCard(told));
  return {};
}

function figureCard(told) {
  const rows = told.figures.filter((f) => f.a !== null || f.b !== null);
  const better = { step_time_s: -1, peak_memory_bytes: -1, energy_j: -1, samples_per_s: 1, tokens_per_s: 1, mfu: 1, hfu: 1 };
  return card("", h("div.scroll", {}, h("table", {}, h("thead", {}, h("tr", {}, h("th"), h("th.number", {}, `${told.a.id} · ${told.a.title}`), h("th.number", {}, `${told.b.id} · ${told.b.title}`), h("th.number", {}, t("change")))),
    h("tbody", {}, rows.map((f) => {
      const change = f.a && f.b !== null ? f.b / f.a - 1 : null;
      const sign = change === null || Math.abs(change) < 0.0005 ? 0 : Math.sign(change) * (better[f.name] || 0);
      return h("tr", {}, h("td", {}, t(`figure.${f.name}`)), h("td.number", {}, showAs(f.unit, f.a)), h("td.number", {}, showAs(f.unit, f.b)),
        h("td.number", { class: `number ${sign > 0 ? "faster" : sign < 0 ? "slower" : ""}` }, change === null ? "–" : signed(change)));
    })))));
}

function splitCards(told) {
  const pair = (title, rows, show, name = (n) => n) => {
    if (!rows.some(([, one, two]) => one || two)) return null;
    const whole = Math.max(...[1, 2].map((at) => rows.reduce((sum, row) => sum + row[at], 0)));
    const bar = (id, at) => h("div", { style: "display:grid;grid-template-columns:44px 1fr 84px;gap:10px;align-items:center;margin-top:6px" }, h("span.quiet", {}, id), h("div", {}, stackedBar(rows.map((row) => [name(row[0]), row[at]]), show, { whole, legend: false })), h("span.number", {}, show(rows.reduce((sum, row) => sum + row[at], 0))));
    return card(title, bar(told.a.id, 1), bar(told.b.id, 2), changeList(rows, show, name));
  };
  const parts = pair(t("split"), told.split, showTime);
  const memory = pair(t("at_peak"), told.memory, showBytes, (n) => (n === "data" ? "owner-data" : n));
  return [h("div.even", {}, parts, memory)];
}

function changeList(rows, show, name) {
  const changed = rows.filter(([, one, two]) => one || two).map(([part, one, two]) => ({ part, by: two - one, share: one ? two / one - 1 : null }));
  return h("ul.legend", {}, changed.map(({ part, by, share }) => h("li", {}, h("i", { style: `background:${paint(name(part))}` }), named(part), " ",
    h("b", { class: by > 0 ? "slower" : by < 0 ? "faster" : "" }, by ? `${by > 0 ? "+" : "−"}${show(Math.abs(by))}` : "±0"), " ", h("small", {}, share === null ? "" : signed(share)))));
}

function changesCard(told) {
  const box = h("input", { type: "search", id: "search", placeholder: t("filter"), "aria-label": t("filter") });
  const place = h("div", { id: "changes" });
  const draw = () => place.replaceChildren(changesTable(told, told[keptTab.which], box.value));
  box.addEventListener("input", draw);
  if (!told.ops.length && !told.modules.length) return "";
  draw();
  return card(t("by_change"), h("div.tools", { style: "margin-bottom:10px" }, choice(t("table"), [["ops", t("ops")], ["modules", t("modules")], ["calls", t("calls")]], keptTab.which, (v) => { keptTab.which = v; draw(); }), box), place);
}

// A row: name, s before, s after, calls before, calls after.
function changesTable(told, rows, filter) {
  const most = rows.reduce((a, r) => Math.max(a, Math.abs(r[2] - r[1])), 1e-12);
  const bar = (r) => {
    const by = r[2] - r[1];
    return h("i", { style: `${by < 0 ? "right:50%" : "left:50%"};width:${(46 * Math.abs(by)) / most}%;background:var(--${by > 0 ? "bad" : "good"})` });
  };
  return sortable([
    { name: t("name"), text: true, css: "name", value: (r) => r[0] },
    { name: told.a.id, value: (r) => r[1], show: (r) => showTime(r[1]) }, { name: told.b.id, value: (r) => r[2], show: (r) => showTime(r[2]) },
    { name: t("change"), value: (r) => Math.abs(r[2] - r[1]), show: (r) => (r[2] === r[1] ? "±0" : `${r[2] > r[1] ? "+" : "−"}${showTime(Math.abs(r[2] - r[1]))}`) },
    { name: "", css: "diverge", value: (r) => r[2] - r[1], show: bar },
    { name: "", value: (r) => (r[1] ? r[2] / r[1] - 1 : null), show: (r) => (r[1] ? (r[2] ? signed(r[2] / r[1] - 1) : t("gone")) : t("new")) },
    { name: t("number"), value: (r) => r[4], show: (r) => (r[3] === r[4] ? String(r[4]) : `${r[3]} → ${r[4]}`) },
  ], rows, { sort: 3, filter });
}
