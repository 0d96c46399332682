/** Where a unit was on an earlier day: asked for with a reason, which the server writes down; drawn, or saved as a file. */
import { html, nothing, type TemplateResult } from "lit";
import { api, withQuery } from "../shared/api";
import { clock, code, hourMinute, number, t } from "../shared/i18n";
import { startOfDay } from "../shared/wall_time";
import { refusalText } from "../shared/refusal";
import { may } from "../shared/session";
import type { CodeLists, LonLat, Unit } from "../shared/types";
import { redraw } from "./state";

/** What a device told beside where it was. */
interface DeviceEvent {
  event: string;
  fix_at: string;
  received_at: string;
  point: { coordinates: LonLat } | null;
}

const LATE_MS = 60_000;
const MOST_EVENTS = 500;

type Asked = { from: string; to: string; reason_code: string; reason: string };

interface Past {
  unitId: string;
  reasons: string[];
  code: string;
  busy: boolean;
  fault: string;
  found: { asked: Asked; n: number; events: DeviceEvent[] } | null;
}

let past: Past | null = null;

export const isAsking = (unitId: string): boolean => past?.unitId === unitId;

export function historyButton(unit: Unit): TemplateResult | typeof nothing {
  if (!may("positions.track")) return nothing;
  return html`<button class="button wide" id="earlier" @click=${() => void open(unit.id)}>${t("past.open")}</button>`;
}

async function open(unitId: string): Promise<void> {
  const mine: Past = { unitId, reasons: [], code: "", busy: false, fault: "", found: null };
  past = mine;
  redraw();
  try {
    mine.reasons = (await api.get<CodeLists>("/code-lists")).consultation_reason ?? [];
  } catch (error) {
    mine.fault = refusalText(error);
  }
  redraw();
}

async function ask(mine: Past, asked: Asked, draw: (points: LonLat[]) => void): Promise<void> {
  Object.assign(mine, { busy: true, fault: "", found: null });
  redraw();
  try {
    const [answer, told] = await Promise.all([
      api.get<{ features: { geometry: { coordinates: LonLat } }[] }>(address(mine, asked, "geojson")),
      api.get<{ items: DeviceEvent[] }>(withQuery(`/units/${mine.unitId}/events`, { ...asked, limit: MOST_EVENTS })),
    ]);
    if (past !== mine) return;
    const points = answer.features.map((feature) => feature.geometry.coordinates);
    mine.found = { asked, n: points.length, events: told.items };
    draw(points);
  } catch (error) {
    mine.fault = refusalText(error);
  }
  mine.busy = false;
  redraw();
}

const address = (mine: Past, asked: Asked, format: string): string =>
  withQuery(`/units/${mine.unitId}/track`, { ...asked, format });

/** The form in place of the unit's facts; `draw` shows the points on the map, none when it is closed; `show` one place. */
export function historyForm(draw: (points: LonLat[]) => void, show: (at: LonLat) => void): TemplateResult | typeof nothing {
  const mine = past;
  if (!mine) return nothing;
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    const data = new FormData(event.target as HTMLFormElement);
    const text = (name: string): string => String(data.get(name) ?? "").trim();
    const asked = { from: startOfDay(text("day")), to: startOfDay(text("day"), 1), reason_code: text("code"), reason: text("reason") };
    void ask(mine, asked, draw);
  };
  const close = (): void => {
    past = null;
    draw([]);
    redraw();
  };
  const today = new Date().toLocaleDateString("sv-SE", { timeZone: "Europe/Vilnius" });
  return html`<form class="past" @submit=${submit}>
    <label class="field"><span>${t("past.day")}</span><input type="date" name="day" required max=${today} .value=${today}></label>
    <label class="field"><span>${t("past.reason")}</span><select name="code" required @change=${(e: Event) => { mine.code = (e.target as HTMLSelectElement).value; redraw(); }}>
      <option value="">…</option>${mine.reasons.map((one) => html`<option value=${one}>${code("consultation_reason", one)}</option>`)}</select></label>
    <label class="field"><span>${t(mine.code === "other" ? "past.words_needed" : "past.words")}</span><input name="reason" maxlength="200" ?required=${mine.code === "other"}></label>
    <p class="muted small">${t("past.told")}</p>
    <div class="pair"><button class="button primary" ?disabled=${mine.busy || !mine.reasons.length}>${t("past.show")}</button>
      <button type="button" class="button" @click=${close}>${t("close")}</button></div>
    <div role="status">${mine.fault ? html`<p class="fault">${mine.fault}</p>` : nothing}
      ${mine.found ? result(mine, mine.found) : nothing}</div>
    ${mine.found ? eventList(mine.found.events, show) : nothing}</form>`;
}

/** What the unit's devices told on the day, the newest first; those with a place bring it into view. */
function eventList(events: DeviceEvent[], show: (at: LonLat) => void): TemplateResult | typeof nothing {
  if (!events.length) return nothing;
  return html`<h4 class="group">${t("past.events")} <span class="count">${events.length}</span></h4>
    <ul class="rows events">${events.map((one) => {
      const at = one.point?.coordinates;
      const isLate = Date.parse(one.received_at) - Date.parse(one.fix_at) > LATE_MS;
      const line = html`<span class="age">${clock(one.fix_at)}</span><span class="grow ${one.event}">${code("device_event", one.event)}
        ${isLate ? html`<small>${t("past.came", { at: hourMinute(one.received_at) })}</small>` : nothing}</span>`;
      return html`<li>${at ? html`<button type="button" class="row" @click=${() => show(at)}>${line}</button>` : html`<span class="row">${line}</span>`}</li>`;
    })}</ul>`;
}

function result(mine: Past, { asked, n }: { asked: Asked; n: number }): TemplateResult {
  if (!n) return html`<p>${t("past.none")}</p>`;
  const file = (format: string): TemplateResult =>
    html`<a class="button" download href=${`/api/v1${address(mine, asked, format)}`}>${format === "geojson" ? "GeoJSON" : format.toUpperCase()}</a>`;
  return html`<p>${t("past.found", { n: number(n) })}</p><p class="files">${file("gpx")} ${file("kml")} ${file("csv")} ${file("geojson")}</p>`;
}
