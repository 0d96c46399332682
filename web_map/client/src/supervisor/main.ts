/** The supervisor's page: where violations happen, as a map and as a table that adds up; reports and imports. */
import L from "leaflet";
import { html, nothing, render, svg, type TemplateResult } from "lit";
import "../shared/theme.css";
import "../shared/desk.css";
import { api, withQuery } from "../shared/api";
import { markDemo } from "../shared/demo";
import { deskBar } from "../shared/desk";
import { code, number, onLanguage, t } from "../shared/i18n";
import { startOfDay } from "../shared/wall_time";
import { loginForm } from "../shared/login";
import { addBasemap, HOME_BOUNDS, nearestTown } from "../shared/map/basemap";
import { CellLayer } from "../shared/map/cells";
import { heatColour, heatLegend } from "../shared/map/heat_scale";
import { refusalText } from "../shared/refusal";
import { may, me, resume } from "../shared/session";
import { onTheme } from "../shared/theme";
import type { Heat, HotCells } from "../shared/types";
import { forecast, squares } from "./forecast";
import { state } from "./state";
import { loadDevices, tracks } from "./tracks";
import { importFile } from "./upload";
import "./supervisor.css"; // last, so that it comes after the map's own style

const root = document.getElementById("app") as HTMLElement;
const HERE = "/supervisor";
const TOP = 20;
let map: L.Map | undefined;
const cells = new CellLayer();
let frame = 0;

function redraw(): void {
  frame ||= requestAnimationFrame(() => {
    frame = 0;
    draw();
  });
}

const filter = (): Record<string, string | number> => ({
  from: startOfDay(state.from),
  to: startOfDay(state.to, 1),
  category: state.category,
  ...(state.inView && map ? { bbox: map.getBounds().toBBoxString() } : {}),
});

let asked = 0;

async function load(): Promise<void> {
  const mine = ++asked;
  [state.loading, state.fault] = [true, ""];
  redraw();
  try {
    const zoom = Math.round(map?.getZoom() ?? 7);
    const [heat, hot] = await Promise.all([
      api.get<Heat>(withQuery("/violations/heat", { ...filter(), zoom })),
      api.get<HotCells>(withQuery("/violations/hotcells", { ...filter(), zoom, limit: TOP })),
    ]);
    if (mine !== asked) return;
    const was = state.hot?.items.find((item) => item.rank === state.picked);
    const same = hot.items.find((item) => item.lon === was?.lon && item.lat === was.lat);
    [state.heat, state.hot, state.picked] = [heat, hot, same?.rank ?? 0];
    cells.set(heat.cells, heat.cell_m, heat.max_n);
    if (!same) cells.pick(null);
    const names = await Promise.all(hot.items.map((item) => nearestTown(item.lon, item.lat).catch(() => "")));
    state.towns = new Map(hot.items.map((item, i) => [item.rank, names[i] ?? ""]));
  } catch (error) {
    if (mine === asked) state.fault = refusalText(error);
  }
  if (mine === asked) state.loading = false;
  redraw();
}

function change(fields: Partial<typeof state>): void {
  Object.assign(state, fields);
  void load();
}

function pick(rank: number): void {
  state.picked = rank;
  const cell = state.hot?.items.find((item) => item.rank === rank);
  cells.pick(cell ? [cell.lon, cell.lat, cell.n] : null);
  if (cell && map && !map.getBounds().contains([cell.lat, cell.lon])) map.panTo([cell.lat, cell.lon]);
  redraw();
}

const value = (event: Event): string => (event.target as HTMLInputElement).value;

