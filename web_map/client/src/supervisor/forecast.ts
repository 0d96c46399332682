/** A forecast: asked for, followed while the worker makes it, shown as squares on the map and as a table that says why. */
import type L from "leaflet";
import { html, nothing, type TemplateResult } from "lit";
import { api, ApiError } from "../shared/api";
import { known, number, t } from "../shared/i18n";
import { nearestTown } from "../shared/map/basemap";
import { SquareLayer, type Square } from "../shared/map/squares";
import { refusalText } from "../shared/refusal";
import { startOfDay } from "../shared/wall_time";
import { state as filter } from "./state";

interface Run {
  id: string;
  status: "queued" | "running" | "done" | "failed" | "cancelled";
  progress: number;
  horizon_days: number;
  area_share: number;
  code: string | null;
  detail: string | null;
  total: { mean: number; lo: number; hi: number } | null;
  events: number | null;
}

interface Place {
  geometry: { coordinates: [number, number][][] };
  properties: { rank: number; mean: number; lo: number; hi: number; n: number; gi_z: number; trend: number; class: string; exposure_h: number | null };
}

const POLL_MS = 700;
const SHOWN = 50;
const HORIZONS = [7, 14, 30, 90];
const SIDES = [100, 250, 500, 1000];
const SHARES = [0.005, 0.01, 0.02, 0.05];
const YEARS = [1, 2, 3, 5];
const RISING_Z = 1.96;

const state = {
  horizon: 30,
  side: 250,
  share: 0.01,
  years: 3,
  placement: "free",
  run: null as Run | null,
  places: [] as Place[],
  towns: new Map<number, string>(),
  picked: 0,
  busy: false,
  fault: "",
};

export const squares = new SquareLayer();

const square = ({ geometry, properties }: Place): Square => {
  const ring = geometry.coordinates[0] ?? [];
  const [lons, lats] = [ring.map((at) => at[0]), ring.map((at) => at[1])];
  return { rank: properties.rank, west: Math.min(...lons), east: Math.max(...lons), south: Math.min(...lats), north: Math.max(...lats) };
};

const going = (): boolean => state.run?.status === "queued" || state.run?.status === "running";

/** The same day so many years before. */
function yearsBefore(day: string, years: number): string {
  const [year, month, date] = day.split("-").map(Number) as [number, number, number];
  return new Date(Date.UTC(year - years, month - 1, date)).toISOString().slice(0, 10);
}

async function ask(redraw: () => void): Promise<void> {
  Object.assign(state, { busy: true, fault: "", run: null, places: [], picked: 0 });
  squares.set([]);
  redraw();
  try {
    const { id } = await api.post<{ id: string }>("/hotspot-runs", {
      from: startOfDay(yearsBefore(filter.to, state.years), 1), to: startOfDay(filter.to, 1), horizon_days: state.horizon,
      cell_m: state.side, area_share: state.share, placement: state.placement, categories: filter.category ? [filter.category] : [],
    });
    do {
      state.run = await api.get<Run>(`/hotspot-runs/${id}`);
      redraw();
      if (going()) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    } while (going());
    if (state.run.status === "failed") throw new ApiError(500, "failed", known(`forecast.failed.${state.run.code}`) ?? state.run.detail ?? "");
    if (state.run.status === "done") await show(id);
  } catch (error) {
    state.fault = refusalText(error);
  }
  state.busy = false;
  redraw();
}

async function show(id: string): Promise<void> {
  state.places = (await api.get<{ features: Place[] }>(`/hotspot-runs/${id}/cells`)).features;
  const placed = state.places.map(square);
  squares.set(placed);
  const middles = placed.slice(0, SHOWN).map((at) => nearestTown((at.west + at.east) / 2, (at.south + at.north) / 2).catch(() => ""));
  state.towns = new Map((await Promise.all(middles)).map((town, i) => [i + 1, town]));
}

async function stop(redraw: () => void): Promise<void> {
  if (state.run) await api.post(`/hotspot-runs/${state.run.id}/cancel`, {}).catch((error: unknown) => { state.fault = refusalText(error); });
  redraw();
}

function pick(place: Place, map: L.Map | undefined, redraw: () => void): void {
  state.picked = place.properties.rank;
  squares.pick(state.picked);
  const at = square(place);
  document.getElementById("map")?.scrollIntoView({ block: "center" }); // it stands above the table
  map?.setView([(at.south + at.north) / 2, (at.west + at.east) / 2], Math.max(map.getZoom(), 13));
  redraw();
}

