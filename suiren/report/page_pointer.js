// Pointer and keyboard of the timeline.

// What lies under a point of the canvas: {lane, index} of an op, {lane, block} of a run, or null.
function under(state, x, y) {
  const lane = state.lanes.find((l) => y >= l.top && y < l.top + l.height);
  if (!lane || x < GUTTER) return null;
  const at = state.view.from + (x - GUTTER) / state.scale;
  const near = 1 / state.scale;
  if (lane.kind !== "ops") {
    const block = lane.blocks.find((b) => b.end > at - near && b.start <= at + near);
    return block ? { lane, block } : null;
  }
  const index = firstAfter(lane.track.end, lane.track.num, at);
  for (const i of [index, index - 1]) {
    if (i >= 0 && i < lane.track.num && lane.track.start[i] <= at + near && lane.track.end[i] >= at - near) {
      return { lane, index: i };
    }
  }
  return null;
}

// Title and rows that say everything about what was found.
function story(state, found) {
  const time = (ps) => showTime(ps * 1e-12);
  if (found.block) {
    const { block, lane } = found;
    const title = lane.kind === "phase" ? block.key : block.key.slice(block.key.indexOf(" ") + 1);
    const phase = lane.kind === "phase" ? "" : block.key.slice(0, block.key.indexOf(" "));
    return [title, [["phase", phase], ["start", time(block.start)], ["lasts", time(block.end - block.start)]]];
  }
  const s = state.line.shapes[found.lane.track.shape[found.index]];
  const start = ["start", time(Math.max(0, found.lane.track.start[found.index]))];
  if (s.idle) return ["idle", [["waits for", s.why], start, ["lasts", time(s.busy)]]];
  const whole = s.launch + s.busy;
  const launch = s.launch ? ` (launch ${time(s.launch)}, work ${time(s.busy)})` : "";
  return [s.op, [
    ["call", s.text], ["module", s.path || "outside any module"], ["phase", s.phase], start,
    ["lasts", time(whole) + launch], ["bound by", s.why],
    ["of roofline", s.roofline ? showPercent(s.roofline / whole) : ""],
  ]];
}

function pick(state, found) {
  state.picked = found && found.lane.kind === "ops" ? found : null;
  if (found) document.getElementById("picked").replaceChildren(...described(...story(state, found)));
  state.draw();
}

// The wheel zooms; while the page is being scrolled past, it goes on scrolling the page.
function listenWheel(state) {
  const { canvas } = state;
  let scrolledElsewhere = 0;
  addEventListener("wheel", (event) => {
    if (event.target !== canvas) scrolledElsewhere = event.timeStamp;
  }, { passive: true, capture: true });
  canvas.addEventListener("wheel", (event) => {
    if (event.timeStamp - scrolledElsewhere < 300) { // the page is being scrolled past
      scrolledElsewhere = event.timeStamp;
      return;
    }
    const sideways = event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY);
    const { from, to } = state.view;
    const whole = to - from >= state.line.last - state.line.first;
    if (whole && (sideways || event.deltaY > 0)) return;
    event.preventDefault();
    const amount = (event.deltaMode === 1 ? 30 : 1) * (sideways ? event.deltaX || event.deltaY : event.deltaY);
    if (sideways) move(state, amount / canvas.clientWidth);
    else zoom(state, Math.exp(Math.max(-240, Math.min(240, amount)) * 0.0028), event.offsetX);
  }, { passive: false });
}

