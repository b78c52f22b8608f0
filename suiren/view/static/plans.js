import { h, head, card } from "./dom.js";
import { t, named } from "./words.js";
import { sortable } from "./table.js";
import { stackedBar, tile } from "./bars.js";
import { showAs, fewer } from "./show.js";
import { drawPareto } from "./plan_pareto.js";
import { drawTornado } from "./plan_tornado.js";

// A plan: the best layouts, what the search saw, what owns the memory, what it rests on.

export function drawPlansView(main, item) {
  const plan = item.document;
  const state = { chosen: (plan.best || [])[0] || null };
  const detail = h("div", { id: "layout" });
  const table = h("div", { id: "best" });
  const choose = (row) => {
    state.chosen = row;
    drawBest();
    drawDetail(detail, row, plan);
  };
  const drawBest = () => table.replaceChildren(bestTable(plan, state, choose));
  const pareto = h("div", { id: "pareto" });
  main.append(
    head(t("plan_of", { model: plan.model?.name || "" }), planLead(plan)),
    plan.unmeasured ? h("p.notice", {}, t("unmeasured")) : "",
    (plan.best || []).length ? "" : h("p.notice", {}, t("nothing_fits")),
    planTiles(plan),
    card(t("best_layouts"), table, missesList(plan)),
    h("div.two", {}, card(t("pareto"), pareto), detail),
    h("div.even", {}, card(t("sensitivity"), h("p.lead", {}, t("sensitivity_lead")), h("div", { id: "tornado" })), launchCard(plan)));
  drawBest();
  if (state.chosen) drawDetail(detail, state.chosen, plan);
  drawPareto(pareto, plan, (label) => { const row = plan.best.find((one) => one.label === label); if (row) choose(row); });
  drawTornado(main.querySelector("#tornado"), plan);
  return {};
}

function planLead(plan) {
  const limits = Object.entries(plan.limits || {}).map(([name, value]) => `${name} ${typeof value === "number" ? fewer(value) : value}`).join(", ");
  const lead = t("plan_lead", { machines: (plan.machines || []).join(", "), goal: named(plan.goal) });
  return limits ? `${lead} ${t("limits", { limits })}` : lead;
}

function planTiles(plan) {
  const best = (plan.best || [])[0];
  return h("div.tiles", {},
    tile(t("searched"), Number(plan.searched || 0).toLocaleString("en-US"), t("searched_note", { n: Number(plan.feasible || 0).toLocaleString("en-US"), time: showTime(plan.seconds || 0) })),
    best ? tile(t("step_time"), showTime(best.step_s), best.label) : null,
    best ? tile("MFU", showPercent(best.mfu), `${fewer(best.tokens_per_s)} tokens/s`) : null,
    best ? tile(t("peak_memory"), showBytes(best.memory_bytes), t("of_limit", { limit: showBytes(best.memory_limit_bytes) }), best.memory_bytes / best.memory_limit_bytes) : null,
    best ? tile(t("energy_step"), showAs("j", best.energy_j), showAs("w", best.power_w)) : null);
}

function bestTable(plan, state, choose) {
  const best = plan.best || [];
  const slowest = Math.max(...best.map((row) => row.step_s), 1e-12);
  const columns = [
    { name: "", value: (r) => r.rank }, { name: t("layout"), text: true, css: "nowrap", value: (r) => r.label },
    { name: t("machine"), text: true, value: (r) => r.machine }, { name: t("chips"), value: (r) => r.chips },
    { name: t("step_time"), value: (r) => r.step_s, show: (r) => showTime(r.step_s) },
    { name: "", css: "bar-cell", value: (r) => r.step_s, show: (r) => h("i", { style: `width:${(100 * r.step_s) / slowest}%` }) },
    { name: "MFU", value: (r) => r.mfu, show: (r) => showPercent(r.mfu) },
    { name: t("memory"), value: (r) => r.memory_bytes, show: (r) => showBytes(r.memory_bytes) },
    { name: t("energy"), value: (r) => r.energy_j, show: (r) => showAs("j", r.energy_j) },
    { name: t("cost"), value: (r) => r.cost, show: (r) => showAs("cost", r.cost) },
    { name: t("why"), text: true, css: "source", value: (r) => r.why || "" },
  ];
  return sortable(columns, best, { sort: 0, down: false, onrow: choose, selected: (row) => row === state.chosen });
}

function missesList(plan) {
  const misses = plan.near_misses || [];
  if (!misses.length) return null;
  return h("details", { style: "margin-top:12px" }, h("summary", {}, t("near_misses", { n: misses.length })),
    h("div.scroll", {}, h("table", {}, h("tbody", {}, misses.map((one) => h("tr", {}, h("td.nowrap", {}, one.label), h("td.number", {}, `+${showBytes(one.over_bytes)}`), h("td", {}, one.change)))))));
}

function drawDetail(place, row, plan) {
  const layout = Object.entries(row.layout || {}).filter(([, value]) => value !== null && value !== "" && value !== false);
  place.replaceChildren(card(`${row.rank}. ${row.label}`,
    h("div.chips", {}, layout.map(([name, value]) => h("span", {}, name, h("b", {}, String(value === true ? "✓" : value))))),
    h("h3", { style: "margin:14px 0 6px" }, t("memory_owners")),
    stackedBar(Object.entries(row.owners_bytes || {}).map(([name, bytes]) => [name === "optimizer" ? "optimizer state" : name, bytes]), showBytes, { whole: row.memory_limit_bytes }),
    h("h3", { style: "margin:14px 0 6px" }, t("split")),
    stackedBar(stepParts(row.parts_s || {}), showTime),
    plan.best.length > 1 && row.why ? h("p.quiet", { style: "margin-top:12px" }, row.why) : null));
}

// Parts of a step; `gradients` means their exchange here, and an owner of memory elsewhere.
export function stepParts(parts) {
  return Object.entries(parts).map(([name, seconds]) => [name === "gradients" ? "gradient exchange" : name, seconds]);
}

function launchCard(plan) {
  const launch = plan.launch || {};
  if (!launch.command) return card(t("launch_command"), h("p.quiet", {}, t("no_launch")));
  const files = Object.entries(launch.files || {});
  return card(t("launch_command"), copied(launch.command), files.map(([name, text]) => h("details", { style: "margin-top:10px" }, h("summary", {}, name), copied(text))));
}

function copied(text) {
  const button = h("button.plain-button", { type: "button", onclick: async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = t("copied");
    } catch {
      getSelection().selectAllChildren(button.nextElementSibling);
    }
  } }, t("copy"));
  return h("div.copy", {}, button, h("pre", {}, text));
}