function choice(name: "horizon" | "side" | "share" | "years", values: number[], shown: (value: number) => string): TemplateResult {
  return html`<label class="field"><span>${t(`forecast.${name}`)}</span><select name=${name} @change=${(event: Event) => { state[name] = Number((event.target as HTMLSelectElement).value); }}>
    ${values.map((value) => html`<option value=${value} ?selected=${state[name] === value}>${shown(value)}</option>`)}</select></label>`;
}

/** The card with the form and what it found. */
export function forecast(map: L.Map | undefined, redraw: () => void): TemplateResult {
  return html`<section class="card forecast" aria-busy=${state.busy}><h2>${t("forecast.title")}</h2><p class="muted">${t("forecast.lead")}</p>
    <form class="import" @submit=${(event: SubmitEvent) => { event.preventDefault(); void ask(redraw); }}>
      ${choice("horizon", HORIZONS, (n) => t("forecast.days", { n }))}
      ${choice("side", SIDES, (n) => `${number(n)} m`)}
      ${choice("share", SHARES, (n) => `${number(100 * n, n < 0.01 ? 1 : 0)} %`)}
      ${choice("years", YEARS, (n) => t(n === 1 ? "forecast.year" : "forecast.some_years", { n }))}
      <label class="field"><span>${t("forecast.placement")}</span><select name="placement" @change=${(event: Event) => { state.placement = (event.target as HTMLSelectElement).value; }}>
        ${["free", "grid"].map((way) => html`<option value=${way} ?selected=${state.placement === way}>${t(`forecast.${way}`)}</option>`)}</select></label>
      <button class="button primary" ?disabled=${state.busy}>${t("forecast.start")}</button>
      ${going() ? html`<button type="button" class="button" @click=${() => void stop(redraw)}>${t("forecast.stop")}</button>` : nothing}</form>
    <div role="status">${state.busy ? html`<progress max="1" .value=${state.run?.progress || null} aria-label=${t("loading")}></progress>` : nothing}
      ${state.run?.status === "cancelled" ? html`<p class="muted">${t("forecast.cancelled")}</p>` : nothing}</div>
    ${state.fault ? html`<p class="fault" role="alert">${state.fault}</p>` : nothing}
    ${state.run?.total && state.places.length ? found(state.run, state.run.total, map, redraw) : nothing}</section>`;
}

function found(run: Run, total: NonNullable<Run["total"]>, map: L.Map | undefined, redraw: () => void): TemplateResult {
  return html`<div class="totals">
      <div><b>${number(total.mean)}</b><span>${t("forecast.expected_in", { days: number(run.horizon_days) })}</span></div>
      <div><b>${number(total.lo)} – ${number(total.hi)}</b><span>${t("forecast.nine_in_ten")}</span></div>
      <div><b>${number(state.places.length)}</b><span>${t("forecast.of_area", { share: number(100 * run.area_share, 1) })}</span></div>
      <div><b>${number(run.events ?? 0)}</b><span>${t("forecast.learned")}</span></div></div>
    <div class="table"><table><caption class="hidden-label">${t("forecast.title")}</caption>
      <thead><tr><th>#</th><th>${t("forecast.place")}</th><th class="n">${t("forecast.expected")}</th><th class="n">${t("forecast.so_far")}</th><th>${t("forecast.why")}</th></tr></thead>
      <tbody>${state.places.slice(0, SHOWN).map((place) => row(place, map, redraw))}</tbody></table></div>
    <p class="buttons"><a class="button" download="forecast.geojson" href=${`/api/v1/hotspot-runs/${run.id}/cells`}>GeoJSON</a>
      ${state.places.length > SHOWN ? html`<span class="muted">${t("forecast.more", { n: number(state.places.length - SHOWN) })}</span>` : nothing}</p>`;
}

function row(place: Place, map: L.Map | undefined, redraw: () => void): TemplateResult {
  const { rank, mean, lo, hi, n, gi_z: z, trend } = place.properties;
  const at = square(place);
  const on = state.picked === rank;
  return html`<tr class=${on ? "on" : ""}><td>${rank}</td>
    <td><button class="link" aria-pressed=${on} @click=${() => pick(place, map, redraw)}>${((at.south + at.north) / 2).toFixed(4)}, ${((at.west + at.east) / 2).toFixed(4)}</button>
      <span class="muted">${state.towns.get(rank) ?? ""}</span></td>
    <td class="n"><b>${number(mean, 1)}</b> <span class="muted">${number(lo)}–${number(hi)}</span></td>
    <td class="n">${number(n)}</td>
    <td>${t(`forecast.kind.${place.properties.class}`)} <span class="muted" title=${t("forecast.z")}>Gi* ${number(z, 1)}${trend > RISING_Z ? " ↑" : trend < -RISING_Z ? " ↓" : ""}</span></td></tr>`;
}
