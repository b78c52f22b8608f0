import { h, head, card, choice } from "./dom.js";
import { t, named } from "./words.js";
import { sortable } from "./table.js";
import { showAs, showWhen } from "./show.js";

// The list of what there is; two of it can be chosen for a comparison.

const keptRuns = { kind: "", picked: [] };

export function drawRunsView(main, app, open, compare) {
  const kinds = [...new Set(app.rows.map((row) => row.kind))];
  if (keptRuns.kind && !kinds.includes(keptRuns.kind)) keptRuns.kind = "";
  const box = h("input", { type: "search", id: "search", placeholder: t("search_runs"), "aria-label": t("search_runs") });
  const button = h("button.plain-button.main", { type: "button", id: "compare-two", onclick: () => compare(keptRuns.picked) }, t("compare_two"));
  const place = h("div", { id: "records" });
  const label = () => { button.disabled = keptRuns.picked.length !== 2; };
  const draw = () => {
    const rows = app.rows.filter((row) => !keptRuns.kind || row.kind === keptRuns.kind);
    place.replaceChildren(sortable(columnsOf(label), rows, { sort: 5, filter: box.value, onrow: (row) => open(row), tall: false }));
    label();
  };
  if (!app.rows.length) {
    main.append(h("div.empty", {}, h("h1", {}, t("no_runs")), h("p", {}, t("no_runs_lead")), h("pre", {}, "suiren run examples/char_gpt.py --on t21\nsuiren view")));
    return {};
  }
  main.append(head(t("runs"), t("runs_lead"), box, button),
    kinds.length > 1 ? h("div", { style: "margin-bottom:14px" }, choice(t("kind"), [["", t("all_kinds", { n: app.rows.length })], ...kinds.map((kind) => [kind, `${named(kind)} ${app.rows.filter((r) => r.kind === kind).length}`])], keptRuns.kind, (kind) => { keptRuns.kind = kind; draw(); })) : "",
    card("", place));
  box.addEventListener("input", draw);
  draw();
  return {};
}

function columnsOf(label) {
  return [
    { name: "", value: () => 0, show: (row) => pickBox(row, label) },
    { name: "id", text: true, css: "quiet nowrap", value: (row) => row.id },
    { name: t("kind"), text: true, value: (row) => named(row.kind), show: (row) => h("span.pill", {}, named(row.kind)) },
    { name: t("title"), text: true, value: (row) => `${row.title} ${(row.tags || []).join(" ")}`, show: (row) => h("span", {}, h("b", { style: "font-weight:600" }, row.title), (row.tags || []).map((tag) => h("span.pill", { style: "margin-left:6px" }, tag))) },
    { name: t("card"), text: true, value: (row) => row.card },
    { name: t("made"), text: true, css: "nowrap quiet", value: (row) => row.made_at, show: (row) => showWhen(row.made_at) },
    { name: t("step_time"), value: (row) => row.step_s, show: (row) => showAs("s", row.step_s) },
    { name: t("peak_memory"), value: (row) => row.memory_bytes, show: (row) => showAs("bytes", row.memory_bytes) },
  ];
}

function pickBox(row, label) {
  return h("input", {
    type: "checkbox", "aria-label": t("pick", { title: row.title }), checked: keptRuns.picked.includes(row.id),
    onclick: (event) => event.stopPropagation(),
    onchange: (event) => {
      keptRuns.picked = keptRuns.picked.filter((id) => id !== row.id);
      if (event.target.checked) keptRuns.picked = [...keptRuns.picked, row.id].slice(-2);
      for (const other of document.querySelectorAll("#records input[type=checkbox]")) other.checked = keptRuns.picked.includes(other.dataset.id);
      label();
    },
    "data-id": row.id,
  });
}
