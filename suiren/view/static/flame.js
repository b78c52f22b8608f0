import { h, s } from "./dom.js";
import { t, named } from "./words.js";
import { paint } from "./look.js";
import { showHover, hideHover } from "./hover.js";
import { legendOf } from "./bars.js";

// Modules as a flame: width is time, depth is the module path. A click zooms, the root goes back.

const FLAME_ROW = 25;
const zoomed = { path: [] };

export function drawFlame(place, rows) {
  const phases = [...new Set(rows.map(([phase]) => phase))].filter(Boolean);
  const tree = treeOf(rows, phases.length > 0);
  const chart = h("div.flame");
  const draw = () => {
    let node = tree;
    const open = [];
    for (const name of zoomed.path) {
      if (!node.children.has(name)) break;
      open.push(node);
      node = node.children.get(name);
    }
    zoomed.path = zoomed.path.slice(0, open.length);
    chart.replaceChildren(flameChart(node, open, tree, chart.clientWidth || 900, draw));
  };
  place.append(h("p.quiet", { style: "margin-bottom:10px" }, t("flame_help")), chart, legendOf(phases));
  draw();
}

// Nodes { name, own, total, count, phase, children }; phases stand at the first level.
function treeOf(rows, byPhase) {
  const root = { name: t("whole_step"), own: 0, total: 0, count: 0, phase: "", children: new Map() };
  for (const [phase, path, seconds, count, why] of rows) {
    const levels = [...(byPhase ? [named(phase)] : []), ...levelsOf(path === "(outside)" ? "" : path)];
    let node = root;
    node.total += seconds;
    for (const name of levels) {
      if (!node.children.has(name)) node.children.set(name, { name, own: 0, total: 0, count: 0, phase, children: new Map() });
      node = node.children.get(name);
      node.total += seconds;
    }
    node.own += seconds;
    node.count += count;
    node.why = why;
  }
  return root;
}

function depthOf(node) {
  return 1 + Math.max(0, ...[...node.children.values()].map(depthOf));
}

function flameChart(node, open, tree, width, draw) {
  const height = (open.length + depthOf(node)) * FLAME_ROW;
  const svg = s("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": t("flame_label") });
  open.forEach((above, depth) => svg.append(flameBox(above, 0, width, depth, tree, true, () => { zoomed.path = zoomed.path.slice(0, depth); draw(); })));
  const place = (one, left, room, depth, path) => {
    if (room < 0.6) return;
    svg.append(flameBox(one, left, room, depth, tree, one === tree, () => { zoomed.path = path; draw(); }));
    let at = left;
    for (const child of [...one.children.values()].sort((a, b) => b.total - a.total)) {
      const share = (child.total / one.total) * room;
      place(child, at, share, depth + 1, [...path, child.name]);
      at += share;
    }
  };
  place(node, 0, width, open.length, zoomed.path.slice(0, open.length));
  return svg;
}

function flameBox(node, left, room, depth, tree, isRoot, act) {
  const fill = isRoot ? "" : `fill:${paint(node.phase)};fill-opacity:${(0.98 - 0.06 * (depth % 3)).toFixed(2)}`;
  const box = s(isRoot ? "g.root" : "g", { tabindex: room > 30 ? 0 : null, role: "button" },
    s("rect", { x: left, y: depth * FLAME_ROW, width: Math.max(0.5, room), height: FLAME_ROW - 1, rx: 3, style: fill }));
  const letters = Math.floor((room - 10) / 6.6);
  if (letters > 2) {
    const text = node.name.length > letters ? `${node.name.slice(0, letters - 1)}…` : node.name;
    const took = letters > node.name.length + 16 ? `  ${showTime(node.total)}` : "";
    box.append(s("text", { x: left + 6, y: depth * FLAME_ROW + 16.5 }, text + took));
  }
  box.setAttribute("aria-label", `${node.name} ${showTime(node.total)}`);
  box.addEventListener("click", () => { hideHover(); act(); });
  box.addEventListener("keydown", (event) => { if (event.key === "Enter") act(); });
  box.addEventListener("pointermove", (event) => showHover(event, node.name, [
    [t("time"), `${showTime(node.total)}, ${showPercent(node.total / tree.total)}`],
    [t("itself"), node.own && node.children.size ? showTime(node.own) : ""],
    [t("phase"), node.phase ? named(node.phase) : ""], [t("ops"), node.count || ""],
  ]));
  box.addEventListener("pointerleave", hideHover);
  return box;
}
