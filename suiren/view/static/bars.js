import { h } from "./dom.js";
import { named } from "./words.js";
import { paint } from "./look.js";
import { hovers } from "./hover.js";

// Stacked bars with their legend, and figures in large type.

// `parts` are [name, amount]; what is nothing is left out. `show` makes a text of an amount.
export function stackedBar(parts, show, { whole = null, thin = false, legend = true } = {}) {
  const kept = parts.filter(([, amount]) => amount > 0);
  const sum = kept.reduce((all, [, amount]) => all + amount, 0);
  const full = Math.max(whole || 0, sum) || 1;
  const bar = h(thin ? "div.stack.thin" : "div.stack", {
    role: "img", "aria-label": kept.map(([name, amount]) => `${named(name)} ${showPercent(amount / full)}`).join(", "),
  });
  for (const [name, amount] of kept) {
    const share = amount / full;
    const part = h("i", { style: `width:${(100 * share).toFixed(3)}%;background:${paint(name)};${["idle", "bubble"].includes(name) ? "color:var(--quiet)" : ""}` }, share > 0.09 && !thin ? showPercent(share) : "");
    bar.append(hovers(part, named(name), [[show(amount), showPercent(share)]]));
  }
  if (!legend) return [bar];
  const list = h("ul.legend");
  for (const [name, amount] of kept) {
    list.append(h("li", {}, h("i", { style: `background:${paint(name)}` }), named(name), " ", h("b", {}, showPercent(amount / full)), " ", h("small", {}, show(amount))));
  }
  return [bar, list];
}

// `value` is "12.3 ms": the unit is set smaller than the number.
export function tile(label, value, note = "", gauge = null) {
  const [number, ...unit] = String(value).split(" ");
  return h("div.tile", {}, h("span", {}, label),
    h("strong", {}, number, unit.length ? h("em", {}, ` ${unit.join(" ")}`) : null),
    gauge === null ? null : h(gauge > 1 ? "div.gauge.over" : "div.gauge", {}, h("i", { style: `width:${(100 * Math.min(1, gauge)).toFixed(2)}%` })),
    note ? h("small", {}, note) : null);
}

export function legendOf(names) {
  return h("ul.legend", {}, names.map((name) => h("li", {}, h("i", { style: `background:${paint(name)}` }), named(name))));
}
