import { t, named } from "./words.js";
import { showHover, hideHover } from "./hover.js";
import { setView, zoomBy, panBy, choose, recordAt } from "./timeline_moves.js";
import { pickedPanel, describeRecord } from "./timeline_picked.js";

// Wheel, drag, pinch and keys of the timeline. Returns what each key does while the view is open.

export function listenTimeline(state) {
  const { canvas } = state;
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey;
    if (sideways) panBy(state, (event.deltaX || event.deltaY) / canvas.clientWidth);
    else zoomBy(state, Math.exp(Math.max(-120, Math.min(120, event.deltaY)) * 0.004), event.offsetX);
  }, { passive: false });
  listenDrag(state);
  listenStrip(state);
  return timelineKeys(state);
}

function listenDrag(state) {
  const { canvas } = state;
  const fingers = new Map();
  let moved = 0;
  canvas.addEventListener("pointerdown", (event) => {
    fingers.set(event.pointerId, event.offsetX);
    canvas.setPointerCapture(event.pointerId);
    moved = 0;
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!fingers.has(event.pointerId)) return hoverRecord(state, event);
    const before = [...fingers.values()];
    const by = event.offsetX - fingers.get(event.pointerId);
    fingers.set(event.pointerId, event.offsetX);
    moved += Math.abs(by);
    hideHover();
    canvas.classList.add("dragging");
    if (before.length === 2) pinch(state, before, [...fingers.values()]);
    else panBy(state, -by / (canvas.clientWidth - GUTTER));
    return undefined;
  });
  const lift = (event) => {
    const wasDown = fingers.delete(event.pointerId);
    canvas.classList.remove("dragging");
    if (event.type !== "pointerup" || !wasDown || moved > 4) return;
    const found = recordAt(state, event.offsetX, event.offsetY);
    if (found && found.block) setView(state, found.block.start, found.block.end);
    else pickRecord(state, found);
  };
  canvas.addEventListener("pointerup", lift);
  canvas.addEventListener("pointercancel", lift);
  canvas.addEventListener("pointerleave", hideHover);
}

function pinch(state, before, after) {
  const apart = ([a, b]) => Math.max(8, Math.abs(a - b));
  zoomBy(state, apart(before) / apart(after), (after[0] + after[1]) / 2);
}

function hoverRecord(state, event) {
  const found = recordAt(state, event.offsetX, event.offsetY);
  if (!found) return hideHover();
  if (found.block) {
    const took = (found.block.end - found.block.start) * 1e-12;
    return showHover(event, found.block.text || named(found.block.key), [[t("time"), showTime(took)], ["", t("click_zooms")]]);
  }
  const { title, rows } = describeRecord(state, found);
  return showHover(event, title, rows);
}

export function pickRecord(state, chosen) {
  choose(state, chosen);
  pickedPanel(state);
}

// The strip moves the view to where it is pressed.
function listenStrip(state) {
  const { overview, line } = state;
  const go = (event) => {
    if (!event.buttons) return;
    const share = (event.offsetX - GUTTER) / (overview.clientWidth - GUTTER);
    const middle = line.first + share * (line.last - line.first);
    const half = (state.view.to - state.view.from) / 2;
    setView(state, middle - half, middle + half);
  };
  overview.addEventListener("pointerdown", (event) => { overview.setPointerCapture(event.pointerId); go(event); });
  overview.addEventListener("pointermove", go);
}

// Selects the next or previous record of the lane in use.
function stepRecord(state, by) {
  let { chosen } = state;
  if (!chosen) {
    const lane = state.lanes.filter((one) => one.kind === "ops").reduce((a, b) => (b.track.num > a.track.num ? b : a));
    chosen = { lane, index: firstAfter(lane.track.end, lane.track.num, state.view.from) - by };
  }
  const { track } = chosen.lane;
  let index = chosen.index + by;
  while (index >= 0 && index < track.num && state.line.shapes[track.shape[index]].idle) index += by;
  if (index < 0 || index >= track.num) return;
  pickRecord(state, { lane: chosen.lane, index });
  const middle = (track.start[index] + track.end[index]) / 2;
  const { from, to } = state.view;
  if (middle < from || middle > to) setView(state, middle - (to - from) / 2, middle + (to - from) / 2);
}

function zoomToChosen(state) {
  if (!state.chosen) return;
  const { lane: { track }, index } = state.chosen;
  const took = track.end[index] - track.start[index];
  setView(state, track.start[index] - took, track.end[index] + took);
}

function timelineKeys(state) {
  const { first, last } = state.line;
  return {
    ArrowLeft: () => panBy(state, -0.15), ArrowRight: () => panBy(state, 0.15),
    ArrowUp: () => zoomBy(state, 0.7), ArrowDown: () => zoomBy(state, 1 / 0.7),
    "+": () => zoomBy(state, 0.7), "=": () => zoomBy(state, 0.7),
    "-": () => zoomBy(state, 1 / 0.7), _: () => zoomBy(state, 1 / 0.7),
    Home: () => setView(state, first, last),
    ",": () => stepRecord(state, -1), ".": () => stepRecord(state, 1),
    Enter: () => zoomToChosen(state), Escape: () => pickRecord(state, null),
  };
}
