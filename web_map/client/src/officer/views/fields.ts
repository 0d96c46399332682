/** The inputs that forms are made of: each knows its path in the form, keeps every change, and shows what is wrong with it. */
import { html, nothing, type TemplateResult } from "lit";
import { number, t } from "../../shared/i18n";
import { atWallTime, wallTime } from "../../shared/wall_time";
import { doubtText, faultText, fieldLabel } from "../faults";
import { confirmDoubts, edit, put } from "../forms";
import { confirmedDoubts, doubts, valueAt } from "../form_rules";
import "../map";
import type { Fields, Form, Place } from "../model";
import { ROUGH_M, type Spot } from "../place";
import { showPlace } from "../position";
import { codesOf, state, taskById } from "../store";
import { icon, label } from "./parts";

const idOf = (path: string): string => `f-${path.replaceAll(".", "-")}`;

/** What the server said of a field, and what looks wrong about it, with the way to say that it is right. */
export function remarks(form: Form, path: string): TemplateResult | typeof nothing {
  const faults = (form.refused?.errors ?? []).filter(({ field }) => field === path);
  const open = doubts(form).filter(({ field }) => field === path);
  const confirmed = confirmedDoubts(form).some(({ field }) => field === path);
  if (!faults.length && !open.length && !confirmed) return nothing;
  return html`<div class="remarks" id="${idOf(path)}-remarks" role="status">${faults.map((fault) => html`<p class="fault">${faultText(fault)}</p>`)}
    ${open.map((doubt) => html`<p class="doubt">${doubtText(doubt)}</p>`)}
    ${open.length ? html`<button type="button" class="big" data-confirm=${path} @click=${() => confirmDoubts(form.id, path)}>
      ${icon("check")}${t("officer.doubt.confirm")}</button>` : nothing}
    ${confirmed && !open.length ? html`<p class="muted with-icon">${icon("check")}${t("officer.doubt.confirmed")}</p>` : nothing}</div>`;
}

interface TextOptions {
  rows?: number;
  most?: number;
  /** How the keyboard of a phone is to be. */
  mode?: "text" | "decimal" | "numeric";
  capitals?: boolean;
  hint?: string;
}

/** One line or, with `rows`, several. */
export function textField(form: Form, path: string, { rows, most = 200, mode = "text", capitals = false, hint = "" }: TextOptions = {}): TemplateResult {
  const value = String(valueAt(form.fields, path) ?? "");
  const typed = (event: Event): void => void put(form.id, path, (event.target as HTMLInputElement).value || null);
  const described = `${idOf(path)}-remarks`;
  return html`<div class="group"><label class="field"><span>${fieldLabel(path)}</span>${rows
    ? html`<textarea rows=${rows} maxlength=${most} data-path=${path} aria-describedby=${described} .value=${value} @input=${typed}></textarea>`
    : html`<input type="text" maxlength=${most} inputmode=${mode} data-path=${path} autocomplete="off" aria-describedby=${described}
        autocapitalize=${capitals ? "characters" : "sentences"} class=${capitals ? "code" : ""} .value=${value} @input=${typed}>`}
    ${hint ? html`<small>${hint}</small>` : nothing}</label>${remarks(form, path)}</div>`;
}

/** A number as people write it, with a comma or a point. */
export function numberField(form: Form, path: string, options: { unit?: string; at?: (value: number | null) => void; shown?: string } = {}): TemplateResult {
  const value = valueAt(form.fields, path);
  const typed = (event: Event): void => {
    const input = event.target as HTMLInputElement;
    const text = input.value.replace(/\s/g, "").replace(",", ".");
    const given = text === "" ? null : Number(text);
    input.setCustomValidity(given !== null && !(Number.isFinite(given) && given >= 0) ? t("officer.need.number") : "");
    if (input.validity.valid) void (options.at ? options.at(given) : put(form.id, path, given));
  };
  const shown = options.shown ?? (typeof value === "number" ? String(value) : "");
  return html`<div class="group"><label class="field"><span>${fieldLabel(path)}${options.unit ? `, ${options.unit}` : ""}</span>
    <input type="text" inputmode="decimal" maxlength="16" autocomplete="off" data-path=${path} value=${shown} @input=${typed}></label>${remarks(form, path)}</div>`;
}

