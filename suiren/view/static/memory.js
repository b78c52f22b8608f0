import { h, s, head, card, choice } from "./dom.js";
import { t, named } from "./words.js";
import { paint } from "./look.js";
import { frame } from "./chart.js";
import { showHover, hideHover } from "./hover.js";
import { legendOf } from "./bars.js";
import { binaryStep, showTickBytes } from "./show.js";

// Memory over the step, stacked by kind of owner, with its peak and the card's limit.

const keptScale = { capacity: false };

export function drawMemoryView(main, item) {
  const data = item.step.memory;
  const place = h("div", { id: "curve" });
  const share = data.capacity_bytes ? data.peak_bytes / data.capacity_bytes : 0;
  const draw = () => drawStack(place, data);
  const kinds = kindsAtPeak(data);
  main.append(
    head(t("memory_over_time"), t("memory_lead", { peak: showBytes(data.peak_bytes), limit: showBytes(data.capacity_bytes), share: showPercent(share) }),
      data.stack ? choice(t("scale"), [["peak", t("to_peak")], ["capacity", t("to_limit")]], keptScale.capacity ? "capacity" : "peak", (v) => { keptScale.capacity = v === "capacity"; draw(); }) : null),
    card("", data.stack ? place : h("p.quiet", {}, t("needs_trace")), data.stack ? legendOf(data.stack.kinds.map(ownerPaint)) : null),
    h("div.even", {}, card(t("at_peak"), kindTable(kinds, data.peak_bytes)), card(t("largest_owners"), ownerTable(data))));
  if (data.stack) draw();
  return {};
}

// The kind `data` is a phase too; its owner has a colour of its own.
function ownerPaint(kind) {
  return kind === "data" ? "owner-data" : kind;
}

function drawStack(place, data) {
  const { kinds, bytes, time_s: times } = data.stack;
  const total = times.map((_, i) => bytes.reduce((sum, column) => sum + column[i], 0));
  const top = keptScale.capacity ? Math.max(data.capacity_bytes, data.peak_bytes) : Math.max(...total);
  const axes = frame(place, 380,
    { min: 0, max: data.step_time_s || 1, show: (v) => showTick(v, roundStep(data.step_time_s || 1, 8)) },
    { min: 0, max: top * 1.08, show: showTickBytes, step: binaryStep }, t("memory_label", { peak: showBytes(data.peak_bytes) }));
  const under = new Float64Array(times.length);
  kinds.forEach((kind, k) => {
    const lower = Float64Array.from(under);
    for (let i = 0; i < under.length; i++) under[i] += bytes[k][i];
    axes.layer.append(s("path", { d: areaPath(axes, times, lower, under, data.step_time_s), style: `fill:${paint(ownerPaint(kind))};fill-opacity:.82` }));
  });
  drawMarks(axes, data, times, total, top);
  listenStack(axes, data, times, total);
}

function areaPath({ sx, sy }, times, lower, upper, end) {
  const steps = (values) => {
    const points = [];
    for (let i = 0; i < times.length; i++) {
      const x = sx(times[i]).toFixed(1);
      if (i) points.push(`${x},${sy(values[i - 1]).toFixed(1)}`);
      points.push(`${x},${sy(values[i]).toFixed(1)}`);
    }
    points.push(`${sx(Math.max(end, times[times.length - 1])).toFixed(1)},${sy(values[values.length - 1]).toFixed(1)}`);
    return points;
  };
  return `M${steps(upper).join("L")}L${steps(lower).reverse().join("L")}Z`;
}

function drawMarks({ layer, sx, sy, box }, data, times, total, top) {
  const peak = total.indexOf(Math.max(...total));
  const [x, y] = [sx(times[peak]), sy(total[peak])];
  const side = x > box.right - 160 ? "end" : "start";
  layer.append(s("circle.halo", { cx: x, cy: y, r: 5 }), s("text.strong", { x: x + (side === "end" ? -10 : 10), y: y - 6, "text-anchor": side }, `${t("peak")} ${showBytes(total[peak])}`));
  if (data.capacity_bytes <= top * 1.08) {
    const limit = sy(data.capacity_bytes);
    layer.append(s("path.limit", { d: `M${box.left} ${limit}H${box.right}` }), s("text.bad-text", { x: box.left + 6, y: limit - 5 }, `${t("limit")} ${showBytes(data.capacity_bytes)}`));
  }
}

function listenStack({ svg, layer, box }, data, times, total) {
  const cursor = s("line.cursor", { y1: box.top, y2: box.bottom, visibility: "hidden" });
  layer.append(cursor);
  svg.addEventListener("pointermove", (event) => {
    const seen = svg.getBoundingClientRect();
    const px = ((event.clientX - seen.left) * svg.viewBox.baseVal.width) / seen.width;
    if (px < box.left || px > box.right) return hideHover();
    const at = ((px - box.left) / (box.right - box.left)) * data.step_time_s;
    const index = Math.max(0, firstAfter(times, times.length, at) - 1);
    cursor.setAttribute("x1", px);
    cursor.setAttribute("x2", px);
    cursor.setAttribute("visibility", "visible");
    const rows = data.stack.kinds.map((kind, k) => [named(kind), data.stack.bytes[k][index] ? showBytes(data.stack.bytes[k][index]) : ""]);
    return showHover(event, `${showBytes(total[index])} · ${showTime(at)}`, rows);
  });
  svg.addEventListener("pointerleave", () => { cursor.setAttribute("visibility", "hidden"); hideHover(); });
}

function kindsAtPeak(data) {
  const sums = new Map();
  for (const [kind, , bytes] of data.owners) sums.set(kind, (sums.get(kind) || 0) + bytes);
  return [...sums].sort((a, b) => b[1] - a[1]);
}

function kindTable(kinds, peak) {
  return h("table", {}, h("tbody", {}, kinds.map(([kind, bytes]) => h("tr", {},
    h("td.nowrap", {}, named(kind)), h("td.bar-cell", { style: "width:60%" }, h("i", { style: `width:${(100 * bytes) / (peak || 1)}%;background:${paint(ownerPaint(kind))}` })),
    h("td.number", {}, showBytes(bytes)), h("td.number.quiet", {}, showPercent(bytes / (peak || 1)))))));
}

function ownerTable(data) {
  return h("div.scroll", { style: "max-height:340px" }, h("table", {}, h("tbody", {}, data.owners.map(([kind, name, bytes]) => h("tr", {},
    h("td.nowrap", {}, h("i.key", { style: `background:${paint(ownerPaint(kind))}` }), named(kind)), h("td.name", {}, name), h("td.number", {}, showBytes(bytes)))))));
}
