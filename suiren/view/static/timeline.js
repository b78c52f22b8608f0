import { h, head, choice } from "./dom.js";
import { t, named } from "./words.js";
import { colour } from "./look.js";
import { legendOf } from "./bars.js";
import { setView, zoomBy, spotText } from "./timeline_moves.js";
import { listenTimeline } from "./timeline_input.js";
import { pickedPanel } from "./timeline_picked.js";

// The timeline of a step. Lanes and records are drawn by the report's own scripts (page_spans.js,
// page_lanes.js); here are the view onto them, the choice of lanes, and what is selected.

// What the user chose stays while he looks at other views.
const kept = { byPhase: false, byEngine: false };

export function drawTimelineView(main, item) {
  const data = item.step.timeline;
  const line = readTimeline(data);
  line.tracks.forEach((track, index) => { track.rank = data.tracks[index].rank ?? -1; });
  const canvas = h("canvas", { id: "lanes", tabindex: 0, role: "application", "aria-label": t("timeline_label") });
  const overview = h("canvas", { id: "overview", height: 34, "aria-hidden": "true" });
  const range = h("span.quiet", { id: "range", "aria-live": "polite" });
  const picked = h("div.picked", { id: "picked", "aria-live": "polite" });
  const legend = h("div", { id: "lane-legend" });
  const spotBox = h("input", { type: "search", id: "search", placeholder: t("spot"), "aria-label": t("spot") });
  const state = { line, canvas, overview, range, picked, view: { from: line.first, to: line.last }, look: { shapes: line.shapes, byPhase: kept.byPhase, matches: null }, chosen: null, asked: false, strip: null };
  state.draw = () => {
    if (state.asked) return;
    state.asked = true;
    requestAnimationFrame(() => { state.asked = false; if (canvas.isConnected) paintTimeline(state); });
  };
  const relane = () => { Object.assign(state, lanesOf(line), { strip: null }); };
  const recolour = (byPhase) => {
    kept.byPhase = state.look.byPhase = byPhase;
    state.strip = null;
    legend.replaceChildren(legendOf(usedNames(state)));
    state.draw();
  };
  relane();
  const zooms = h("div.choice", { role: "group", "aria-label": t("zoom") },
    h("button", { type: "button", "aria-label": t("zoom_out"), onclick: () => zoomBy(state, 2) }, "−"),
    h("button", { type: "button", "aria-label": t("zoom_in"), onclick: () => zoomBy(state, 0.5) }, "+"),
    h("button", { type: "button", onclick: () => setView(state, line.first, line.last) }, t("whole")));
  main.append(
    head(t("timeline"), timelineLead(data, item), zooms),
    h("section.card", {},
      h("div.tools", { style: "margin-bottom:12px" },
        choice(t("colour_by"), [["why", t("by_bound")], ["phase", t("by_phase")]], kept.byPhase ? "phase" : "why", (v) => recolour(v === "phase")),
        choice(t("lanes_by"), [["stream", t("by_stream")], ["engine", t("by_engine")]], kept.byEngine ? "engine" : "stream", (v) => { kept.byEngine = v === "engine"; relane(); state.draw(); }),
        spotBox, range),
      overview, canvas, legend, picked));
  spotBox.addEventListener("input", () => spotText(state, spotBox.value));
  recolour(kept.byPhase);
  pickedPanel(state);
  const keys = listenTimeline(state);
  paintTimeline(state);
  return { keys };
}

function timelineLead(data, item) {
  const lead = t("timeline_lead", { time: showTime(data.period_ps * 1e-12), n: data.num_records.toLocaleString("en-US") });
  const cut = data.num_dropped ? ` ${t("timeline_cut", { n: data.num_dropped.toLocaleString("en-US") })}` : "";
  return `${item.record.title}. ${lead}${cut}`;
}

// Lanes by stream, or by what bounds each record; with many tracks they are lower.
function lanesOf(line) {
  const tracks = kept.byEngine ? engineTracks(line) : line.tracks;
  LANE.ops = tracks.length > 12 ? 20 : tracks.length > 5 ? 28 : 44;
  LANE.tracks = tracks.length > 12 ? 5 : 12;
  const { lanes, height } = kept.byEngine ? engineLanes(line, tracks) : laneList({ ...line, tracks });
  for (const lane of lanes) {
    if (lane.kind === "phase") for (const block of lane.blocks) block.text = named(block.key);
    lane.label = lane.label && laneLabel(lane);
  }
  return { lanes, height };
}

