import { h, card } from "./dom.js";
import { t } from "./words.js";
import { tile } from "./bars.js";
import { sortable } from "./table.js";
import { showAs, unitOf } from "./show.js";

// Any document: figures as tiles, lists of alike rows as tables, what is inside one below.

const MOST_DEEP = 3;
const MOST_TEXT = 240;

export function drawGeneric(main, told, title = "", depth = 0) {
  const entries = Object.entries(told);
  const numbers = entries.filter(([, v]) => typeof v === "number");
  const texts = entries.filter(([name, v]) => (typeof v === "string" || typeof v === "boolean") && !["kind", "suiren"].includes(name));
  if (numbers.length && depth === 0) main.append(h("div.tiles", {}, numbers.slice(0, 12).map(([name, v]) => tile(words(name), showAs(unitOf(name), v)))));
  const small = [...(depth ? numbers : numbers.slice(12)), ...texts];
  if (small.length) main.append(card(title, pairs(small)));
  for (const [name, value] of entries) {
    if (Array.isArray(value) && isRich(value) && depth < MOST_DEEP) value.forEach((row) => drawRich(main, row, words(name), depth));
    else if (Array.isArray(value) && value.length) main.append(card(words(name), listOf(value)));
    else if (value && typeof value === "object" && !Array.isArray(value) && Object.keys(value).length) {
      if (depth < MOST_DEEP) drawInside(main, value, words(name), depth + 1);
    }
  }
}

// A few rows that hold tables of their own: each is drawn like a document.
function isRich(list) {
  const nested = (row) => row && typeof row === "object" && Object.values(row).some((v) => v && typeof v === "object" && (Array.isArray(v) ? v.length && typeof v[0] === "object" : true));
  return list.length > 0 && list.length <= 4 && list.every(nested);
}

function drawRich(main, row, title, depth) {
  main.append(h("h2", { style: "margin:22px 0 10px" }, String(row.title || row.name || title)));
  drawGeneric(main, row, "", depth + 1);
}

function drawInside(main, value, title, depth) {
  const flat = Object.values(value).every((v) => v === null || typeof v !== "object");
  if (flat) main.append(card(title, pairs(Object.entries(value))));
  else drawGeneric(main, value, title, depth);
}

function words(name) {
  return name.replace(/_(bytes_per_s|per_s|bytes|flop|share|s|j|w)$/, "").replaceAll("_", " ");
}

function pairs(entries) {
  return h("dl.pairs", {}, entries.map(([name, value]) => h("div", {}, h("dt", {}, words(name)), h("dd", {}, cut(showAs(unitOf(name), value))))));
}

function cut(text) {
  return text.length > MOST_TEXT ? `${text.slice(0, MOST_TEXT)}…` : text;
}

function listOf(list) {
  if (!list.every((row) => row && typeof row === "object" && !Array.isArray(row))) {
    return h("ul", { style: "margin:0;padding-left:18px" }, list.slice(0, 200).map((one) => h("li", {}, textOf(one))));
  }
  const names = [...new Set(list.flatMap((row) => Object.keys(row)))].slice(0, 12);
  const isNumber = (name) => list.every((row) => row[name] === null || row[name] === undefined || typeof row[name] === "number");
  return sortable(names.map((name) => ({
    name: words(name), text: !isNumber(name), css: isNumber(name) ? "number" : "", value: (row) => (isNumber(name) ? row[name] : textOf(row[name])),
    show: (row) => (isNumber(name) ? showAs(unitOf(name), row[name]) : textOf(row[name])),
  })), list, { sort: -1 });
}

function textOf(value) {
  if (value === null || value === undefined) return "–";
  if (typeof value !== "object") return String(value);
  return Array.isArray(value) ? value.map(textOf).join(", ") : Object.entries(value).map(([name, one]) => `${words(name)} ${textOf(one)}`).join(", ") || t("nothing");
}