function filters(): TemplateResult {
  return html`<form class="filters" @submit=${(event: Event) => event.preventDefault()}>
    <label class="field"><span>${t("heat.from")}</span><input type="date" required .value=${state.from} @change=${(e: Event) => change({ from: value(e) })}></label>
    <label class="field"><span>${t("heat.to")}</span><input type="date" required .value=${state.to} @change=${(e: Event) => change({ to: value(e) })}></label>
    <label class="field grow"><span>${t("heat.category")}</span><select @change=${(e: Event) => change({ category: value(e) })}>
      <option value="">${t("heat.all")}</option>${state.categories.map(({ category, n }) => html`<option value=${category}>${code("violation_category", category)} (${number(n)})</option>`)}</select></label>
    <label class="check"><input type="checkbox" .checked=${state.inView} @change=${(e: Event) => change({ inView: (e.target as HTMLInputElement).checked })}> ${t("supervisor.in_view")}</label>
    <progress class=${state.loading ? "" : "idle"} aria-label=${t("loading")}></progress></form>
    ${state.fault ? html`<p class="fault" role="alert">${state.fault}</p>` : nothing}`;
}

function totals({ heat, hot }: { heat: Heat; hot: HotCells }): TemplateResult {
  const shown = hot.items.reduce((sum, item) => sum + item.n, 0);
  const left = heat.left_out.accuracy + heat.left_out.office;
  return html`<div class="totals" role="status">
    <div><b>${number(heat.total)}</b><span>${t("supervisor.total")}</span></div>
    <div><b>${number(heat.cells.length)}</b><span>${t("supervisor.cells", { side: number(heat.cell_m) })}</span></div>
    <div><b>${heat.total ? number((100 * shown) / heat.total, 1) : 0} %</b><span>${t("supervisor.share", { n: hot.items.length })}</span></div>
    <div><b>${number(left)}</b><span>${t("supervisor.left_out", { accuracy: heat.left_out.accuracy, office: heat.left_out.office })}</span></div></div>`;
}

function table({ heat, hot }: { heat: Heat; hot: HotCells }): TemplateResult {
  const shown = hot.items.reduce((sum, item) => sum + item.n, 0);
  const rest = heat.total - shown;
  return html`<div class="table"><table><caption class="hidden-label">${t("supervisor.top")}</caption>
    <thead><tr><th>#</th><th>${t("supervisor.place")}</th><th class="n">${t("supervisor.n")}</th><th>${t("supervisor.part")}</th></tr></thead>
    <tbody>${hot.items.map((item) => html`<tr class=${state.picked === item.rank ? "on" : ""}>
      <td>${item.rank}</td>
      <td><button class="link" aria-pressed=${state.picked === item.rank} @click=${() => pick(item.rank)}>${item.lat.toFixed(4)}, ${item.lon.toFixed(4)}</button> <span class="muted">${state.towns.get(item.rank) ?? ""}</span></td>
      <td class="n">${number(item.n)}</td>
      <td><svg class="share" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">${svg`<rect width=${(100 * item.n) / (hot.items[0]?.n || 1)} height="10" fill=${heatColour(item.n, heat.max_n)}></rect>`}</svg>
        ${number(100 * item.share, 1)} %</td></tr>`)}
      <tr class="sum"><td></td><td>${t("supervisor.rest")}</td><td class="n">${number(rest)}</td><td></td></tr>
      <tr class="sum"><td></td><td>${t("supervisor.sum")}</td><td class="n"><b>${number(heat.total)}</b></td><td></td></tr></tbody></table></div>`;
}

function reports(): TemplateResult {
  const address = (inline: boolean): string =>
    withQuery("/api/v1/reports/violations-heatmap", { ...filter(), format: "html", ...(inline ? { inline: 1 } : {}) });
  const other = (format: string): string => withQuery("/api/v1/reports/violations-heatmap", { ...filter(), format });
  return html`<section class="card"><h2>${t("supervisor.report")}</h2><p class="muted">${t("supervisor.report_lead")}</p>
    <p class="buttons"><a class="button primary" download href=${address(false)}>${t("supervisor.download")}</a>
      <button class="button" aria-expanded=${state.report} @click=${() => { state.report = !state.report; redraw(); }}>${t("supervisor.preview")}</button>
      <a class="button" download href=${other("csv")}>CSV</a><a class="button" download href=${other("geojson")}>GeoJSON</a></p>
    ${state.report ? html`<iframe title=${t("supervisor.report")} sandbox="allow-scripts" src=${address(true)}></iframe>` : nothing}</section>`;
}