export function timeField(form: Form, path: string): TemplateResult {
  const value = valueAt(form.fields, path);
  const typed = (event: Event): void => {
    const text = (event.target as HTMLInputElement).value;
    void put(form.id, path, text ? atWallTime(text) : null);
  };
  return html`<div class="group"><label class="field"><span>${fieldLabel(path)}</span>
    <input type="datetime-local" data-path=${path} .value=${value ? wallTime(String(value)) : ""} max=${wallTime(Date.now())} @change=${typed}></label>
    ${remarks(form, path)}</div>`;
}

interface ChoiceOptions {
  values?: readonly string[];
  /** How many are shown before "more". */
  first?: number;
  /** What happens after the tap, beside keeping it. */
  then?: (value: string) => void;
  small?: boolean;
  text?: (value: string) => string;
  hidden?: boolean;
}

/** Big choices of a code list, one of them; tapping the chosen one takes it back. */
export function choiceField(form: Form, path: string, list: string, options: ChoiceOptions = {}): TemplateResult {
  const chosen = valueAt(form.fields, path);
  return choices(form, path, list, options, (value) => chosen === value, (value) => {
    void put(form.id, path, chosen === value && !options.then ? null : value);
    options.then?.(value);
  });
}

/** The same for several. */
export function choicesField(form: Form, path: string, list: string, options: ChoiceOptions = {}): TemplateResult {
  const chosen = (valueAt(form.fields, path) ?? []) as string[];
  return choices(form, path, list, options, (value) => chosen.includes(value), (value) =>
    void put(form.id, path, chosen.includes(value) ? chosen.filter((one) => one !== value) : [...chosen, value]));
}

function choices(
  form: Form, path: string, list: string, { values = codesOf(list), first = Infinity, small = false, text, hidden = false }: ChoiceOptions,
  isChosen: (value: string) => boolean, tap: (value: string) => void,
): TemplateResult {
  const button = (value: string): TemplateResult => html`<button type="button" class=${small ? "pick" : "choice"} data-code=${value}
    aria-pressed=${isChosen(value)} @click=${() => tap(value)}>${text ? text(value) : label(list, value)}</button>`;
  const more = values.slice(first);
  return html`<fieldset class="group" data-path=${path}><legend class=${hidden ? "hidden-label" : ""}>${fieldLabel(path)}</legend>
    <div class=${small ? "picks" : "choices-grid two"}>${values.slice(0, first).map(button)}</div>
    ${remarks(form, path)}${more.length ? html`<details class="over" ?open=${more.some(isChosen)}><summary>${t("officer.more")}</summary>
      <div class="choices-grid two">${more.map(button)}</div></details>` : nothing}</fieldset>`;
}

/** Yes or no, or nothing yet. */
export function yesNoField(form: Form, path: string): TemplateResult {
  const chosen = valueAt(form.fields, path);
  const button = (value: boolean, key: string): TemplateResult => html`<button type="button" class="choice" data-code=${key}
    aria-pressed=${chosen === value} @click=${() => put(form.id, path, value)}>${t(`officer.${key}`)}</button>`;
  return html`<fieldset class="group" data-path=${path}><legend>${fieldLabel(path)}</legend>
    <div class="pair">${button(true, "yes")}${button(false, "no")}</div>${remarks(form, path)}</fieldset>`;
}

const usePlace = (form: Form, { lon, lat, accuracy_m }: Place): void => void edit(form.id, { lon, lat, accuracy_m, coord_source: "gps" });
const usePin = (form: Form) => ({ lon, lat }: Spot, accuracy_m: number): void => void edit(form.id, { lon, lat, accuracy_m, coord_source: "map" });

function gps(form: Form): TemplateResult {
  const place = state.place;
  if (place) {
    const chosen = form.fields.coord_source === "gps" && form.fields.lon !== undefined;
    return html`<button type="button" class="choice" aria-pressed=${chosen} @click=${() => usePlace(form, place)}>${icon("pin")}${t("officer.report.gps")}
      <small>${t("officer.report.accuracy", { n: number(place.accuracy_m ?? 0) })}</small></button>`;
  }
  const failed = state.placeState === "denied" || state.placeState === "unavailable";
  return html`<button type="button" class="choice" ?disabled=${state.placeState === "asking"} @click=${showPlace}>${icon("pin")}
      ${t(state.placeState === "asking" ? "officer.place.asking" : "officer.report.gps")}</button>
    ${failed ? html`<p class="fault">${t(`officer.place.${state.placeState}`)}</p>` : nothing}`;
}

