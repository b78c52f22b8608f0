// The timeline's columns become typed arrays; runs of one phase or module become blocks.

const PARTS = ["matrix", "vector", "memory", "l2", "launch", "collective", "link", "peer", "host work", "idle"];
const PHASES = ["forward", "backward", "optimizer", "data", "recompute"];
const MAX_DEPTH = 4;

function readTimeline(data) {
  const shapes = data.shapes.map(([call, context, why, launch, busy]) => {
    const [op, text, roofline] = call < 0 ? ["idle", "", 0] : data.calls[call];
    const [phase, path] = data.contexts[context];
    const name = op.replace(/^.*::/, "").replace(/\..*$/, "");
    return {
      idle: call < 0, op, name, text, roofline, phase, path, why, launch, busy,
      part: Math.max(0, PARTS.indexOf(call < 0 ? "idle" : why)),
      turn: Math.max(0, PHASES.indexOf(phase)),
      seen: `${op} ${text} ${path}`.toLowerCase(),
    };
  });
  const tracks = data.tracks.map((track) => readTrack(track, shapes));
  const first = Math.min(0, ...tracks.map((t) => (t.num ? t.start[0] : 0)));
  const last = Math.max(data.period_ps, 1, ...tracks.map((t) => (t.num ? t.end[t.num - 1] : 0)));
  return { tracks, shapes, first, last, period: data.period_ps };
}

// Start and end of every record in picoseconds, and the shape it has.
function readTrack(track, shapes) {
  const num = track.shapes.length;
  const start = new Float64Array(num);
  const end = new Float64Array(num);
  let now = 0;
  for (let i = 0; i < num; i++) {
    const { launch, busy } = shapes[track.shapes[i]];
    start[i] = now + track.gaps_ps[i];
    now = end[i] = start[i] + launch + busy;
  }
  return { name: track.name, num, start, end, shape: Int32Array.from(track.shapes) };
}

// `a.blocks.3.mlp` in levels: a, blocks.3, mlp.
function levelsOf(path) {
  const levels = [];
  for (const part of path === "" ? [] : path.split(".")) {
    if (/^\d+$/.test(part) && levels.length) levels[levels.length - 1] += `.${part}`;
    else levels.push(part);
  }
  return levels;
}

// Blocks of neighbouring records that agree on `key`; null keys make gaps.
function runs(track, keyOf, textOf) {
  const blocks = [];
  let open = null;
  for (let i = 0; i < track.num; i++) {
    const key = keyOf[track.shape[i]];
    if (key === "") continue; // a wait belongs to what surrounds it
    if (open && open.key === key) {
      open.end = track.end[i];
    } else {
      open = key === null ? null : { key, text: textOf[track.shape[i]], start: track.start[i], end: track.end[i] };
      if (open) blocks.push(open);
    }
  }
  return blocks;
}

function phaseRuns(track, shapes) {
  const keys = shapes.map((s) => (s.idle ? "" : s.phase));
  return runs(track, keys, keys);
}

// One list of blocks for each depth of the module tree that the track reaches.
function moduleRuns(track, shapes) {
  const levels = shapes.map((s) => levelsOf(s.path));
  const rows = [];
  for (let depth = 0; depth < MAX_DEPTH; depth++) {
    const keys = shapes.map((s, k) =>
      s.idle ? "" : depth < levels[k].length ? `${s.phase} ${levels[k].slice(0, depth + 1).join(".")}` : null);
    const blocks = runs(track, keys, shapes.map((s, k) => levels[k][depth] || ""));
    if (!blocks.length) break;
    rows.push(blocks);
  }
  return rows;
}

// Index of the first of `num` entries whose `ends` lies after `at`.
function firstAfter(ends, num, at) {
  let low = 0;
  let high = num;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ends[middle] > at) high = middle;
    else low = middle + 1;
  }
  return low;
}
