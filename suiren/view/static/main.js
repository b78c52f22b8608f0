import { h } from "./dom.js";
import { t, startLanguage } from "./words.js";
import { startTheme, labelTheme } from "./look.js";
import { fetched } from "./data.js";
import { hideHover } from "./hover.js";
import { labelOf } from "./show.js";
import { startKeys } from "./keys.js";
import { drawDoubts } from "./doubts.js";
import { drawOverviewView } from "./overview.js";
import { drawRunsView } from "./runs.js";
import { drawTimelineView } from "./timeline.js";
import { drawRooflineView } from "./roofline.js";
import { drawMemoryView } from "./memory.js";
import { drawTablesView } from "./tables.js";
import { drawTopologyView } from "./topology.js";
import { drawPlansView } from "./plans.js";
import { drawValidationView } from "./validation.js";
import { drawCompareView } from "./compare.js";

// The page: which view of which record, said by the address after `#`: #/timeline/r12.

const STEP_KINDS = ["run", "ranks"];
// `needs` names the part of a step that a view draws; `example` makes such a record.
const VIEWS = [
  { name: "overview", digit: "0", draw: drawOverviewView },
  { name: "runs", digit: "1" },
  { name: "timeline", digit: "2", kinds: [...STEP_KINDS, "trace"], needs: "timeline", draw: drawTimelineView, example: "suiren run train.py --on t21" },
  { name: "roofline", digit: "3", kinds: STEP_KINDS, needs: "roofline", draw: drawRooflineView, example: "suiren run train.py --on t21" },
  { name: "memory", digit: "4", kinds: STEP_KINDS, needs: "memory", draw: drawMemoryView, example: "suiren run train.py --on t21" },
  { name: "tables", digit: "5", kinds: STEP_KINDS, needs: "tables", draw: drawTablesView, example: "suiren run train.py --on t21" },
  { name: "topology", digit: "6", kinds: ["topology"], draw: drawTopologyView, example: "suiren topology t21x8" },
  { name: "plans", digit: "7", kinds: ["plan"], draw: drawPlansView, example: "suiren plan llama3-8b --on t20x8 --global-batch 64" },
  { name: "validation", digit: "8", kinds: ["validation"], draw: drawValidationView, example: "suiren validate data/measured/train_megatron_lm.csv.gz" },
  { name: "compare", digit: "9" },
];
// The view a record opens with.
const FIRST_VIEW = { run: "timeline", ranks: "timeline", trace: "timeline", topology: "topology", plan: "plans", validation: "validation" };
const app = { rows: [], view: "runs", id: "", ids: [], keys: null, neighbour };

function viewNamed(name) {
  return VIEWS.find((view) => view.name === name) || VIEWS[1];
}

