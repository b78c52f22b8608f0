// The roofline: intensity against achieved FLOP/s, both logarithmic.

function startRoofline(data) {
  onRedraw(() => drawRoofline(data));
  const hidden = data.num_with_flop - data.points.length;
  const dry = data.points.filter((p) => p.intensity === null).length;
  const notes = [];
  if (!data.points.length) notes.push("No call of this step ran matrix FLOP.");
  if (dry) notes.push(`${dry} calls found their operands in on-chip memory: they stand in the band at the right.`);
  if (hidden > 0) notes.push(`${hidden} calls that took less time are not drawn.`);
  document.getElementById("roofs-note").textContent = notes.join(" ");
  streamingBars(data);
}

// Ranges of both axes in decades, [x0, x1, y0, y1].
function decades(data) {
  const wet = data.points.filter((p) => p.intensity !== null);
  const top = Math.max(...data.roofs.map((r) => r.flop_per_s), 1);
  const ridge = top / data.memory_bytes_per_s;
  const low = Math.min(...data.points.map((p) => p.flop_per_s), top / 1e3);
  return [
    Math.floor(Math.log10(Math.min(...wet.map((p) => p.intensity), ridge / 30))),
    Math.ceil(Math.log10(Math.max(...wet.map((p) => p.intensity), ridge * 10))),
    Math.floor(Math.log10(low)),
    Math.ceil(Math.log10(top * 1.15)),
  ];
}

function drawRoofline(data) {
  const svg = document.getElementById("roofs");
  svg.replaceChildren();
  const width = svg.clientWidth || 700;
  const height = 400;
  svg.style.height = `${height}px`;
  if (!data.roofs.length) return;
  const dry = data.points.some((p) => p.intensity === null);
  const box = { left: 78, right: width - (dry ? 84 : 12), top: 12, bottom: height - 40 };
  const [x0, x1, y0, y1] = decades(data);
  const x = (v) => box.left + ((Math.log10(v) - x0) / (x1 - x0)) * (box.right - box.left);
  const y = (v) => box.bottom - ((Math.log10(v) - y0) / (y1 - y0)) * (box.bottom - box.top);
  for (let d = x0; d <= x1; d++) {
    shape(svg, "line", { x1: x(10 ** d), x2: x(10 ** d), y1: box.top, y2: box.bottom, class: "grid" });
    shape(svg, "text", { x: x(10 ** d), y: box.bottom + 16, "text-anchor": "middle" }, String(10 ** d));
  }
  for (let d = y0; d <= y1; d++) {
    shape(svg, "line", { x1: box.left, x2: box.right, y1: y(10 ** d), y2: y(10 ** d), class: "grid" });
    shape(svg, "text", { x: box.left - 8, y: y(10 ** d) + 4, "text-anchor": "end" }, showRate(10 ** d, "FLOP/s"));
  }
  shape(svg, "text", { x: (box.left + box.right) / 2, y: height - 6, "text-anchor": "middle" }, "FLOP per byte of device memory");
  if (dry) {
    shape(svg, "rect", { x: box.right + 14, y: box.top, width: 64, height: box.bottom - box.top, rx: 4, class: "strip" });
    shape(svg, "text", { x: box.right + 46, y: box.bottom - 8, "text-anchor": "middle" }, "on chip");
  }
  drawRoofs(svg, data, box, x, y, [x0, y0], dry);
  drawPoints(svg, data, box, x, y);
}

