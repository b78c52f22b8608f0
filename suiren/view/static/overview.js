import { h, head, card } from "./dom.js";
import { t, named } from "./words.js";
import { tile, stackedBar } from "./bars.js";
import { showAs, showEnergy, fewer, showWhen } from "./show.js";
import { drawStepOverview, drawGoodputOverview } from "./overview_kinds.js";
import { drawGeneric } from "./generic.js";
import { drawCentreOverview } from "./overview_centre.js";

// What one record says at a glance.

export function drawOverviewView(main, item) {
  const { record, document: told, kind } = item;
  const lead = [record.id, named(kind), showWhen(record.made_at)].join(" · ");
  main.append(head(record.title, lead));
  if (kind === "run") drawRun(main, told, told);
  else if (kind === "ranks") drawRanks(main, told);
  else if (kind === "step") drawStepOverview(main, told);
  else if (kind === "goodput") drawGoodputOverview(main, told);
  else if (kind === "centre") drawCentreOverview(main, told);
  else drawGeneric(main, told);
  return {};
}

function drawRun(main, told, step) {
  main.append(runTiles(told, step));
  if (step.outcome && step.outcome !== "finished") main.prepend(h("p.notice", {}, t("not_finished", { outcome: step.outcome })));
  main.append(h("div.even", {},
    card(t("split"), stackedBar(Object.entries(step.time_split_s), showTime)),
    card(t("phases"), stackedBar(Object.entries(step.phases_s), showTime))));
  main.append(h("div.two", {}, changesOf(step), card(t("at_peak"), stackedBar(Object.entries(step.memory_by_kind_bytes).map(([n, b]) => [n === "data" ? "owner-data" : n, b]), showBytes), step.fit?.sentence ? h("p.quiet", { style: "margin-top:12px" }, step.fit.sentence) : null, hazardsOf(step))));
}

function runTiles(told, step) {
  const batch = step.batch || {};
  const speed = told.tokens_per_s ? `${fewer(told.tokens_per_s)} tokens/s` : `${fewer(told.samples_per_s)} samples/s`;
  const peak = told.peak_memory_bytes;
  const power = step.average_power_w ? `${showAs("w", step.average_power_w)}${step.card.tdp_w ? ` ${t("of_w", { w: step.card.tdp_w })}` : ""}` : "";
  return h("div.tiles", {},
    tile(t("step_time"), showTime(told.step_time_s), step.steps ? t("steps_note", { n: step.steps.num_steps, warm: step.steps.num_warm_up }) : ""),
    tile(t("throughput"), speed, batch.samples ? t("batch_note", { n: batch.samples, seq: batch.sequence || "–" }) : ""),
    tile("MFU", showPercent(told.mfu), `HFU ${showPercent(step.hfu)}, ${showRate(step.achieved_flop_per_s || 0, "FLOP/s")}`),
    tile(t("peak_memory"), showBytes(peak), t("of_limit", { limit: showBytes(step.memory_capacity_bytes) }), peak / (step.memory_capacity_bytes || Infinity)),
    tile(t("energy_step"), showEnergy(told.energy_j), power));
}

function changesOf(step) {
  const changes = step.changes || [];
  if (!changes.length) return card(t("changes"), h("p.quiet", {}, t("no_changes")));
  return card(t("changes"), h("p.lead", {}, t("changes_lead")), h("table", {}, h("tbody", {}, changes.slice(0, 6).map((one) => h("tr", {},
    h("td.breaks", {}, h("b", {}, one.name), h("div.quiet", {}, one.how), one.caution ? h("div.quiet", {}, one.caution) : null),
    h("td.number", {}, showTime(one.step_time_s)), h("td.number.faster", {}, `+${fewer(one.gain_percent)} %`))))));
}

function hazardsOf(step) {
  if (!(step.hazards || []).length) return null;
  return h("div", {}, h("h3", { style: "margin:14px 0 4px" }, t("hazards")), h("ul", { style: "margin:0;padding-left:18px" }, step.hazards.map((one) => h("li", {}, h("code", {}, one.op), " ", one.text))));
}

function drawRanks(main, told) {
  drawRun(main, told, told.busiest_rank);
  const most = Math.max(told.step_time_s, 1e-12);
  main.append(card(t("ranks_of", { n: Number(told.world_size).toLocaleString("en-US"), machine: told.cluster?.title || "" }), h("p.lead", {}, t("busiest_note", { n: told.busiest_rank.rank })),
    h("div.scroll", {}, h("table", {}, h("thead", {}, h("tr", {}, h("th", {}, t("rank_word")), h("th.number", {}, t("alike_ranks")), h("th", {}, t("its_step")), h("th.number", {}, t("peak_memory")))),
      h("tbody", {}, told.ranks.slice(0, 64).map((row) => h("tr", {}, h("td", {}, row.rank), h("td.number", {}, row.num_ranks_like_it), h("td", { style: "min-width:280px;width:60%" }, stackedBar(Object.entries(row.time_split_s), showTime, { whole: most, thin: true, legend: false })), h("td.number", {}, showBytes(row.peak_memory_bytes)))))))));
  if ((told.collectives || []).length) main.append(card(t("collectives"), collectivesTable(told.collectives)));
}

function collectivesTable(rows) {
  const heads = [["name"], ["group"], ["rank_word", 1], ["number", 1], ["bytes", 1], ["time", 1], ["bus_bandwidth", 1], ["how"]];
  return h("div.scroll", {}, h("table", {}, h("thead", {}, h("tr", {}, heads.map(([key, isNumber]) => h(isNumber ? "th.number" : "th", {}, t(key))))),
    h("tbody", {}, rows.map((r) => h("tr", {}, h("td", {}, r.name), h("td", {}, r.group), h("td.number", {}, r.ranks), h("td.number", {}, r.count), h("td.number", {}, showBytes(r.bytes)), h("td.number", {}, showTime(r.time_s)), h("td.number", {}, showRate(r.bus_bytes_per_s, "B/s")), h("td", {}, `${r.algorithm}, ${r.bound_by}`))))));
}
