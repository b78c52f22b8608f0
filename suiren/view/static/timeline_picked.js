import { h } from "./dom.js";
import { t, named } from "./words.js";

// What is told of a record: its op, shapes, module, time, what bounds it.

export function describeRecord(state, { lane: { track }, index }) {
  const shape = state.line.shapes[track.shape[index]];
  const [start, end] = [track.start[index], track.end[index]];
  const rows = [
    [t("shapes"), shape.text && shape.text !== shape.op ? shape.text.replace(shape.op, "") : ""],
    [t("module"), shape.path], [t("phase"), shape.phase ? named(shape.phase) : ""],
    [t("time"), showTime((end - start - shape.launch) * 1e-12)],
    [t("launch"), shape.launch ? showTime(shape.launch * 1e-12) : ""],
    [t("bound_by"), shape.why ? named(shape.why) : ""],
    [t("of_roofline"), shape.roofline && shape.busy ? showPercent(Math.min(1, shape.roofline / shape.busy)) : ""],
    [t("starts_at"), showTime(start * 1e-12)],
  ];
  return { title: shape.op, rows, shape };
}

export function pickedPanel(state) {
  const { picked, chosen } = state;
  if (!chosen) {
    picked.replaceChildren(h("span.quiet", {}, t("timeline_help")));
    return;
  }
  const { title, rows, shape } = describeRecord(state, chosen);
  const alike = countAlike(state, shape);
  rows.push([t("alike"), t("alike_value", { n: alike.count.toLocaleString("en-US"), time: showTime(alike.ps * 1e-12) })]);
  const list = h("dl.facts");
  for (const [term, text] of rows) if (text) list.append(h("div", {}, h("dt", {}, term), h("dd", {}, text)));
  picked.replaceChildren(h("b", {}, title), list);
}

function countAlike(state, shape) {
  let [count, ps] = [0, 0];
  for (const track of state.line.tracks) {
    for (let i = 0; i < track.num; i++) {
      const other = state.line.shapes[track.shape[i]];
      if (!other.idle && other.text === shape.text && other.op === shape.op) {
        count += 1;
        ps += other.launch + other.busy;
      }
    }
  }
  return { count, ps };
}
