import { h } from "./dom.js";
import { t, named } from "./words.js";
import { fewer } from "./show.js";

// Below every view: that numbers are simulated, and the facts nobody published they rest on.

export function drawDoubts(item) {
  const place = document.getElementById("doubts");
  if (!item) {
    place.replaceChildren(h("details", {}, h("summary", {}, h("b", {}, t("simulated")), " ", t("simulated_all"))));
    return;
  }
  const doubts = item.doubts;
  const lead = item.kind === "validation" ? t("simulated_validation") : t("simulated_lead");
  const rests = doubts.length ? t("rests_on", { n: doubts.length }) : t("rests_on_none");
  place.replaceChildren(h("details", {}, h("summary", {}, h("b", {}, t("simulated")), ` ${lead} `, h("b", {}, rests), doubts.length ? ` ${nearest(doubts)}` : ""),
    doubts.length ? h("div.scroll", {}, h("table", {}, h("thead", {}, h("tr", {}, h("th", {}, t("fact")), h("th.number", {}, t("value")), h("th", {}, t("kind")), h("th.number", {}, t("effect")), h("th", {}, t("source")))),
      h("tbody", {}, doubts.map(doubtRow)))) : null));
}

// The two that move the answer most, where it is told how far each does.
function nearest(doubts) {
  const order = doubts.filter((d) => d.name && d.effect_percent).sort((a, b) => Math.abs(b.effect_percent) - Math.abs(a.effect_percent)).slice(0, 2);
  return order.length ? t("above_all", { names: order.map((d) => d.name).join(", ") }) : "";
}

function doubtRow(doubt) {
  const effect = doubt.effect_percent;
  const shown = effect === null ? "" : Math.abs(effect) < 0.005 ? t("energy_only") : `${effect > 0 ? "+" : "−"}${Math.abs(effect).toFixed(2)} %`;
  return h("tr", {}, h("td", {}, h("code", {}, doubt.name)), h("td.number", {}, typeof doubt.value === "number" ? fewer(doubt.value) : doubt.value ?? ""), h("td", {}, named(doubt.kind)), h("td.number", {}, shown), h("td.source", {}, doubt.source));
}
