/** Beginning and ending a shift: who is with us, what was checked, what the odometer shows, what the next crew must know. */
import { html, nothing, type TemplateResult } from "lit";
import { code, t } from "../../shared/i18n";
import { editEnding, editStarting, ending, endShift, starting, startShift } from "../duty";
import type { Checked } from "../model";
import { go } from "../routes";
import { codesOf, duty, sheetOf, state, unitName } from "../store";
import { backBar, label } from "./parts";

const STATES: readonly Checked["state"][] = ["ok", "missing", "faulty"];
const MOST_KM = 9_999_999;

function units(): TemplateResult | typeof nothing {
  const chosen = starting().unit_id;
  if (state.units.length < 2) return nothing;
  return html`<section><h2>${t("officer.shift.which")}</h2><div class="choices-grid two">${state.units.map((unit) =>
    html`<button class="choice" data-unit=${unit.call_sign} aria-pressed=${unit.id === chosen}
      @click=${() => editStarting({ unit_id: unit.id, members: [] })}>${unit.call_sign}</button>`)}</div></section>`;
}

function crew(): TemplateResult | typeof nothing {
  const { unit_id, members } = starting();
  const others = (sheetOf(unit_id)?.people ?? []).filter(({ id }) => id !== state.me?.id);
  if (!others.length) return nothing;
  const turn = (id: string): Promise<void> =>
    editStarting({ members: members.includes(id) ? members.filter((one) => one !== id) : [...members, id] });
  return html`<section><h2>${t("officer.shift.crew")}</h2><div class="choices-grid two">${others.map(({ id, name }) =>
    html`<button class="choice" aria-pressed=${members.includes(id)} @click=${() => turn(id)}>${name}</button>`)}</div></section>`;
}

function equipment(): TemplateResult {
  const { checked } = starting();
  const items = codesOf("equipment");
  const all = (): Promise<void> => editStarting({ checked: Object.fromEntries(items.map((item) => [item, "ok" as const])) });
  const row = (item: string): TemplateResult => html`<fieldset class="check"><legend>${label("equipment", item)}</legend>${STATES.map((one) =>
    html`<button class="big" aria-pressed=${checked[item] === one} data-state=${one}
      @click=${() => editStarting({ checked: { ...checked, [item]: one } })}>${code("equipment_state", one)}</button>`)}</fieldset>`;
  return html`<section><h2>${t("officer.shift.equipment")}</h2>
    <button class="big" @click=${all}>${t("officer.shift.all_ok")}</button>${items.map(row)}</section>`;
}

const odometer = (value: string, change: (text: string) => void, least = 0): TemplateResult => {
  const fewer = value !== "" && Number(value) < least;
  return html`<label class="field"><span>${t("officer.shift.odometer")}</span><input inputmode="numeric" type="number" min="0" max=${MOST_KM}
    .value=${value} @input=${(event: Event) => change((event.target as HTMLInputElement).value)}></label>
    ${fewer ? html`<p class="fault" role="alert">${t("officer.shift.fewer", { n: least })}</p>` : nothing}`;
};

function startForm(): TemplateResult {
  const now = starting();
  const begin = async (): Promise<void> => {
    if (await startShift()) go("#/");
  };
  return html`<div class="page one">${backBar("#/duty", t("officer.shift.begin"))}${units()}${crew()}
    <section>${odometer(now.odometer_km, (text) => void editStarting({ odometer_km: text }))}</section>${equipment()}
    <div class="steps"><button class="next" ?disabled=${!now.unit_id} @click=${begin}>${now.unit_id
      ? t("officer.shift.start", { unit: unitName(now.unit_id) }) : t("officer.shift.which")}</button></div></div>`;
}

function endForm(): TemplateResult {
  const now = ending();
  const end = async (): Promise<void> => {
    if (await endShift()) go("#/duty");
  };
  return html`<div class="page one">${backBar("#/duty", t("officer.shift.end"))}
    <section>${odometer(now.odometer_km, (text) => void editEnding({ odometer_km: text }), state.shift?.odometer_from_km ?? 0)}</section>
    <section><label class="field"><span>${t("officer.shift.handover")}</span><textarea rows="5" maxlength="10000" .value=${now.note}
      @input=${(event: Event) => editEnding({ note: (event.target as HTMLTextAreaElement).value })}></textarea></label></section>
    <div class="steps"><button class="next calm" @click=${end}>${t("officer.shift.end")}</button></div></div>`;
}

/** The form for the begin or the end, whichever is possible now. */
export function shiftView(what: "start" | "end"): TemplateResult {
  const now = duty();
  if (what === "start" && now === "off") return startForm();
  if (what === "end" && (now === "on" || now === "starting")) return endForm();
  return html`<div class="page">${backBar("#/duty", t("officer.nav.duty"))}<p>${t("officer.shift.done")}</p></div>`;
}