// Phases and modules of the busiest stream on top, one lane an engine below them.
function engineLanes(line, tracks) {
  const busiest = line.tracks.reduce((a, b) => (b.num > a.num ? b : a), line.tracks[0]);
  const { lanes } = laneList({ ...line, tracks: busiest ? [busiest] : [] });
  const above = lanes.filter((lane) => lane.kind !== "ops");
  let top = above.length ? above[above.length - 1].top + above[above.length - 1].height + LANE.between : AXIS;
  const below = tracks.map((track) => {
    const lane = { kind: "ops", label: track.name, track, top, height: LANE.ops };
    top += LANE.ops + LANE.tracks;
    return lane;
  });
  return { lanes: [...above, ...below], height: Math.max(top, AXIS + 40) };
}

function laneLabel(lane) {
  if (lane.kind === "phase") return t("phase");
  if (lane.kind === "module") return t("modules");
  const { name, rank } = lane.track;
  const stream = /^gcu:\d+ stream (\d+)$/.exec(name);
  const told = stream ? streamName(Number(stream[1])) : named(name);
  return rank >= 0 ? `${t("rank", { n: rank })} · ${told}` : told;
}

// Streams of collectives have numbers of their own (suiren.torch.distributed.backend).
function streamName(number) {
  for (const [first, key] of [[0x6000, "receives"], [0x5000, "sends"], [0x4000, "collectives_of"]]) {
    if (number >= first) return t(key, { n: number - first });
  }
  return t("stream", { n: number });
}

function engineTracks(line) {
  const found = [];
  for (const track of line.tracks) {
    PARTS.forEach((part, number) => {
      const which = [];
      for (let i = 0; i < track.num; i++) {
        const shape = line.shapes[track.shape[i]];
        if (!shape.idle && shape.part === number) which.push(i);
      }
      if (!which.length) return;
      const column = (from, Kind) => Kind.from(which, (i) => from[i]);
      found.push({ name: part, rank: track.rank, num: which.length, start: column(track.start, Float64Array), end: column(track.end, Float64Array), shape: column(track.shape, Int32Array) });
    });
  }
  return found;
}

function usedNames(state) {
  const used = new Set();
  for (const shape of state.line.shapes) {
    if (shape.idle) continue;
    used.add(state.look.byPhase ? shape.phase : PARTS[shape.part]);
    if (shape.launch && !state.look.byPhase) used.add("launch");
  }
  return (state.look.byPhase ? PHASES : PARTS).filter((name) => used.has(name));
}

function paintTimeline(state) {
  const { canvas, lanes, view, look, height } = state;
  const { pen, width } = fitCanvas(canvas, height);
  state.scale = (width - GUTTER) / (view.to - view.from);
  drawAxis(pen, view, GUTTER, width - GUTTER, height - LANE.tracks);
  for (const lane of lanes) {
    if (lane.kind === "ops") drawOps(pen, lane, view, GUTTER, state.scale, width, look);
    else drawBlocks(pen, lane, view, GUTTER, state.scale, width);
    pen.fillStyle = colour("quiet");
    if (lane.label) pen.fillText(fitted(pen, lane.label), 0, lane.top + lane.height / 2);
  }
  outlineOp(pen, state.chosen, state.view, GUTTER, state.scale);
  paintOverview(state);
  const span = (view.to - view.from) * 1e-12;
  state.range.textContent = t("range", { time: showTime(span), from: view.from > 0 ? showTime(view.from * 1e-12) : "0" });
}

function fitted(pen, text) {
  while (text.length > 3 && pen.measureText(text).width > GUTTER - 8) text = `${text.slice(0, -2)}…`;
  return text;
}

// The whole step in one strip, painted once, and the part of it that is in view.
function paintOverview(state) {
  const { overview, line, view, look } = state;
  const { pen, width } = fitCanvas(overview, 34);
  const whole = line.last - line.first;
  const scale = (width - GUTTER) / whole;
  if (!state.strip || state.strip.width !== overview.width) {
    const busiest = line.tracks.reduce((a, b) => (b.num > a.num ? b : a), line.tracks[0]);
    if (busiest) drawOps(pen, { track: busiest, top: 4, height: 24 }, { from: line.first, to: line.last }, GUTTER, scale, width, look);
    state.strip = h("canvas", { width: overview.width, height: overview.height });
    if (overview.width && overview.height) state.strip.getContext("2d").drawImage(overview, 0, 0);
  } else {
    pen.drawImage(state.strip, 0, 0, width, 34);
  }
  const x0 = GUTTER + (view.from - line.first) * scale;
  const x1 = GUTTER + (view.to - line.first) * scale;
  pen.fillStyle = colour("card");
  pen.globalAlpha = 0.65;
  pen.fillRect(GUTTER, 3, x0 - GUTTER, 26);
  pen.fillRect(x1, 3, width - x1, 26);
  pen.globalAlpha = 1;
  pen.strokeStyle = colour("accent");
  pen.lineWidth = 1.5;
  pen.strokeRect(x0 + 0.75, 3.75, Math.max(3, x1 - x0) - 1.5, 25);
  pen.fillStyle = colour("quiet");
  pen.fillText(t("whole_step"), 0, 16);
}
