// Drawing of lanes: what is narrower than a pixel is summed up by column, so that the cost of
// a frame does not grow beyond one pass over the visible records.

const GUTTER = 132;
const AXIS = 24;
const LANE = { ops: 44, phase: 18, module: 17, between: 3, tracks: 12 };

// Lanes from top to bottom; the busiest track also gets its phases and modules.
function laneList(line) {
  const lanes = [];
  let top = AXIS;
  const add = (lane, height) => {
    lanes.push({ ...lane, top, height });
    top += height + LANE.between;
  };
  const busiest = line.tracks.reduce((best, t) => (t.num > (best ? best.num : -1) ? t : best), null);
  for (const track of line.tracks) {
    if (track === busiest) {
      add({ kind: "phase", label: "phase", blocks: phaseRuns(track, line.shapes) }, LANE.phase);
      moduleRuns(track, line.shapes).forEach((blocks, depth) =>
        add({ kind: "module", label: depth ? "" : "modules", blocks, depth }, LANE.module));
    }
    add({ kind: "ops", label: track.name, track }, LANE.ops);
    top += LANE.tracks - LANE.between;
  }
  return { lanes, height: Math.max(top, AXIS + 40) };
}

// A canvas in device pixels, scaled so that one unit is one CSS pixel.
function fitCanvas(canvas, height) {
  const ratio = devicePixelRatio || 1;
  const width = canvas.clientWidth || 800;
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
    canvas.style.height = `${height}px`;
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.font = "11.5px system-ui, -apple-system, 'Segoe UI', Roboto, Inter, 'Liberation Sans', sans-serif";
  pen.textBaseline = "middle";
  return { pen, width };
}

const widths = new Map();

// Text in a box, cut to fit; nothing if not even a few letters fit.
function boxText(pen, text, left, top, width, height) {
  if (width < 22) return;
  let full = widths.get(text);
  if (full === undefined) widths.set(text, (full = pen.measureText(text).width));
  const room = width - 8;
  if (full > room) {
    const letters = Math.floor((text.length * room) / full) - 1;
    if (letters < 2) return;
    text = `${text.slice(0, letters)}…`;
  }
  pen.fillText(text, left + 4, top + height / 2 + 0.5);
}

function drawAxis(pen, view, left, width, bottom) {
  const [from, to] = [view.from * 1e-12, view.to * 1e-12];
  const step = roundStep(to - from, width / 110);
  pen.strokeStyle = colour("line");
  pen.fillStyle = colour("quiet");
  pen.beginPath();
  for (let k = Math.ceil(from / step - 1e-9); k * step <= to; k++) {
    const x = Math.round(left + ((k * step - from) / (to - from)) * width) + 0.5;
    pen.moveTo(x, AXIS - 6);
    pen.lineTo(x, bottom);
    const text = showTick(k * step, step);
    if (x + pen.measureText(text).width < left + width + 2) pen.fillText(text, x + 4, 10);
  }
  pen.stroke();
}

// Phase and module blocks.
function drawBlocks(pen, lane, view, left, scale, right) {
  let painted = -1;
  lane.blocks.forEach((block, index) => {
    if (block.end <= view.from || block.start >= view.to) return;
    const x0 = Math.max(left, left + (block.start - view.from) * scale);
    const x1 = Math.min(right, left + (block.end - view.from) * scale);
    const width = x1 - x0;
    if (width < 1 && Math.floor(x0) === painted) return;
    painted = Math.floor(x0);
    const isPhase = lane.kind === "phase";
    pen.fillStyle = colour(isPhase ? block.key : index % 2 ? "lane-b" : "lane-a");
    pen.fillRect(x0, lane.top, Math.max(0.7, width > 4 ? width - 1 : width), lane.height);
    pen.fillStyle = colour(isPhase ? "span-text" : "lane-text");
    boxText(pen, block.text, x0, lane.top, width, lane.height);
  });
}

// Ops: wide ones as boxes with their launch in front, narrow ones as stacked columns.
function drawOps(pen, lane, view, left, scale, right, look) {
  const { track, top, height } = lane;
  const { shapes, byPhase, matches } = look;
  const names = byPhase ? PHASES : PARTS;
  const paints = names.map((name) => colour(name));
  const launchPaint = byPhase ? null : colour("launch");
  const columns = Math.ceil(right - left) + 1;
  const sums = new Float32Array(columns * names.length);
  pen.fillStyle = colour("soft");
  pen.fillRect(left, top, right - left, height);
  for (let i = firstAfter(track.end, track.num, view.from); i < track.num && track.start[i] < view.to; i++) {
    const kind = track.shape[i];
    const s = shapes[kind];
    if (s.idle) continue;
    const x0 = left + (track.start[i] - view.from) * scale;
    const x1 = left + (track.end[i] - view.from) * scale;
    const dim = matches && !matches[kind];
    if (x1 - x0 < 1.5) {
      const column = Math.min(columns - 1, Math.max(0, Math.floor(x0 - left)));
      if (!dim) {
        const lead = byPhase ? 0 : s.launch * scale;
        sums[column * names.length + (byPhase ? s.turn : s.part)] += x1 - x0 - lead;
        if (lead) sums[column * names.length + PARTS.indexOf("launch")] += lead;
      }
      continue;
    }
    drawOp(pen, s, Math.max(left, x0), Math.min(right, x1), x0 + s.launch * scale, top, height,
      paints[byPhase ? s.turn : s.part], launchPaint, dim);
  }
  drawColumns(pen, sums, paints, left, top, height);
}

function drawOp(pen, s, x0, x1, busy, top, height, paint, launchPaint, dim) {
  pen.globalAlpha = dim ? 0.14 : 1;
  const edge = x1 - x0 > 5 ? 1 : 0;
  if (launchPaint && busy > x0) {
    pen.fillStyle = launchPaint;
    pen.fillRect(x0, top, Math.min(busy, x1) - x0, height);
    x0 = Math.min(busy, x1);
  }
  pen.fillStyle = paint;
  pen.fillRect(x0, top, Math.max(0.5, x1 - x0 - edge), height);
  if (!dim) {
    pen.fillStyle = colour("span-text");
    boxText(pen, s.name, x0, top, x1 - x0, height);
  }
  pen.globalAlpha = 1;
}

// Stacked from the bottom; a column's height is the share of the pixel that is filled.
function drawColumns(pen, sums, paints, left, top, height) {
  const num = paints.length;
  const filled = new Float32Array(sums.length / num);
  for (let part = 0; part < num; part++) {
    pen.fillStyle = paints[part];
    for (let column = 0; column < filled.length; column++) {
      const share = Math.min(sums[column * num + part], 1 - filled[column]);
      if (share <= 0.004) continue;
      const y = top + height * (1 - filled[column] - share);
      pen.fillRect(left + column, y, 1, share * height + 0.3);
      filled[column] += share;
    }
  }
}

// The op that was picked, if one was and any of it is in view.
function outlineOp(pen, picked, view, left, scale) {
  if (!picked) return;
  const { lane, index } = picked;
  const x0 = Math.max(left, left + (lane.track.start[index] - view.from) * scale);
  const x1 = left + (lane.track.end[index] - view.from) * scale;
  if (x1 < left) return;
  pen.strokeStyle = colour("text");
  pen.lineWidth = 2;
  pen.strokeRect(x0, lane.top - 1, Math.max(2, x1 - x0), lane.height + 2);
  pen.lineWidth = 1;
}
