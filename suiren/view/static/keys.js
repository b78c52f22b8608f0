import { h } from "./dom.js";
import { t } from "./words.js";

// Keys that work everywhere, and the box that tells of them. A view's own keys come first.

export function startKeys(app, views, open) {
  const help = document.getElementById("help");
  const toggle = () => {
    if (help.open) help.close();
    else {
      help.replaceChildren(...helpText(views));
      help.showModal();
    }
  };
  document.getElementById("help-button").addEventListener("click", toggle);
  help.addEventListener("click", (event) => { if (event.target === help) help.close(); });
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.target instanceof Element ? event.target : document.body;
    if (target.closest("input:not([type=checkbox]), select, textarea")) {
      if (event.key === "Escape") target.blur();
      return;
    }
    const act = actOf(event.key, target, app, views, open, toggle);
    if (!act) return;
    event.preventDefault();
    act();
  });
}

function actOf(key, target, app, views, open, toggle) {
  if (key === "?") return toggle;
  const view = views.find((one) => one.digit === key);
  if (view) return () => open(view.name);
  if (key === "/") {
    const box = document.getElementById("search");
    return box && !box.hidden ? () => box.focus() : null;
  }
  if (key === "[" || key === "]") return () => app.neighbour(key === "]" ? 1 : -1);
  const own = app.keys && app.keys[key];
  if (own && key === "Enter" && target.closest("a, button, [tabindex]:not(canvas):not(main)")) return null;
  return own || null;
}

function helpText(views) {
  const row = (keys, text) => h("tr", {}, h("td.nowrap", {}, keys.flatMap((key) => [h("kbd", {}, key), " "])), h("td", {}, text));
  return [h("h2", {}, t("help")), h("table", {}, h("tbody", {},
    views.map((view) => row([view.digit], t(view.name))),
    row(["[", "]"], t("help_records")), row(["/"], t("help_search")),
    row(["←", "→"], t("help_pan")), row(["+", "−", "↑", "↓"], t("help_zoom")), row(["Home"], t("help_whole")),
    row([",", "."], t("help_step")), row(["Enter", "Esc"], t("help_enter")), row(["?"], t("help"))))];
}
