import { t } from "./words.js";

// Numbers with units, beside those of the report's page (showTime, showBytes, showRate).

export function showEnergy(joules) {
  for (const [size, unit] of [[3.6e6, "kWh"], [1e3, "kJ"], [1, "J"], [1e-3, "mJ"]]) {
    if (Math.abs(joules) >= size) return `${fewer(joules / size)} ${unit}`;
  }
  return `${fewer(joules * 1e6)} µJ`;
}

export function fewer(value) {
  return Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en-US") : String(Number(value.toPrecision(3)));
}

export function showCount(value) {
  return Number(value).toLocaleString("en-US", { maximumFractionDigits: 1 });
}

export function showLong(seconds) {
  if (seconds >= 172800) return t("days", { n: fewer(seconds / 86400) });
  return seconds >= 7200 ? `${fewer(seconds / 3600)} h` : seconds >= 120 ? `${fewer(seconds / 60)} min` : showTime(seconds);
}

// A value by what the end of its name says it is.
export function showAs(unit, value) {
  if (value === null || value === undefined) return "–";
  if (typeof value !== "number") return String(value);
  const ways = {
    s: showTime, bytes: showBytes, j: showEnergy, w: (v) => (v >= 1e4 ? showRate(v, "W") : `${fewer(v)} W`), share: showPercent,
    flop: (v) => showRate(v, "FLOP"), per_s: (v) => showRate(v, "/s"), bytes_per_s: (v) => showRate(v, "B/s"),
    flop_per_s: (v) => showRate(v, "FLOP/s"), count: showCount, cost: (v) => (v < 100 ? fewer(v) : showCount(v)), percent: (v) => `${fewer(v)} %`,
  };
  return (ways[unit] || showCount)(value);
}

// The unit that the end of a field's name tells.
export function unitOf(name) {
  const ends = ["bytes_per_s", "flop_per_s", "per_s", "bytes", "flop", "share", "percent", "hz", "s", "j", "w"];
  const found = ends.find((end) => name === end || name.endsWith(`_${end}`));
  return found || (/^(mfu|hfu)$/.test(name) ? "share" : "count");
}

// When something was made, in the reader's clock.
export function showWhen(text) {
  const when = new Date(text);
  if (Number.isNaN(when.getTime())) return text || "";
  const two = (n) => String(n).padStart(2, "0");
  return `${when.getFullYear()}-${two(when.getMonth() + 1)}-${two(when.getDate())} ${two(when.getHours())}:${two(when.getMinutes())}`;
}

// A step of an axis of bytes: a power of two, so that ticks are whole KiB, MiB, GiB.
export function binaryStep(range, count) {
  return 2 ** Math.max(0, Math.ceil(Math.log2(range / count)));
}

export function showTickBytes(bytes) {
  return showBytes(bytes).replace(".00 ", " ");
}

// What a record is called in a list to choose from.
export function labelOf(row) {
  const card = row.card && !row.title.includes(row.card) ? ` · ${row.card}` : "";
  return `${row.id} · ${row.title}${card}`;
}
