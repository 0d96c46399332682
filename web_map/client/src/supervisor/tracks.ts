/** A track from a file: choose device and file, see what an import would meet, then import it. */
import { html, nothing, type TemplateResult } from "lit";
import { all, api, withQuery } from "../shared/api";
import { dayTime, number, t } from "../shared/i18n";
import { refusalText } from "../shared/refusal";
import { may } from "../shared/session";
import type { Unit } from "../shared/types";
import { followed } from "./upload";

interface Device {
  id: string;
  unit_id: string | null;
  protocol: string;
  identifier: string | null;
  revoked_at: string | null;
}

interface Refused {
  line: number;
  detail: string;
}

interface Outcome {
  rows: number;
  accepted: number;
  duplicates: number;
  off_duty: number;
  suspect: number;
  old: number;
  rejected_total: number;
  rejected: Refused[];
}

interface Preview extends Outcome {
  whole: boolean;
  fixes: number;
  future: number;
  nowhere: number;
  first_at: string | null;
  last_at: string | null;
  sample: { line: number; fix_at: string; lat: number | null; lon: number | null; speed_mps: number | null; on_duty: boolean }[];
}

const FORMATS = ["gpx", "kml", "nmea", "geojson", "csv"];
const ENDINGS: Record<string, string> = { json: "geojson", log: "nmea", txt: "nmea", ubx: "nmea" };
const state = {
  devices: null as [string, string][] | null,
  device: "",
  file: null as File | null,
  preview: null as Preview | null,
  result: null as Outcome | null,
  progress: 0,
  busy: false,
  fault: "",
};

/** The devices that are not revoked, under the names of their units. */
export async function loadDevices(): Promise<void> {
  if (!may("tracks.import")) return;
  const [devices, units] = await Promise.all([all<Device>("/devices"), all<Unit>("/units")]);
  const signs = new Map(units.map((unit) => [unit.id, unit.call_sign]));
  state.devices = devices
    .filter((device) => !device.revoked_at)
    .map((device): [string, string] => [device.id, [signs.get(device.unit_id ?? "") ?? "–", device.protocol, device.identifier ?? device.id.slice(-6)].join(" · ")])
    .sort((a, b) => a[1].localeCompare(b[1]));
}

async function send(preview: boolean, redraw: () => void): Promise<void> {
  const file = state.file;
  if (!file || !state.device) return;
  Object.assign(state, { busy: true, fault: "", result: null, progress: 0, ...(preview ? { preview: null } : {}) });
  redraw();
  try {
    const ending = file.name.split(".").pop()?.toLowerCase() ?? "";
    const format = FORMATS.includes(ending) ? ending : (ENDINGS[ending] ?? "gpx");
    const path = withQuery(`/devices/${state.device}/tracks/import`, { format, preview: preview || null });
    const answer = await api.upload<Preview | Outcome | { job_id: string }>(path, file, "application/octet-stream");
    if (preview) state.preview = answer as Preview;
    else state.result = "job_id" in answer ? await followed<Outcome>(answer.job_id, (share) => { state.progress = share; redraw(); }) : (answer as Outcome);
  } catch (error) {
    state.fault = refusalText(error);
  }
  state.busy = false;
  redraw();
}

/** The part of the page; nothing for who may not import tracks. */
export function tracks(redraw: () => void): TemplateResult | typeof nothing {
  if (!may("tracks.import") || !state.devices) return nothing;
  const chosen = (event: Event): void => {
    const input = event.target as HTMLInputElement | HTMLSelectElement;
    if (input instanceof HTMLInputElement) state.file = input.files?.[0] ?? null;
    else state.device = input.value;
    [state.preview, state.result] = [null, null];
    void send(true, redraw);
  };
  return html`<section class="card" aria-busy=${state.busy}><h2>${t("track.title")}</h2><p class="muted">${t("track.lead")}</p>
    <div class="import"><label class="field grow"><span>${t("track.device")}</span><select name="track_device" @change=${chosen}>
        <option value="" ?selected=${!state.device}>${t("track.choose")}</option>
        ${state.devices.map(([id, name]) => html`<option value=${id} ?selected=${id === state.device}>${name}</option>`)}</select></label>
      <label class="field grow"><span>${t("track.file")}</span><input type="file" name="track" accept=".gpx,.kml,.nmea,.log,.txt,.geojson,.json,.csv" @change=${chosen}></label>
      <button class="button primary" ?disabled=${state.busy || !state.preview?.rows || state.result !== null} @click=${() => void send(false, redraw)}>${t("track.store")}</button></div>
    <div role="status">${state.busy ? html`<progress max="1" .value=${state.progress || null}></progress>` : nothing}
      ${state.fault ? html`<p class="fault" role="alert">${state.fault}</p>` : nothing}
      ${state.result ? outcome(state.result) : state.preview ? seen(state.preview) : nothing}</div></section>`;
}

function seen(preview: Preview): TemplateResult {
  const { first_at: first, last_at: last } = preview;
  return html`<p>${t(preview.whole ? "track.seen" : "track.seen_part", { fixes: number(preview.fixes), rejected: number(preview.rejected_total) })}
      ${first && last ? `${dayTime(first)} – ${dayTime(last)}. ` : nothing}
      ${t("track.flags", { off_duty: number(preview.off_duty), old: number(preview.old), other: number(preview.future + preview.nowhere) })}</p>
    ${preview.sample.length ? html`<div class="table preview"><table><caption class="hidden-label">${t("track.sample")}</caption>
      <thead><tr><th>${t("track.line")}</th><th>${t("track.time")}</th><th>${t("track.place")}</th><th class="n">km/h</th><th>${t("track.duty")}</th></tr></thead>
      <tbody>${preview.sample.map((fix) => html`<tr><td>${fix.line}</td><td>${dayTime(fix.fix_at)}</td>
        <td>${fix.lat === null || fix.lon === null ? "–" : `${fix.lat.toFixed(5)}, ${fix.lon.toFixed(5)}`}</td>
        <td class="n">${fix.speed_mps === null ? "–" : number(3.6 * fix.speed_mps, 0)}</td>
        <td>${t(fix.on_duty ? "track.on_duty" : "track.off_duty")}</td></tr>`)}</tbody></table></div>` : nothing}
    ${faults(preview.rejected)}`;
}

function outcome(result: Outcome): TemplateResult {
  return html`<p>${t("track.done", {
    accepted: number(result.accepted), duplicates: number(result.duplicates), off_duty: number(result.off_duty),
    suspect: number(result.suspect), rejected: number(result.rejected_total),
  })}</p>${faults(result.rejected)}`;
}

function faults(rejected: Refused[]): TemplateResult | typeof nothing {
  if (!rejected.length) return nothing;
  return html`<ul class="faults">${rejected.slice(0, 50).map((each) => html`<li>${t("supervisor.line", { n: each.line })}: ${each.detail}</li>`)}</ul>`;
}
