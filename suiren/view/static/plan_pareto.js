import { h, s, choice } from "./dom.js";
import { t } from "./words.js";
import { frame, extent, nearestPlace } from "./chart.js";
import { showHover, hideHover } from "./hover.js";
import { showAs, showTickBytes } from "./show.js";

// What the search saw, two goals against each other; the front is what nothing beats in both.

const GOALS = [["step_s", "s", "step_time"], ["memory_bytes", "bytes", "memory"], ["energy_j", "j", "energy"], ["cost", "cost", "cost"], ["chips", "count", "chips"]];
const keptAxes = { x: "step_s", y: "memory_bytes" };

export function drawPareto(place, plan, choose) {
  const points = plan.points || [];
  const offered = GOALS.filter(([name]) => points.some((p) => Number.isFinite(p[name])));
  for (const side of ["x", "y"]) if (!offered.some(([name]) => name === keptAxes[side])) keptAxes[side] = offered[side === "x" ? 0 : Math.min(1, offered.length - 1)]?.[0];
  const chart = h("div");
  const draw = () => paretoChart(chart, points, choose);
  const pick = (side) => choice(side === "x" ? t("across") : t("upwards"), offered.map(([name, , key]) => [name, t(key)]), keptAxes[side], (value) => { keptAxes[side] = value; draw(); });
  place.replaceChildren(h("div.tools", { style: "margin-bottom:8px" }, h("span.quiet", {}, t("across")), pick("x"), h("span.quiet", {}, t("upwards")), pick("y")), chart,
    h("ul.legend", {}, h("li", {}, h("i", { style: "background:var(--accent)" }), t("front")), h("li", {}, h("i", { style: "background:var(--matrix)" }), t("fits")), h("li", {}, h("i", { style: "background:var(--launch)" }), t("fits_not"))));
  draw();
}

// Points that no other point beats on both axes, from left to right.
export function frontOf(points, x, y) {
  const front = [];
  let least = Infinity;
  for (const point of [...points].sort((a, b) => a[x] - b[x] || a[y] - b[y])) {
    if (point[y] < least) {
      front.push(point);
      least = point[y];
    }
  }
  return front;
}

function paretoChart(chart, points, choose) {
  const [x, y] = [GOALS, GOALS].map((goals, side) => goals.find(([name]) => name === (side ? keptAxes.y : keptAxes.x)));
  const kept = points.filter((p) => p[x[0]] > 0 && p[y[0]] > 0);
  const axis = (goal) => ({ ...extent(kept.map((p) => p[goal[0]]), true), binary: goal[1] === "bytes", show: (v) => (goal[1] === "bytes" ? showTickBytes(v) : showAs(goal[1], v)), title: t(goal[2]) });
  const axes = frame(chart, 400, axis(x), axis(y), t("pareto_label"));
  const places = kept.map((p) => [axes.sx(p[x[0]]), axes.sy(p[y[0]])]);
  const cloud = (fits, paintName) => axes.layer.append(s("path.cloud", {
    d: kept.map((p, i) => (Boolean(p.fits) === fits ? `M${places[i][0].toFixed(1)} ${places[i][1].toFixed(1)}h0` : "")).join(""), style: `stroke:var(--${paintName})`,
  }));
  cloud(false, "launch");
  cloud(true, "matrix");
  const front = frontOf(kept.filter((p) => p.fits), x[0], y[0]);
  axes.layer.append(s("path.front", { d: front.map((p, i) => `${i ? "L" : "M"}${axes.sx(p[x[0]])} ${axes.sy(p[y[0]])}`).join("") }),
    ...front.map((p) => s("circle", { cx: axes.sx(p[x[0]]), cy: axes.sy(p[y[0]]), r: 4, style: "fill:var(--accent)" })));
  const halo = s("circle.halo", { r: 7, visibility: "hidden" });
  axes.layer.append(halo);
  axes.svg.addEventListener("pointermove", (event) => {
    const index = nearestPlace(event, axes.svg, places);
    halo.setAttribute("visibility", index < 0 ? "hidden" : "visible");
    if (index < 0) return hideHover();
    const point = kept[index];
    halo.setAttribute("cx", places[index][0]);
    halo.setAttribute("cy", places[index][1]);
    return showHover(event, point.label, [[t("machine"), point.machine], ...GOALS.map(([name, unit, key]) => [t(key), Number.isFinite(point[name]) ? showAs(unit, point[name]) : ""]), ["", point.fits ? "" : t("fits_not")]]);
  });
  axes.svg.addEventListener("pointerleave", hideHover);
  axes.svg.addEventListener("click", (event) => {
    const index = nearestPlace(event, axes.svg, places);
    if (index >= 0) choose(kept[index].label);
  });
}
