/** A violation reported in three steps: what, where, a word about it. What is written survives a closed page. */
import { html, nothing, type TemplateResult } from "lit";
import { number, t } from "../../shared/i18n";
import "../map";
import type { Draft, Place } from "../model";
import { ROUGH_M, type Spot } from "../place";
import { showPlace } from "../position";
import { draft, dropDraft, editDraft, sendDraft } from "../report";
import { go } from "../routes";
import { codesOf, state, taskById } from "../store";
import { backBar, heading, icon, label } from "./parts";

const QUICK = 6;

function categories(): TemplateResult {
  const all = codesOf("violation_category");
  const button = (value: string): TemplateResult => html`<button class="choice" data-code=${value}
    @click=${() => editDraft({ category: value })}>${label("violation_category", value)}</button>`;
  return html`<div class="page">${heading(t("officer.report.what"))}
    <div class="choices-grid two">${all.slice(0, QUICK).map(button)}</div>
    <details class="over"><summary>${t("officer.report.more")}</summary><div class="choices-grid two">${all.slice(QUICK).map(button)}</div></details></div>`;
}

const usePlace = (place: Place): void => void editDraft({ place, coord_source: "gps" });
const usePin = ({ lon, lat }: Spot, accuracy_m: number): void =>
  void editDraft({ place: { lon, lat, accuracy_m, at: new Date().toISOString() }, coord_source: "map" });

function gps(report: Draft): TemplateResult {
  const place = state.place;
  if (place) {
    const rough = place.accuracy_m === null || place.accuracy_m > ROUGH_M;
    const chosen = report.coord_source === "gps" && report.place !== null;
    return html`<button class="choice" aria-pressed=${chosen} @click=${() => usePlace(place)}>${icon("pin")}${t("officer.report.gps")}
      <small>${t("officer.report.accuracy", { n: number(place.accuracy_m ?? 0) })}</small></button>
      ${rough ? html`<p class="unsent">${t("officer.report.rough")}</p>` : nothing}`;
  }
  const failed = state.placeState === "denied" || state.placeState === "unavailable";
  return html`<button class="choice" ?disabled=${state.placeState === "asking"} @click=${showPlace}>${icon("pin")}
      ${t(state.placeState === "asking" ? "officer.place.asking" : "officer.report.gps")}</button>
    ${failed ? html`<p class="fault">${t(`officer.place.${state.placeState}`)}</p>` : nothing}`;
}

/** Where the pin begins: at the device's place, else at the task; then it is where the officer moves it. */
function start(report: Draft): Spot | null {
  if (report.place) return report.coord_source === "gps" ? report.place : null;
  const point = report.task_id ? taskById(report.task_id)?.point : null;
  return point ? { lon: point.coordinates[0], lat: point.coordinates[1] } : null;
}

const chosenPlace = (report: Draft): string => report.place === null ? t("officer.report.nowhere")
  : t(`officer.report.at.${report.coord_source}`, {
      lat: report.place.lat.toFixed(5), lon: report.place.lon.toFixed(5), n: number(report.place.accuracy_m ?? 0),
    });

/** The device's clock as a form field wants it, and back. */
const localTime = (at: string): string => {
  const moment = new Date(at);
  return new Date(moment.getTime() - moment.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
};

function rest(report: Draft): TemplateResult {
  const task = report.task_id ? taskById(report.task_id) : undefined;
  const send = async (): Promise<void> => {
    if (await sendDraft()) go(task ? `#/task/${task.id}` : "#/");
  };
  const when = (event: Event): void => {
    const value = (event.target as HTMLInputElement).value;
    if (value) void editDraft({ occurred_at: new Date(value).toISOString() });
  };
  return html`<div class="page one">${backBar("#/", t("officer.report.title"))}<article class="sheet">
    <div class="row between"><h2>${label("violation_category", report.category)}</h2>
      <button class="big" @click=${() => editDraft({ category: null })}>${t("officer.report.change")}</button></div>
    ${task ? html`<p class="muted">${t("officer.task", { number: task.number })} · ${task.title}</p>` : nothing}
    <h3>${t("officer.report.where")}</h3>${gps(report)}
    <p class="muted">${t("officer.report.or_pin")}</p>
    <div class="pin-frame"><officer-map .pointed=${usePin} .pin=${start(report)}></officer-map><i aria-hidden="true">${icon("pin")}</i></div>
    <p role="status">${chosenPlace(report)}</p>
    <label class="field"><span>${t("officer.report.when")}</span>
      <input type="datetime-local" .value=${localTime(report.occurred_at)} max=${localTime(new Date().toISOString())} @change=${when}></label>
    <label class="field"><span>${t("officer.report.note")}</span>
      <textarea rows="3" maxlength="10000" .value=${report.note}
        @input=${(event: Event) => editDraft({ note: (event.target as HTMLTextAreaElement).value })}></textarea>
      <small>${state.draftKept === report ? t("officer.report.kept") : nothing}</small></label>
    <button class="big quiet" @click=${() => dropDraft().then(() => go("#/"))}>${t("officer.report.drop")}</button></article>
    <div class="steps"><button class="next" data-verb="report" ?disabled=${!report.place} @click=${send}>${t("officer.report.send")}</button></div></div>`;
}

export function reportView(taskId: string | null): TemplateResult {
  const report = draft(taskId);
  return report.category ? rest(report) : categories();
}
