// What moves the view onto a timeline, and what stands out in it. A redraw follows.

export function setView(state, from, to) {
  const { first, last } = state.line;
  const whole = last - first;
  const span = Math.min(whole, Math.max(to - from, Math.min(whole, 2000)));
  const start = Math.min(Math.max(from, first), last - span);
  state.view.from = start;
  state.view.to = start + span;
  state.draw();
}

// Zooms by `factor` (below one zooms in) around the time at pixel `x`, or the middle.
export function zoomBy(state, factor, x = null) {
  const { from, to } = state.view;
  const share = x === null ? 0.5 : Math.min(1, Math.max(0, (x - GUTTER) / (state.canvas.clientWidth - GUTTER)));
  const at = from + share * (to - from);
  setView(state, at - (at - from) * factor, at + (to - at) * factor);
}

// Dims all records but those whose op, shapes or module contain the text.
export function spotText(state, text) {
  const wanted = text.trim().toLowerCase();
  state.look.matches = wanted ? Uint8Array.from(state.line.shapes, (shape) => (shape.seen.includes(wanted) ? 1 : 0)) : null;
  state.strip = null;
  state.draw();
}

export function panBy(state, share) {
  const by = share * (state.view.to - state.view.from);
  setView(state, state.view.from + by, state.view.to + by);
}

// Selects a record: all others of the same call stay bright, the rest is dimmed.
export function choose(state, chosen) {
  state.chosen = chosen;
  const { shapes } = state.line;
  const text = chosen && shapes[chosen.lane.track.shape[chosen.index]].text;
  state.look.matches = chosen && text ? Uint8Array.from(shapes, (shape) => (shape.text === text ? 1 : 0)) : null;
  state.strip = null;
  state.draw();
}

// The record of a lane at a time, or null.
export function recordAt(state, x, y) {
  const lane = state.lanes.find((one) => y >= one.top && y <= one.top + one.height);
  if (!lane || x < GUTTER || !state.scale) return null;
  const at = state.view.from + (x - GUTTER) / state.scale;
  if (lane.kind !== "ops") {
    const block = lane.blocks.find((one) => one.start <= at && one.end > at);
    return block ? { lane, block } : null;
  }
  const { track } = lane;
  const slack = 1.5 / state.scale;
  const index = firstAfter(track.end, track.num, at - slack);
  const fits = index < track.num && track.start[index] <= at + slack && !state.line.shapes[track.shape[index]].idle;
  return fits ? { lane, index } : null;
}