function listenPointer(state) {
  const { canvas, overview } = state;
  let held = null;
  canvas.addEventListener("pointerdown", (event) => {
    held = { x: event.offsetX, from: state.view.from, to: state.view.to, moved: false };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (held) {
      const by = (held.x - event.offsetX) / state.scale;
      held.moved = held.moved || Math.abs(held.x - event.offsetX) > 3;
      if (!held.moved) return;
      canvas.classList.add("dragging");
      hideHover();
      setView(state, held.from + by, held.to + by);
      return;
    }
    const found = under(state, event.offsetX, event.offsetY);
    if (found) showHover(event, ...story(state, found));
    else hideHover();
  });
  const release = (event) => {
    if (held && !held.moved && event.type === "pointerup") pick(state, under(state, event.offsetX, event.offsetY));
    held = null;
    canvas.classList.remove("dragging");
  };
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("pointerleave", hideHover);
  canvas.addEventListener("dblclick", (event) => zoomTo(state, under(state, event.offsetX, event.offsetY)));
  listenWheel(state);
  listenOverview(state, overview);
}

function listenOverview(state, overview) {
  const center = (event) => {
    if (!(event.buttons & 1)) return;
    const { first, last } = state.line;
    const at = first + ((event.offsetX - GUTTER) / (overview.clientWidth - GUTTER)) * (last - first);
    const half = (state.view.to - state.view.from) / 2;
    setView(state, at - half, at + half);
  };
  overview.addEventListener("pointerdown", (event) => { overview.setPointerCapture(event.pointerId); center(event); });
  overview.addEventListener("pointermove", center);
}

function zoomTo(state, found) {
  if (!found) return;
  const { start, end } = found.block || { start: found.lane.track.start[found.index], end: found.lane.track.end[found.index] };
  const margin = (end - start) * (found.block ? 0.02 : 1.5);
  setView(state, start - margin, end + margin);
}

// The op before or after the selected one; the first in view if none is.
function stepPick(state, by) {
  let { picked } = state;
  if (!picked) {
    const lane = state.lanes.filter((l) => l.kind === "ops").reduce((a, b) => (a && a.track.num >= b.track.num ? a : b), null);
    if (!lane || !lane.track.num) return;
    picked = { lane, index: Math.min(lane.track.num - 1, firstAfter(lane.track.end, lane.track.num, state.view.from)) };
  } else {
    const index = picked.index + by;
    if (index < 0 || index >= picked.lane.track.num) return;
    picked = { lane: picked.lane, index };
  }
  pick(state, picked);
  const { track } = picked.lane;
  const { from, to } = state.view;
  const middle = (track.start[picked.index] + track.end[picked.index]) / 2;
  if (middle < from || middle > to) setView(state, middle - (to - from) / 2, middle + (to - from) / 2);
}

function listenKeys(state) {
  const { first, last } = state.line;
  const acts = {
    ArrowLeft: () => move(state, -0.15), ArrowRight: () => move(state, 0.15),
    ArrowUp: () => zoom(state, 0.7), ArrowDown: () => zoom(state, 1 / 0.7),
    "+": () => zoom(state, 0.7), "=": () => zoom(state, 0.7),
    "-": () => zoom(state, 1 / 0.7), _: () => zoom(state, 1 / 0.7),
    0: () => setView(state, first, last), Home: () => setView(state, first, last),
    ",": () => stepPick(state, -1), ".": () => stepPick(state, 1),
    Enter: () => zoomTo(state, state.picked), Escape: () => pick(state, null),
  };
  state.canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !acts[event.key]) return;
    event.preventDefault();
    acts[event.key]();
  });
}

function listenTools(state) {
  const { first, last } = state.line;
  const colourings = document.querySelectorAll("[data-colour]");
  for (const button of colourings) {
    button.addEventListener("click", () => {
      press(colourings, button);
      state.look.byPhase = button.dataset.colour === "phase";
      state.strip = null;
      drawLegend(state);
      state.draw();
    });
  }
  const zooms = { in: () => zoom(state, 0.5), out: () => zoom(state, 2), all: () => setView(state, first, last) };
  for (const button of document.querySelectorAll("[data-zoom]")) {
    button.addEventListener("click", zooms[button.dataset.zoom]);
  }
  document.getElementById("spot").addEventListener("input", (event) => spot(state, event.target.value));
}
