import { h, s, head, card } from "./dom.js";
import { t, named } from "./words.js";
import { paint } from "./look.js";
import { frame, extent } from "./chart.js";
import { hovers } from "./hover.js";
import { legendOf } from "./bars.js";

// The roofline: every distinct call with matrix FLOP as a dot under the card's roofs.

export function drawRooflineView(main, item) {
  const data = item.step.roofline;
  const shownIntensity = (v) => (v >= 1 ? String(Math.round(v)) : String(Number(v.toPrecision(1))));
  const place = h("div", { id: "roofs" });
  const parts = [...new Set([...data.points, ...data.streaming].map((p) => p.why))];
  main.append(head(t("roofline"), t("roofline_lead")),
    h("div.two", {},
      card("", place, legendOf(parts), h("p.quiet", { style: "margin-top:8px" }, rooflineNote(data))),
      card(t("without_flop"), streamingTable(data))));
  const moving = data.points.filter((p) => p.intensity);
  if (!data.points.length) {
    place.append(h("p.empty", {}, t("no_flop")));
    return {};
  }
  const top = Math.max(...data.roofs.map((r) => r.flop_per_s));
  const still = data.points.filter((p) => !p.intensity);
  const x = extent([...moving.map((p) => p.intensity), (top / data.memory_bytes_per_s) / 40, (top / data.memory_bytes_per_s) * 2], true);
  const y = extent([...data.points.map((p) => p.flop_per_s), top * 1.3], true);
  // room at the right for the strip: what the axis has to be longer by
  const share = still.length ? STRIP / Math.max(200, place.clientWidth - 78 - STRIP) : 0;
  const max = x.max * (x.max / x.min) ** share;
  const axes = frame(place, 460,
    { ...x, max, show: (v) => (v <= x.max ? shownIntensity(v) : ""), title: t("intensity") },
    { ...y, show: (v) => showRate(v, "FLOP/s"), title: t("achieved") }, t("roofline_label"));
  const edge = still.length ? axes.box.right - STRIP : axes.box.right;
  if (still.length) drawStrip(axes, edge);
  drawRoofs(axes, data, x, edge);
  for (const point of [...data.points].sort((a, b) => b.share - a.share)) {
    drawPoint(axes, point, point.intensity ? axes.sx(point.intensity) : edge + STRIP * (0.24 + 0.6 * spread(still.indexOf(point))));
  }
  return {};
}

// Calls that moved no device memory have no intensity: they stand in a strip at the right.
const STRIP = 110;

function drawStrip({ layer, box }, edge) {
  layer.append(s("rect.strip", { x: edge + 6, y: box.top, width: STRIP - 6, height: box.bottom - box.top, rx: 8 }),
    s("text", { x: edge + STRIP / 2, y: box.bottom + 17, "text-anchor": "middle" }, t("on_chip")));
}

// Places from 0 to 1 that keep apart whatever their number.
function spread(index) {
  return (index * 0.618) % 1;
}

function drawRoofs({ layer, sx, sy, box }, data, x, edge) {
  let above = Infinity;
  for (const roof of [...data.roofs].sort((a, b) => b.flop_per_s - a.flop_per_s)) {
    const ridge = roof.flop_per_s / data.memory_bytes_per_s;
    const css = roof.used ? "path.roof.used" : "path.roof";
    const from = Math.max(x.min, Math.min(ridge, x.max));
    layer.append(s(css, { d: `M${sx(from)} ${sy(roof.flop_per_s)} H${edge}` }));
    const y = sy(roof.flop_per_s) - 5;
    // names of roofs that lie on each other would too
    if (above === Infinity || y - above > 12) {
      layer.append(s("text", { x: edge - 4, y, "text-anchor": "end", class: roof.used ? "strong" : "" }, `${roof.formats.join(" ")}  ${showRate(roof.flop_per_s, "FLOP/s")}`));
      above = y;
    }
  }
  const top = Math.max(...data.roofs.map((r) => r.flop_per_s));
  const low = Math.max(x.min, 10 ** (Math.log10(x.min)));
  const [x0, y0] = [sx(low), sy(low * data.memory_bytes_per_s)];
  const [x1, y1] = [sx(top / data.memory_bytes_per_s), sy(top)];
  // the slope is cut where it leaves the frame below
  const cut = y0 > box.bottom ? (box.bottom - y0) / (y1 - y0) : 0;
  const [xa, ya] = [x0 + cut * (x1 - x0), y0 + cut * (y1 - y0)];
  layer.append(s("path.roof.used", { d: `M${xa} ${ya} L${x1} ${y1}` }));
  const angle = (Math.atan2(y1 - ya, x1 - xa) * 180) / Math.PI;
  const [mx, my] = [xa + 0.5 * (x1 - xa), ya + 0.5 * (y1 - ya)];
  layer.append(s("text.strong", { transform: `translate(${mx - 6} ${my - 8}) rotate(${angle})`, "text-anchor": "middle" }, `${named("memory")} ${showRate(data.memory_bytes_per_s, "B/s")}`));
}

function drawPoint({ layer, sy }, point, x) {
  const dot = s("circle.dot", {
    cx: x, cy: sy(point.flop_per_s), r: Math.max(3, Math.sqrt(point.share) * 42),
    style: `fill:${paint(point.why)};stroke:${paint(point.why)}`,
  });
  layer.append(hovers(dot, point.name, [
    [t("time"), `${showTime(point.time_s)}, ${showPercent(point.share)}`], [t("calls"), point.calls],
    [t("bound_by"), named(point.why)], [t("achieved"), showRate(point.flop_per_s, "FLOP/s")],
    [t("intensity"), point.intensity ? Number(point.intensity.toPrecision(3)) : t("on_chip")], [t("of_roofline"), showPercent(point.roofline_share)],
  ]));
}

function rooflineNote(data) {
  const still = data.points.filter((p) => !p.intensity).length;
  return [
    t("roofline_drawn", { n: data.points.length, all: data.num_with_flop }),
    still ? t("roofline_resident", { n: still }) : "",
  ].join(" ");
}

function streamingTable(data) {
  const most = Math.max(1, ...data.streaming.map((p) => p.bytes_per_s), data.memory_bytes_per_s);
  const rows = data.streaming.map((p) => hovers(h("tr", {},
    h("td.name", {}, p.op), h("td.bar-cell", {}, h("i", { style: `width:${(100 * p.bytes_per_s) / most}%;background:${paint(p.why)}` })),
    h("td.number", {}, showRate(p.bytes_per_s, "B/s")), h("td.number", {}, showPercent(p.share))),
  p.name, [[t("time"), showTime(p.time_s)], [t("calls"), p.calls], [t("bound_by"), named(p.why)]]));
  return h("div.scroll", {}, h("table", {}, h("thead", {}, h("tr", {}, h("th", {}, t("op")), h("th"), h("th.number", {}, t("bandwidth")), h("th.number", {}, t("share")))), h("tbody", {}, rows)));
}
