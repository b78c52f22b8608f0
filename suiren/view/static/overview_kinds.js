import { h, s, card } from "./dom.js";
import { t, named } from "./words.js";
import { tile, stackedBar, legendOf } from "./bars.js";
import { paint } from "./look.js";
import { hovers } from "./hover.js";
import { frame } from "./chart.js";
import { showAs, showLong, fewer } from "./show.js";
import { stepParts } from "./plans.js";

// Overviews of a step from a layout, and of a run with failures.

export function drawStepOverview(main, told) {
  const most = Math.max(...told.memory.map((stage) => stage.total_bytes), 0);
  main.append(
    h("div.tiles", {}, tile(t("step_time"), showTime(told.step_s)), tile(t("throughput"), `${fewer(told.tokens_per_s)} tokens/s`), tile("MFU", showPercent(told.mfu), `HFU ${showPercent(told.hfu)}`), tile(t("peak_memory"), showBytes(most), told.fits ? t("fits") : t("fits_not")), tile(t("power"), showAs("w", told.power_w))),
    card(t("layout"), h("div.chips", {}, Object.entries(told.layout).filter(([, v]) => v !== null && v !== false && v !== 0).map(([name, value]) => h("span", {}, name, h("b", {}, value === true ? "✓" : String(value)))))),
    card(t("split"), stackedBar(stepParts(told.parts_s), showTime), h("p.quiet", { style: "margin-top:8px" }, t("hidden_note", { time: showTime(told.hidden_communication_s || 0) }))),
    card(t("memory_by_stage"), told.memory.map((stage) => h("div.labelled", {},
      h("span.quiet", {}, t("stage", { n: stage.stage })), h("div", {}, stackedBar(ownerParts(stage.owners_bytes), showBytes, { whole: most, legend: false })), h("span.number", {}, showBytes(stage.total_bytes)))),
    told.memory.length ? legendOf(ownerParts(told.memory[0].owners_bytes).filter(([, bytes]) => bytes).map(([name]) => name)) : null));
}

function ownerParts(owners) {
  return Object.entries(owners).map(([name, bytes]) => [name === "optimizer" ? "optimizer state" : name, bytes]);
}

const PERIODS = { training: "vector", checkpoint: "matrix", saving: "matrix", lost: "memory", detect: "l2", restart: "collective", waiting: "launch", repair: "launch" };

function periodPaint(kind) {
  const known = Object.keys(PERIODS).find((word) => kind.startsWith(word));
  return known ? PERIODS[known] : "launch";
}

export function drawGoodputOverview(main, told) {
  const spent = Object.entries(told.spent_s || {});
  const failures = Object.values(told.failures || {}).reduce((a, b) => a + b, 0);
  main.append(h("div.tiles", {}, tile("Goodput", showPercent(told.goodput_share), showLong(told.horizon_s)), tile(t("steps"), Number(told.steps).toLocaleString("en-US"), t("each", { time: showTime(told.step_s) })), tile(t("failures"), String(failures), t("mtbf", { time: showLong(told.mean_time_between_failures_s || 0) })), tile(t("checkpoint_every"), t("n_steps", { n: Number(told.checkpoint.every_steps).toLocaleString("en-US") }), showBytes(told.checkpoint.bytes))),
    card(t("where_month_goes"), monthStrip(told), spentTable(spent, told.horizon_s)));
  const curve = told.checkpoint.curve;
  if (curve && curve.length > 1) {
    const place = h("div");
    main.append(card(t("interval_curve"), place));
    drawInterval(place, curve, told.checkpoint.every_steps);
  }
}

function monthStrip(told) {
  const bar = h("div.stack", { style: "height:44px" });
  for (const period of told.periods || []) {
    const took = period.end_s - period.start_s;
    bar.append(hovers(h("i", { style: `width:${(100 * took) / told.horizon_s}%;box-shadow:none;background:${paint(periodPaint(period.kind))}` }), named(period.kind), [[t("time"), showLong(took)], [t("why"), period.why || ""], [t("starts_at"), showLong(period.start_s)]]));
  }
  return bar;
}

function spentTable(spent, whole) {
  return h("table", { style: "margin-top:12px" }, h("tbody", {}, spent.filter(([, seconds]) => seconds > 0).map(([kind, seconds]) => h("tr", {}, h("td", {}, h("i.key", { style: `background:${paint(periodPaint(kind))}` }), named(kind)), h("td.bar-cell", { style: "width:55%" }, h("i", { style: `width:${(100 * seconds) / whole}%;background:${paint(periodPaint(kind))}` })), h("td.number", {}, showLong(seconds)), h("td.number", {}, `${((100 * seconds) / whole).toFixed(2)} %`)))));
}

function drawInterval(place, curve, best) {
  const axes = frame(place, 260, { min: Math.max(1, curve[0].every_steps), max: curve[curve.length - 1].every_steps, log: true, show: (v) => v.toLocaleString("en-US"), title: t("steps_between") }, { min: 0, max: 1, show: (v) => `${Math.round(100 * v)} %`, title: "goodput" }, t("interval_curve"));
  axes.layer.append(s("path.front", { d: curve.map((p, i) => `${i ? "L" : "M"}${axes.sx(p.every_steps).toFixed(1)} ${axes.sy(p.goodput_share).toFixed(1)}`).join("") }),
    s("line.cursor", { x1: axes.sx(best), x2: axes.sx(best), y1: axes.box.top, y2: axes.box.bottom }), s("text.strong", { x: axes.sx(best) + 6, y: axes.box.bottom - 8 }, String(best)));
}
