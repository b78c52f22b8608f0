// The timeline: one view onto the step, moved by wheel, pointer and keyboard.

function startTimeline(data) {
  const line = readTimeline(data);
  const canvas = document.getElementById("lanes");
  const overview = document.getElementById("overview");
  const { lanes, height } = laneList(line);
  const view = { from: line.first, to: line.last };
  const look = { shapes: line.shapes, byPhase: false, matches: null };
  const state = { line, lanes, height, view, look, canvas, overview, picked: null, asked: false, strip: null };
  state.draw = () => {
    if (state.asked) return;
    state.asked = true;
    requestAnimationFrame(() => { state.asked = false; drawTimeline(state); });
  };
  onRedraw(() => { state.strip = null; state.draw(); });
  listenPointer(state);
  listenKeys(state);
  listenTools(state);
  drawLegend(state);
  return { spot: (text) => spot(state, text, true) };
}

function drawTimeline(state) {
  const { canvas, lanes, view, look, height } = state;
  const { pen, width } = fitCanvas(canvas, height);
  const right = width;
  state.scale = (right - GUTTER) / (view.to - view.from);
  drawAxis(pen, view, GUTTER, right - GUTTER, height - LANE.tracks);
  for (const lane of lanes) {
    if (lane.kind === "ops") drawOps(pen, lane, view, GUTTER, state.scale, right, look);
    else drawBlocks(pen, lane, view, GUTTER, state.scale, right);
    pen.fillStyle = colour("quiet");
    if (lane.label) pen.fillText(lane.label, 0, lane.top + lane.height / 2);
  }
  outlineOp(pen, state.picked, state.view, GUTTER, state.scale);
  drawOverview(state);
  const span = (view.to - view.from) * 1e-12;
  document.getElementById("range").textContent =
    `${showTime(span)} from ${view.from > 0 ? showTime(view.from * 1e-12) : "the start"}`;
}

// The whole step in one strip, drawn once, and the part of it that is in view.
function drawOverview(state) {
  const { overview, line, view, look } = state;
  const { pen, width } = fitCanvas(overview, 34);
  const whole = { from: line.first, to: line.last };
  const scale = (width - GUTTER) / (whole.to - whole.from);
  if (!state.strip || state.strip.width !== overview.width) {
    const lane = state.lanes.filter((l) => l.kind === "ops").reduce((a, b) => (b.track.num > a.track.num ? b : a), { track: { num: -1 } });
    if (lane.top !== undefined) drawOps(pen, { ...lane, top: 4, height: 24 }, whole, GUTTER, scale, width, look);
    state.strip = document.createElement("canvas");
    state.strip.width = overview.width;
    state.strip.height = overview.height;
    if (overview.width && overview.height) state.strip.getContext("2d").drawImage(overview, 0, 0);
  } else {
    pen.drawImage(state.strip, 0, 0, width, 34);
  }
  const x0 = GUTTER + (view.from - whole.from) * scale;
  const x1 = GUTTER + (view.to - whole.from) * scale;
  pen.fillStyle = colour("card");
  pen.globalAlpha = 0.62;
  pen.fillRect(GUTTER, 3, x0 - GUTTER, 26);
  pen.fillRect(x1, 3, width - x1, 26);
  pen.globalAlpha = 1;
  pen.strokeStyle = colour("accent");
  pen.strokeRect(x0 + 0.5, 3.5, Math.max(3, x1 - x0) - 1, 25);
  pen.fillStyle = colour("quiet");
  pen.fillText("whole step", 0, 16);
}

function setView(state, from, to) {
  const { first, last } = state.line;
  const whole = last - first;
  const span = Math.min(whole, Math.max(to - from, Math.min(whole, 2000)));
  const start = Math.min(Math.max(from, first), last - span);
  state.view.from = start;
  state.view.to = start + span;
  state.draw();
}

// Zooms by `factor` (below one zooms in) around the time at pixel `x`, or the middle.
function zoom(state, factor, x = null) {
  const { from, to } = state.view;
  const share = x === null ? 0.5 : Math.min(1, Math.max(0, (x - GUTTER) / (state.canvas.clientWidth - GUTTER)));
  const at = from + share * (to - from);
  setView(state, at - (at - from) * factor, at + (to - at) * factor);
}

function move(state, share) {
  const by = share * (state.view.to - state.view.from);
  setView(state, state.view.from + by, state.view.to + by);
}

// Dims all ops but those that contain the text, or whose op, call or module is just that.
function spot(state, text, exactly = false) {
  const wanted = text.trim().toLowerCase();
  const fits = exactly
    ? (s) => s.op === text || s.text === text || s.path === text
    : (s) => s.seen.includes(wanted);
  const { shapes } = state.line;
  state.look.matches = wanted ? Uint8Array.from(shapes, (s) => (fits(s) ? 1 : 0)) : null;
  state.strip = null;
  state.draw();
}

function drawLegend(state) {
  const legend = document.getElementById("lane-legend");
  const used = new Set();
  for (const s of state.line.shapes) {
    if (s.idle) continue;
    used.add(state.look.byPhase ? s.phase : s.why);
    if (s.launch && !state.look.byPhase) used.add("launch");
  }
  const names = (state.look.byPhase ? PHASES : PARTS).filter((name) => used.has(name));
  legend.replaceChildren(...names.map((name) => element("span", {}, element("i", { class: `c-${name.replace(" ", "-")}` }), name)));
}
