// Allocated bytes over the step, as steps.

function startMemory(data) {
  const look = { toCapacity: data.peak_bytes > 0.5 * data.capacity_bytes };
  const buttons = [...document.querySelectorAll("[data-scale]")];
  for (const button of buttons) {
    button.addEventListener("click", () => {
      press(buttons, button);
      look.toCapacity = button.dataset.scale === "capacity";
      drawMemory(data, look);
    });
  }
  press(buttons, buttons.find((b) => (b.dataset.scale === "capacity") === look.toCapacity));
  onRedraw(() => drawMemory(data, look));
  ownerTable(data);
  listenMemory(data);
}

const MEMORY_BOX = { left: 78, top: 14, height: 250, bottom: 26 };

function memoryScales(data, look, width) {
  const end = Math.max(data.step_time_s, ...data.time_s.slice(-1), 1e-12);
  const top = 1.06 * Math.max(look.toCapacity ? data.capacity_bytes : 0, data.peak_bytes, 1);
  const { left, top: above, height, bottom } = MEMORY_BOX;
  return {
    end, top,
    x: (t) => left + (Math.max(0, t) / end) * (width - left - 4),
    y: (b) => height - bottom - (b / top) * (height - above - bottom),
  };
}

function drawMemory(data, look) {
  const svg = document.getElementById("curve");
  svg.replaceChildren();
  const width = svg.clientWidth || 1000;
  const { left, height, bottom } = MEMORY_BOX;
  svg.style.height = `${height}px`;
  const { end, top, x, y } = memoryScales(data, look, width);
  const unit = 2 ** (10 * Math.floor(Math.log2(Math.max(1, top)) / 10));
  const step = roundStep(top / unit, 5) * unit;
  for (let b = 0; b <= top; b += step) {
    shape(svg, "line", { x1: left, x2: width, y1: y(b), y2: y(b), class: "grid" });
    shape(svg, "text", { x: left - 8, y: y(b) + 4, "text-anchor": "end" }, showBytes(b).replace(/\.00 /, " "));
  }
  const tick = roundStep(end, width / 130);
  for (let k = 0; k * tick <= end; k++) {
    shape(svg, "text", { x: x(k * tick), y: height - bottom + 18, "text-anchor": k ? "middle" : "start" }, showTick(k * tick, tick));
  }
  let edge = "";
  data.time_s.forEach((t, i) => {
    edge += i ? `H${x(t).toFixed(1)}V${y(data.bytes[i]).toFixed(1)}` : `M${x(t).toFixed(1)} ${y(data.bytes[i]).toFixed(1)}`;
  });
  if (edge) {
    edge += `H${x(end).toFixed(1)}`;
    shape(svg, "path", { d: `${edge}V${y(0)}H${left}Z`, class: "area" });
    shape(svg, "path", { d: edge, class: "edge" });
  }
  drawCapacity(svg, data, top, y, left, width);
  shape(svg, "line", { id: "memory-cursor", x1: 0, x2: 0, visibility: "hidden", y1: MEMORY_BOX.top, y2: height - bottom, class: "cursor" });
  svg.scales = { x, y, end, width };
}

function drawCapacity(svg, data, top, y, left, width) {
  const text = `capacity ${showBytes(data.capacity_bytes)}`;
  if (data.capacity_bytes <= top) {
    const at = y(data.capacity_bytes);
    shape(svg, "line", { x1: left, x2: width, y1: at, y2: at, class: "capacity" });
    shape(svg, "text", { x: width - 6, y: at + 15, "text-anchor": "end" }, text);
  } else {
    const times = digits(data.capacity_bytes / Math.max(1, data.peak_bytes), 3);
    shape(svg, "text", { x: width - 6, y: 11, "text-anchor": "end" }, `↑ ${text}, ${times} times the peak`);
  }
}

function listenMemory(data) {
  const svg = document.getElementById("curve");
  const times = Float64Array.from(data.time_s);
  svg.addEventListener("pointermove", (event) => {
    if (!times.length || !svg.scales) return;
    const { end, width } = svg.scales;
    const px = event.clientX - svg.getBoundingClientRect().left;
    const at = Math.min(end, Math.max(0, ((px - MEMORY_BOX.left) / (width - MEMORY_BOX.left - 4)) * end));
    const index = Math.max(0, firstAfter(times, times.length, at) - 1);
    const cursor = document.getElementById("memory-cursor");
    cursor.setAttribute("visibility", "visible");
    cursor.setAttribute("x1", svg.scales.x(at));
    cursor.setAttribute("x2", svg.scales.x(at));
    showHover(event, showBytes(data.bytes[index]), [
      ["at", showTime(at)],
      ["of capacity", showPercent(data.bytes[index] / data.capacity_bytes)],
      ["of peak", showPercent(data.bytes[index] / Math.max(1, data.peak_bytes))],
    ]);
  });
  svg.addEventListener("pointerleave", () => {
    document.getElementById("memory-cursor").setAttribute("visibility", "hidden");
    hideHover();
  });
}

function ownerTable(data) {
  const place = document.getElementById("owners");
  const body = element("tbody");
  for (const [kind, name, bytes] of data.owners) {
    body.append(element("tr", {},
      element("td", { class: "chip", style: `--chip:var(--${kind.replace(" ", "-")})` }, kind),
      element("td", { class: "name" }, name),
      element("td", { class: "number" }, showBytes(bytes)),
      element("td", { class: "number quiet" }, showPercent(bytes / Math.max(1, data.peak_bytes)))));
  }
  const head = element("tr", {}, element("th", {}, "Kind"), element("th", {}, "Owner"),
    element("th", { class: "number" }, "Bytes"), element("th", { class: "number" }, "Of peak"));
  place.append(element("table", {}, element("thead", {}, head), body));
}