function imports(): TemplateResult | typeof nothing {
  if (!may("violations.import")) return nothing;
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    const data = new FormData(event.target as HTMLFormElement);
    const file = data.get("file");
    if (file instanceof File && file.size) void importFile(file, String(data.get("source")), redraw).then(loadCategories).then(load);
  };
  const upload = state.upload;
  return html`<section class="card"><h2>${t("supervisor.import")}</h2><p class="muted">${t("supervisor.import_lead")}</p>
    <form class="import" @submit=${submit}><label class="field grow"><span>${t("supervisor.file")}</span><input type="file" name="file" required accept=".csv,.json,.geojson,text/csv"></label>
      <label class="field"><span>${t("supervisor.source")}</span><input name="source" required maxlength="64" value="import"></label>
      <button class="button primary" ?disabled=${upload !== null && !upload.done}>${t("supervisor.start")}</button></form>
    ${upload ? html`<div role="status"><p>${upload.name} <progress max="1" .value=${upload.progress}></progress> ${number(100 * upload.progress)} %</p>
      ${upload.fault ? html`<p class="fault" role="alert">${upload.fault}</p>` : nothing}${upload.result ? outcome(upload.result) : nothing}</div>` : nothing}</section>`;
}

function outcome(result: NonNullable<NonNullable<typeof state.upload>["result"]>): TemplateResult {
  const refused = result.rejected_total ?? result.rejected.length;
  return html`<p>${t("supervisor.import_done", { accepted: number(result.accepted), duplicates: number(result.duplicates), rejected: number(refused) })}</p>
    ${result.ignored_columns.length ? html`<p class="muted">${t("supervisor.ignored")}: ${result.ignored_columns.join(", ")}</p>` : nothing}
    ${result.rejected.length ? html`<ul class="faults">${result.rejected.slice(0, 50).map((fault) => html`<li>${t("supervisor.line", { n: fault.line })}: ${fault.detail}</li>`)}</ul>` : nothing}`;
}

function page(): TemplateResult {
  const data = state.heat && state.hot ? { heat: state.heat, hot: state.hot } : null;
  return html`${deskBar(HERE, t("supervisor.title"))}<main class="analysis">
    <section class="top">${filters()}${data ? totals(data) : nothing}</section>
    <section class="map-card"><div id="map" role="application" aria-label=${t("map.title")}></div>${data ? heatLegend(data.heat.max_n) : nothing}</section>
    <section class="card cells"><h2>${t("supervisor.top")}</h2>${data ? table(data) : html`<p class="muted">${t("loading")}</p>`}</section>
    ${forecast(map, redraw)}${reports()}${imports()}${tracks(redraw)}</main>`;
}

function draw(): void {
  if (!me()) render(loginForm(() => void start(), redraw), root);
  else if (!may("analysis.read")) render(html`${deskBar(HERE, t("supervisor.title"))}<main class="analysis"><p>${t("not_here")}</p></main>`, root);
  else render(page(), root);
}

async function loadCategories(): Promise<void> {
  state.categories = await api.get<{ category: string; n: number }[]>("/violations/categories");
}

async function start(): Promise<void> {
  draw();
  if (!may("analysis.read")) return;
  map = L.map(document.getElementById("map") as HTMLElement, { minZoom: 5, maxZoom: 17, preferCanvas: true });
  map.attributionControl.setPosition("bottomleft"); // the legend and the mark of the demonstration stand right of it
  map.fitBounds(HOME_BOUNDS);
  cells.addTo(map);
  squares.addTo(map);
  void addBasemap(map);
  map.on("zoomend", () => void load());
  map.on("moveend", () => { if (state.inView) void load(); });
  await loadCategories();
  await load();
  await loadDevices();
  redraw();
}

onLanguage(redraw);
onTheme(redraw);
markDemo();
resume().then(
  (person) => (person ? start() : draw()),
  () => render(html`<main class="sign-in"><p class="fault" role="alert">${t("error.unreachable")}</p></main>`, root),
);
