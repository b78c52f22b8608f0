import { h } from "./dom.js";
import { t, named } from "./words.js";
import { hovers } from "./hover.js";

// How far the best step time moves while one fact moves between its bounds, widest first.

export function drawTornado(place, plan) {
  const best = (plan.best || [])[0];
  const rows = (plan.sensitivity || []).map((one) => ({ ...one, low_share: one.step_s_low / best.step_s - 1, high_share: one.step_s_high / best.step_s - 1 }));
  if (!best || !rows.length) {
    place.replaceChildren(h("p.quiet", {}, t("no_sensitivity")));
    return;
  }
  rows.sort((a, b) => Math.abs(b.high_share - b.low_share) - Math.abs(a.high_share - a.low_share));
  const most = Math.max(...rows.flatMap((r) => [Math.abs(r.low_share), Math.abs(r.high_share)]), 1e-9);
  const part = (share, paintName) => {
    const wide = (50 * Math.abs(share)) / most;
    return h("i", { style: `${share < 0 ? `right:50%` : `left:50%`};width:${wide.toFixed(2)}%;background:var(--${paintName})` });
  };
  place.replaceChildren(h("div.scroll", {}, h("table", {}, h("tbody", {}, rows.map((r) => hovers(h("tr", {},
    h("td.name", {}, r.fact), h("td.quiet.nowrap", {}, named(r.kind)),
    h("td.diverge", { style: "width:36%" }, part(r.low_share, "vector"), part(r.high_share, "memory")),
    h("td.number", {}, `${signed(r.low_share)} … ${signed(r.high_share)}`)),
  r.fact, [[t("value"), r.value], [t("low"), `${r.low} → ${showTime(r.step_s_low)}`], [t("high"), `${r.high} → ${showTime(r.step_s_high)}`], [t("source"), r.source]]))))),
  h("ul.legend", {}, h("li", {}, h("i", { style: "background:var(--vector)" }), t("at_low")), h("li", {}, h("i", { style: "background:var(--memory)" }), t("at_high"))));
}

export function signed(share) {
  const text = `${share > 0 ? "+" : ""}${(100 * share).toFixed(1)} %`;
  return text.replace("-", "−");
}