function drawRoofs(svg, data, box, x, y, [x0, y0], dry) {
  const memory = data.memory_bytes_per_s;
  const top = Math.max(...data.roofs.map((r) => r.flop_per_s));
  const from = Math.max(10 ** x0, 10 ** y0 / memory);
  const [ax, ay, bx, by] = [x(from), y(from * memory), x(top / memory), y(top)];
  shape(svg, "line", { x1: ax, y1: ay, x2: bx, y2: by, class: "roof used" });
  const angle = (Math.atan2(by - ay, bx - ax) * 180) / Math.PI;
  const [mx, my] = [ax + (bx - ax) * 0.42, ay + (by - ay) * 0.42 - 8];
  shape(svg, "text", { x: mx, y: my, transform: `rotate(${angle} ${mx} ${my})`, "text-anchor": "middle", class: "used-text" },
    `memory ${showRate(memory, "B/s")}`);
  const right = dry ? box.right + 78 : box.right;
  for (const roof of data.roofs) {
    const used = roof.used ? " used" : "";
    const at = y(roof.flop_per_s);
    shape(svg, "line", { x1: x(roof.flop_per_s / memory), x2: right, y1: at, y2: at, class: `roof${used}` });
    shape(svg, "text", { x: box.right - 4, y: at - 5, "text-anchor": "end", class: used ? "used-text" : "" },
      `${roof.formats.join(", ")} ${showRate(roof.flop_per_s, roof.formats.every((f) => f.startsWith("int")) ? "OP/s" : "FLOP/s")}`);
  }
}

function drawPoints(svg, data, box, x, y) {
  const most = Math.max(...data.points.map((p) => p.share), 1e-12);
  let dry = 0;
  for (const p of [...data.points].sort((a, b) => b.share - a.share)) {
    const cx = p.intensity === null ? box.right + 46 + 14 * [0, -1, 1][dry++ % 3] : x(p.intensity);
    const r = Math.max(2.5, 15 * Math.sqrt(p.share / most));
    const dot = shape(svg, "circle", { cx, cy: y(p.flop_per_s), r, class: "dot", fill: colour(p.why), stroke: colour(p.why) });
    const show = (event) => showHover(event, p.op, pointRows(p));
    dot.addEventListener("pointermove", show);
    dot.addEventListener("pointerleave", hideHover);
  }
}

function pointRows(p) {
  const intensity = p.intensity === null ? "no device memory traffic" : `${digits(p.intensity, 3)} FLOP/B`;
  return [
    ["call", p.name], ["achieved", `${showRate(p.flop_per_s, "FLOP/s")}, ${showRate(p.bytes_per_s, "B/s")}`],
    ["intensity", intensity], ["time", `${showTime(p.time_s)}, ${showPercent(p.share)} of the step`],
    ["calls", String(p.calls)], ["bound by", p.why], ["of roofline", showPercent(p.roofline_share)],
  ];
}

// Calls that only move data, as bars of the bandwidth they reach.
function streamingBars(data) {
  const place = document.getElementById("streaming");
  const shown = data.streaming;
  const table = element("table", { class: "bars" }, element("caption", { class: "hidden" }, "Achieved bandwidth of calls without matrix FLOP"));
  for (const p of shown) {
    const share = Math.min(1, p.bytes_per_s / data.memory_bytes_per_s);
    const row = element("tr", {},
      element("th", { scope: "row" }, p.op.replace(/^.*::/, "").slice(0, 26)),
      element("td", { class: "track" }, element("i", { style: `width:${(100 * share).toFixed(1)}%` })),
      element("td", {}, showRate(p.bytes_per_s, "B/s")));
    row.addEventListener("pointermove", (event) => showHover(event, p.op, pointRows(p)));
    row.addEventListener("pointerleave", hideHover);
    table.append(row);
  }
  const rest = [];
  if (data.num_streaming > shown.length) rest.push(`${data.num_streaming - shown.length} more moved data and took less time.`);
  if (data.resident) rest.push(`${data.resident} found everything on chip and moved no device memory.`);
  if (!shown.length) rest.unshift("None moved device memory.");
  else place.append(element("p", { class: "quiet" }, `Bandwidth reached, full width is the card's ${showRate(data.memory_bytes_per_s, "B/s")}.`), table);
  place.append(element("p", { class: "quiet", style: "margin-top:8px" }, rest.join(" ")));
}