/** Where the pin of a search begins: where it was when the question was opened, or the device then; moved by hand after that. */
const searchedFrom = new Map<string, Spot>();

/** Where the search was, when not where the vehicle was stopped: asked only of whoever says so. */
export function searchedField(form: Form): TemplateResult {
  const { lon, lat, searched_lon, searched_lat } = form.fields;
  const put_ = ({ lon: to_lon, lat: to_lat }: Spot): void => void edit(form.id, { searched_lon: to_lon, searched_lat: to_lat });
  const begin = (spot: Spot): void => {
    searchedFrom.set(form.id, { lon: spot.lon, lat: spot.lat });
    put_(spot);
  };
  const known = state.place ?? (lon === undefined || lat === undefined ? null : { lon, lat });
  if (typeof searched_lon !== "number" || typeof searched_lat !== "number") {
    return html`<button type="button" class="big" data-add="searched" ?disabled=${!known} @click=${() => known && begin(known)}>
      ${icon("pin")}${t("officer.form.searched.elsewhere")}</button>`;
  }
  const from = searchedFrom.get(form.id) ?? { lon: searched_lon, lat: searched_lat };
  searchedFrom.set(form.id, from);
  const { place } = state;
  const same = (): void => {
    searchedFrom.delete(form.id);
    void edit(form.id, { searched_lon: null, searched_lat: null });
  };
  return html`<div class="group" data-path="searched_lon"><h2>${t("officer.form.searched.place")}</h2>
    ${place ? html`<button type="button" class="choice" @click=${() => begin(place)}>${icon("pin")}${t("officer.report.gps")}</button>` : nothing}
    <p class="muted">${t("officer.report.or_pin")}</p>
    <div class="pin-frame"><officer-map .pointed=${put_} .pin=${from}></officer-map><i aria-hidden="true">${icon("pin")}</i></div>
    <p role="status">${searched_lat.toFixed(5)}, ${searched_lon.toFixed(5)}</p>
    <button type="button" class="big" data-remove="searched" @click=${same}>${t("officer.form.searched.same")}</button>
    ${remarks(form, "searched_lon")}${remarks(form, "searched_lat")}</div>`;
}

/** Where the pin begins: at the form's place, else at the task; then it is where the officer moves it. */
function start({ fields, task_id }: Form): Spot | null {
  if (fields.lon !== undefined && fields.lat !== undefined) return fields.coord_source === "map" ? null : { lon: fields.lon, lat: fields.lat };
  const point = task_id ? taskById(task_id)?.point : null;
  return point ? { lon: point.coordinates[0], lat: point.coordinates[1] } : null;
}

/** A place as words: what it is from, and how exact it is. */
export const placeText = ({ lon, lat, accuracy_m, coord_source }: Fields): string => lon === undefined || lat === undefined ? t("officer.report.nowhere")
  : t(`officer.report.at.${coord_source === "map" ? "map" : "gps"}`, { lat: lat.toFixed(5), lon: lon.toFixed(5), n: number(accuracy_m ?? 0) });

export const isRough = ({ lon, accuracy_m, coord_source }: Fields): boolean =>
  lon !== undefined && coord_source === "gps" && (accuracy_m ?? Infinity) > ROUGH_M;

/** The exact point: by the device, or by a pin on the map; a rough one asks for the pin. */
export const placeField = (form: Form): TemplateResult => html`<div class="group" data-path="lon">${gps(form)}
  ${isRough(form.fields) ? html`<p class="doubt" role="status">${t("officer.report.rough")}</p>` : html`<p class="muted">${t("officer.report.or_pin")}</p>`}
  <div class="pin-frame ${isRough(form.fields) ? "asked" : ""}"><officer-map .pointed=${usePin(form)} .pin=${start(form)}></officer-map><i aria-hidden="true">${icon("pin")}</i></div>
  <p role="status">${placeText(form.fields)}</p>${remarks(form, "lon")}${remarks(form, "lat")}</div>`;