function readAddress() {
  const [name, ...ids] = location.hash.replace(/^#\//, "").split("/").map(decodeURIComponent).filter(Boolean);
  app.view = viewNamed(name).name;
  app.ids = ids;
  if (app.view !== "compare" && ids.length && app.rows.some((row) => row.id === ids[0])) [app.id] = ids;
}

function go(view, ...ids) {
  const address = `#/${[view, ...ids].map(encodeURIComponent).join("/")}`;
  if (location.hash === address) show();
  else location.hash = address;
}

// The record that a view shows: the one in use if it suits, else the newest that does.
function suited(view, id = app.id) {
  const fits = (row) => !view.kinds || view.kinds.includes(row.kind);
  const now = app.rows.find((row) => row.id === id);
  return now && fits(now) ? now : app.rows.find(fits);
}

function open(name) {
  const view = viewNamed(name);
  const row = view.draw ? suited(view) : null;
  go(name, ...(row ? [row.id] : []));
}

function neighbour(by) {
  const view = viewNamed(app.view);
  const rows = app.rows.filter((row) => !view.kinds || view.kinds.includes(row.kind));
  const index = rows.findIndex((row) => row.id === app.id);
  if (view.draw && rows.length) go(app.view, rows[(index + by + rows.length) % rows.length].id);
}

let turn = 0;

// Draws the view anew. What is drawn late, because another was opened meanwhile, is dropped.
async function show() {
  const mine = ++turn;
  const main = document.getElementById("view");
  hideHover();
  readAddress();
  drawFrame();
  main.classList.add("busy");
  const stage = h("main.wide", { id: "view", tabindex: -1 });
  const isCurrent = () => mine === turn;
  main.replaceWith(stage);
  let item = null;
  app.keys = null;
  try {
    item = await drawView(stage, isCurrent);
  } catch (problem) {
    if (isCurrent()) stage.replaceChildren(h("div.empty", {}, h("h1", {}, t("cannot_show")), h("p", {}, problem.message)));
  }
  if (!isCurrent()) return;
  drawDoubts(item);
  document.documentElement.dataset.ready = app.view;
}

async function drawView(stage, isCurrent) {
  const view = viewNamed(app.view);
  if (view.name === "runs") {
    drawRunsView(stage, app, (row) => go(FIRST_VIEW[row.kind] || "overview", row.id), (ids) => go("compare", ...ids));
    return null;
  }
  if (view.name === "compare") {
    const [, after] = await drawCompareView(stage, app, app.ids, (ids) => go("compare", ...ids));
    return after ? fetched(`item/${after}`).catch(() => null) : null;
  }
  const row = suited(view);
  if (!row) {
    stage.append(h("div.empty", {}, h("h1", {}, t(view.name)), h("p", {}, t("nothing_yet")), h("pre", {}, view.example || "suiren run train.py")));
    return null;
  }
  app.id = row.id;
  drawFrame();
  const item = await fetched(`item/${row.id}`);
  if (!isCurrent()) return item;
  for (const note of item.notes) if (view.needs) stage.append(h("p.notice", {}, t(note)));
  if (view.needs && !(item.step && item.step[view.needs])) stage.append(h("div.empty", {}, h("h1", {}, t(view.name)), h("p", {}, t("needs_trace"))));
  else app.keys = view.draw(stage, item).keys;
  return item;
}

function drawFrame() {
  const nav = document.getElementById("views");
  nav.setAttribute("aria-label", t("views"));
  nav.replaceChildren(...VIEWS.map((view) => {
    const row = view.draw ? suited(view) : null;
    return h("a", { href: `#/${view.name}${row ? `/${row.id}` : ""}`, "data-view": view.name, "aria-current": view.name === app.view ? "page" : null }, h("sup", {}, view.digit), t(view.name));
  }));
  const current = nav.querySelector("[aria-current]");
  if (current && nav.scrollWidth > nav.clientWidth) nav.scrollLeft = current.offsetLeft - 60;
  labelTheme();
  drawChooser();
  document.title = `${t(app.view)} · Suiren`;
}

function drawChooser() {
  const chooser = document.getElementById("chooser");
  const view = viewNamed(app.view);
  const rows = view.draw ? app.rows.filter((row) => !view.kinds || view.kinds.includes(row.kind)) : [];
  chooser.hidden = !rows.length;
  chooser.setAttribute("aria-label", t("record"));
  chooser.replaceChildren(...rows.map((row) => h("option", { value: row.id, selected: row.id === app.id }, labelOf(row))));
}

async function start() {
  startLanguage(show);
  startTheme(show);
  startKeys(app, VIEWS, open);
  document.getElementById("chooser").addEventListener("change", (event) => go(app.view, event.target.value));
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    show();
  });
  drawFrame();
  try {
    const { rows, named: ids } = await fetched("list");
    app.rows = rows;
    addEventListener("hashchange", show); // no view can be drawn before its records are known
    const first = rows.find((row) => row.id === ids[0]);
    if (first) app.id = first.id;
    if (!location.hash && ids.length === 2) return go("compare", ...ids);
    if (!location.hash && first) return go(FIRST_VIEW[first.kind] || "overview", first.id);
  } catch (problem) {
    document.getElementById("view").replaceChildren(h("p.notice", {}, problem.message));
    return undefined;
  }
  return show();
}

start();
