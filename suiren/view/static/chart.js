import { s } from "./dom.js";

// Axes: a frame of an SVG with scales in x and y, linear or logarithmic.

// An axis: { min, max, log?, show(value), title }. Returns the SVG, a layer to draw on, and scales.
export function frame(host, height, x, y, label) {
  const width = Math.max(280, host.clientWidth || 800);
  const box = { left: 64, right: width - 14, top: 24, bottom: height - 40 };
  const svg = s("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": label });
  const sx = scale(x, box.left, box.right);
  const sy = scale(y, box.bottom, box.top);
  for (const value of ticks(x, (box.right - box.left) / 95)) {
    svg.append(s("line.grid", { x1: sx(value), x2: sx(value), y1: box.top, y2: box.bottom }),
      s("text", { x: sx(value), y: box.bottom + 17, "text-anchor": "middle" }, x.show(value)));
  }
  for (const value of ticks(y, (box.bottom - box.top) / 46)) {
    svg.append(s("line.grid", { x1: box.left, x2: box.right, y1: sy(value), y2: sy(value) }),
      s("text", { x: box.left - 8, y: sy(value) + 4, "text-anchor": "end" }, y.show(value)));
  }
  if (x.title) svg.append(s("text", { x: box.right, y: height - 5, "text-anchor": "end" }, x.title));
  if (y.title) svg.append(s("text", { x: 0, y: 9 }, y.title));
  const layer = s("g");
  svg.append(layer);
  host.replaceChildren(svg);
  return { svg, layer, sx, sy, box, width, height };
}

function scale(axis, from, to) {
  if (!axis.log) {
    const range = axis.max - axis.min || 1;
    return (value) => from + ((value - axis.min) / range) * (to - from);
  }
  const low = Math.log10(axis.min);
  const range = Math.log10(axis.max) - low || 1;
  return (value) => from + ((Math.log10(value) - low) / range) * (to - from);
}

function ticks(axis, count) {
  const found = [];
  if (!axis.log) {
    const step = (axis.step || roundStep)(axis.max - axis.min || 1, Math.max(2, Math.min(count, 10)));
    for (let k = Math.ceil(axis.min / step - 1e-9); k * step <= axis.max * (1 + 1e-12); k++) found.push(k * step);
    return found;
  }
  if (axis.binary) return powersOfTwo(axis, count);
  const [low, high] = [Math.ceil(Math.log10(axis.min) - 1e-9), Math.floor(Math.log10(axis.max) + 1e-9)];
  const each = Math.max(1, Math.ceil((high - low + 1) / Math.max(2, count)));
  const between = high - low < 2 && count > 4 ? [1, 2, 5] : [1];
  for (let power = low - 1; power <= high; power += each) {
    for (const factor of between) {
      const value = factor * 10 ** power;
      if (value >= axis.min * 0.999 && value <= axis.max * 1.001) found.push(value);
    }
  }
  return found;
}

// Whole KiB, MiB, GiB on a logarithmic axis of bytes.
function powersOfTwo(axis, count) {
  const [low, high] = [Math.ceil(Math.log2(axis.min)), Math.floor(Math.log2(axis.max))];
  const each = Math.max(1, Math.ceil((high - low + 1) / Math.max(2, count)));
  const found = [];
  for (let power = high; power >= low; power -= each) found.push(2 ** power);
  return found;
}

// The range of some values with room around them.
export function extent(values, isLog) {
  const kept = values.filter((v) => Number.isFinite(v) && (!isLog || v > 0));
  if (!kept.length) return isLog ? { min: 1, max: 10, log: true } : { min: 0, max: 1 };
  let [min, max] = kept.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]);
  if (isLog) return { min: min / 1.25, max: max * 1.25, log: true };
  const room = (max - min || Math.abs(max) || 1) * 0.06;
  return { min: min >= 0 && min - room < 0 ? 0 : min - room, max: max + room };
}

// The nearest of some places [x, y] to the pointer, within a few pixels; -1 for none.
export function nearestPlace(event, svg, places, reach = 18) {
  const box = svg.getBoundingClientRect();
  const ratio = svg.viewBox.baseVal.width / box.width;
  const [px, py] = [(event.clientX - box.left) * ratio, (event.clientY - box.top) * ratio];
  let [best, least] = [-1, reach * reach];
  places.forEach(([x, y], index) => {
    const far = (x - px) ** 2 + (y - py) ** 2;
    if (far < least) [best, least] = [index, far];
  });
  return best;
}
