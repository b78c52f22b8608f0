import { h, s, head, card } from "./dom.js";
import { t, named } from "./words.js";
import { paint } from "./look.js";
import { hovers } from "./hover.js";
import { sortable } from "./table.js";
import { tile } from "./bars.js";

// A node's cards and links; a collective's load colours the links.

const keptLoad = { op: "" };

export function drawTopologyView(main, item) {
  const { document: told, graph } = item;
  const place = h("div", { id: "graph" });
  const note = h("p.quiet", { style: "margin-top:10px" });
  const loads = graph ? graph.loads : [];
  if (keptLoad.op && !loads.some((one) => one.op === keptLoad.op)) keptLoad.op = "";
  const legend = graph ? mediaLegend(graph) : h("span");
  const draw = () => {
    const load = loads.find((one) => one.op === keptLoad.op);
    drawGraph(place, note, graph, load);
    legend.hidden = Boolean(load);
  };
  const select = loads.length ? h("select", { id: "load", "aria-label": t("link_load"), onchange: (event) => { keptLoad.op = event.target.value; draw(); } },
    h("option", { value: "" }, t("no_load")), loads.map((one) => h("option", { value: one.op, selected: one.op === keptLoad.op }, `${one.op} ${showBytes(graph.size_bytes)}`))) : null;
  main.append(head(told.title || told.name, `${told.card}. ${told.wiring}.`, select), topologyTiles(told),
    card("", graph ? place : h("p.quiet", {}, t("no_graph")), legend, note),
    card(t("links"), linksTable(told.links || [])));
  if (graph) draw();
  return {};
}

function topologyTiles(told) {
  const gb = (rate) => showRate(rate, "B/s");
  return h("div.tiles", {},
    tile(t("cards"), Number(told.num_cards).toLocaleString("en-US"), t("nodes_of", { nodes: told.num_nodes, cards: told.cards_per_node })),
    told.bisection_bytes_per_s ? tile(t("bisection"), gb(told.bisection_bytes_per_s), t("one_way")) : null,
    told.nics ? tile("NIC", `${told.nics} × ${gb(told.nic_bytes_per_s)}`, t("per_node")) : null,
    told.all_reduce_s ? tile(`all_reduce ${showBytes(told.all_reduce_bytes)}`, showTime(told.all_reduce_s), told.all_reduce_how) : null);
}

function media(graph) {
  return [...new Set(graph.wires.map((wire) => wire.medium))];
}

function mediumPaint(graph, medium) {
  return /^(PCIe|CPU|NIC)/.test(medium) ? "launch" : `s${media(graph).filter((one) => !/^(PCIe|CPU|NIC)/.test(one)).indexOf(medium) % 6}`;
}

function mediaLegend(graph) {
  const seen = [...new Map(media(graph).map((medium) => [mediumPaint(graph, medium), medium]))];
  return h("ul.legend", {}, seen.map(([name, medium]) => h("li", {}, h("i", { style: `background:${paint(name)}` }), name === "launch" ? t("host_links") : medium)));
}

function drawGraph(place, note, graph, load) {
  const { vertices, wires } = graph;
  const isCard = (n) => vertices[n].kind === "card";
  const sag = (a, b) => 20 + 0.42 * Math.abs(a.x - b.x);
  const width = Math.max(...vertices.map((v) => v.x)) + 60;
  const height = Math.max(...vertices.map((v) => v.y + 40), ...wires.filter((w) => isCard(w.start) && isCard(w.end)).map((w) => vertices[w.start].y + 30 + sag(vertices[w.start], vertices[w.end])));
  const svg = s("svg", { viewBox: `20 0 ${width - 20} ${height}`, role: "img", "aria-label": t("topology_label"), style: "max-height:64vh" });
  const pairs = new Map();
  wires.forEach((wire, number) => {
    const key = [Math.min(wire.start, wire.end), Math.max(wire.start, wire.end), wire.medium].join();
    if (!pairs.has(key)) pairs.set(key, []);
    pairs.get(key).push(number);
  });
  for (const numbers of pairs.values()) svg.append(drawWire(graph, numbers, load, isCard, sag));
  for (const vertex of vertices) {
    svg.append(s(vertex.kind === "card" ? "g.vertex.card-vertex" : "g.vertex", {},
      s("rect", { x: vertex.x - 32, y: vertex.y - 14, width: 64, height: 28, rx: 7 }), s("text", { x: vertex.x, y: vertex.y + 4 }, vertex.name)));
  }
  place.replaceChildren(svg);
  note.textContent = load ? t("load_note", { op: load.op, size: showBytes(graph.size_bytes), time: showTime(load.seconds), how: `${load.algorithm}, ${load.protocol}`, bound: load.bound }) : t("graph_note");
}

function drawWire(graph, numbers, load, isCard, sag) {
  const wire = graph.wires[numbers[0]];
  const [a, b] = [graph.vertices[wire.start], graph.vertices[wire.end]];
  const busy = load ? Math.max(...numbers.map((n) => load.busy[n])) : 0;
  const thick = Math.max(1.2, Math.min(7, Math.sqrt(wire.bytes_per_s / 1e9) / 3.5));
  const path = isCard(wire.start) && isCard(wire.end)
    ? `M${a.x} ${a.y + 13} Q${(a.x + b.x) / 2} ${a.y + 2 * sag(a, b)} ${b.x} ${b.y + 13}`
    : `M${a.x} ${a.y} L${b.x} ${b.y}`;
  const style = load
    ? `stroke:${busy > 0.005 ? "var(--accent)" : "var(--line)"};stroke-opacity:${busy > 0.005 ? (0.25 + 0.75 * Math.min(1, busy)).toFixed(2) : 1};stroke-width:${(1.2 + 7 * busy).toFixed(1)}`
    : `stroke:${paint(mediumPaint(graph, wire.medium))};stroke-opacity:.75;stroke-width:${thick.toFixed(1)}`;
  const rows = [[t("medium"), wire.medium], [t("bandwidth"), `${showRate(wire.bytes_per_s, "B/s")} ${t("one_way")}`], [t("latency"), showTime(wire.latency_s)], [t("fact"), named(wire.kind)]];
  if (load) for (const n of numbers) rows.push([`${graph.vertices[graph.wires[n].start].name} → ${graph.vertices[graph.wires[n].end].name}`, t("carries", { bytes: showBytes(load.bytes[n]), busy: showPercent(load.busy[n]) })]);
  return hovers(s("path.wire", { d: path, style }), `${a.name} – ${b.name}`, rows);
}

function linksTable(links) {
  return sortable([
    { name: t("medium"), text: true, value: (r) => r.medium }, { name: t("between"), text: true, value: (r) => r.ends },
    { name: t("number"), value: (r) => r.links }, { name: t("bandwidth"), value: (r) => r.bytes_per_s, show: (r) => showRate(r.bytes_per_s, "B/s") },
    { name: t("latency"), value: (r) => r.latency_s, show: (r) => showTime(r.latency_s) },
    { name: t("fact"), text: true, value: (r) => named(r.kind) }, { name: t("source"), text: true, css: "source", value: (r) => r.source },
  ], links, { sort: 3 });
}
