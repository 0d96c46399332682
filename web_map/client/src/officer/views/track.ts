/** The own unit's track of the shift: what the server has, and what still waits on this device. */
import { html, nothing, type TemplateResult } from "lit";
import { api, ApiError, withQuery } from "../../shared/api";
import { hourMinute, t } from "../../shared/i18n";
import { current } from "../desk";
import "../map";
import type { Spot } from "../place";
import { dutyUnit, redraw, state, unitName } from "../store";
import { backBar } from "./parts";

const DAY_MS = 24 * 3_600_000;

interface Served {
  features: { geometry: { coordinates: [number, number] }; properties: { fix_at: string } }[];
}

let served: (Spot & { at: string })[] = [];
let kept: (Spot & { at: string })[] = [];
let whose: string | null = null;
let fault = false;

/** Read the track of the unit on shift, or of the only one; called when its screen is opened. */
export async function openTrack(): Promise<void> {
  const unit = dutyUnit() ?? (state.units.length === 1 ? (state.units[0]?.id ?? null) : null);
  if (unit !== whose) served = [];
  whose = unit;
  kept = ((await current()?.local.fixes()) ?? []).map(({ fix }) => ({ lon: fix.lon, lat: fix.lat, at: fix.fix_at }));
  redraw();
  if (!unit) return;
  const from = state.shift?.on_at ?? new Date(Date.now() - DAY_MS).toISOString();
  try {
    const { features } = await api.get<Served>(withQuery(`/units/${unit}/track`, { from }));
    served = features.map(({ geometry, properties }) => ({ lon: geometry.coordinates[0], lat: geometry.coordinates[1], at: properties.fix_at }));
    fault = false;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    fault = true;
  }
  redraw();
}

export function trackView(): TemplateResult {
  const all = [...served, ...kept].sort((a, b) => a.at.localeCompare(b.at));
  const [begin, end] = [all[0], all.at(-1)];
  return html`<div class="page">${backBar("#/duty", t("officer.track.of", { unit: unitName(whose) }))}
    ${begin && end ? html`<officer-map class="tall" .trail=${all} .own=${state.place}></officer-map>
        <p>${t("officer.track.count", { n: all.length, from: hourMinute(begin.at), to: hourMinute(end.at) })}</p>`
      : html`<p class="card empty">${t("officer.track.none")}</p>`}
    ${kept.length ? html`<p class="unsent">${t("officer.track.waiting", { n: kept.length })}</p>` : nothing}
    ${fault ? html`<p class="muted">${t("officer.track.offline")}</p>` : nothing}
    <p class="muted">${t("officer.track.who")}</p></div>`;
}
