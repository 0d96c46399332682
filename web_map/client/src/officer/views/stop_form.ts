/** The record of a stop or control (domain: stop form) in steps, one group of questions each. */
import { html, nothing, type TemplateResult } from "lit";
import { code, number, t } from "../../shared/i18n";
import type { Penalty, StoppedPerson } from "../../shared/contract";
import { asksWhyNothingWasSeized, isAdvised } from "../form_rules";
import { begin, edit, nameVehicle, put, withVehicles } from "../forms";
import type { Fields, Form } from "../model";
import { filesOf } from "../photos";
import { go } from "../routes";
import { results } from "../steps";
import { codesOf, state, taskById, unitName } from "../store";
import type { FormStep } from "./form";
import { choiceField, choicesField, isRough, numberField, placeField, placeText, searchedField, textField, timeField, yesNoField } from "./fields";
import { icon, label, moment } from "./parts";
import { photosStep } from "./photos";

const COUNTRIES = ["LT", "LV", "PL", "BY", "RU", "EE", "UA", "DE"];
const ROLES = ["driver", "passenger", "owner", "pedestrian", "other"];
const CATEGORIES = ["suspect", "witness", "victim", "convicted", "other"];
const MOST_PEOPLE = 20;
const MOST_CONTAINERS = 10;

/** The unit and the task are the server's to say or known already: they are shown, not asked. */
export function known(form: Form): TemplateResult {
  const task = form.task_id ? taskById(form.task_id) : undefined;
  const unit = unitName(state.shift?.unit_id);
  return html`<p class="muted">${[unit, task && `${t("officer.task", { number: task.number })} · ${task.title}`].filter(Boolean).join(" · ")}</p>`;
}

const why = (form: Form): TemplateResult => html`${known(form)}${choiceField(form, "reason_code", "control_reason", { hidden: true })}
  ${textField(form, "grounds", { rows: 2, most: 2_000 })}${textField(form, "legal_base")}`;

const where = (form: Form): TemplateResult => html`${known(form)}${timeField(form, "first_stopped_at")}${placeField(form)}${textField(form, "place_text")}`;

/** Plates named before for this task, one tap each. */
export function offered(form: Form): TemplateResult | typeof nothing {
  const written = (form.fields.vehicle?.plate ?? form.fields.plate ?? "").trim();
  const others = withVehicles(form).filter(({ plate }) => plate !== written);
  if (!others.length) return nothing;
  return html`<div class="group"><p class="muted">${t("officer.form.named_before")}</p><div class="picks">${others.slice(0, 6).map((vehicle) =>
    html`<button type="button" class="pick code" data-plate=${vehicle.plate} @click=${() => nameVehicle(form.id, vehicle)}>${vehicle.plate}</button>`)}</div></div>`;
}

function vehicle(form: Form): TemplateResult {
  const containers = form.fields.vehicle?.containers ?? [];
  const { country } = form.fields.vehicle ?? {};
  const values = country && !COUNTRIES.includes(country) ? [country, ...COUNTRIES] : COUNTRIES;
  return html`${offered(form)}${textField(form, "vehicle.plate", { most: 20, capitals: true })}
    ${choiceField(form, "vehicle.country", "country", { values, small: true, text: (value) => value })}
    ${textField(form, "vehicle.trailer_plate", { most: 20, capitals: true })}
    ${containers.map((_, n) => textField(form, `vehicle.containers.${n}`, { most: 20, capitals: true, hint: n ? "" : t("officer.form.container.hint") }))}
    ${containers.length < MOST_CONTAINERS ? html`<button type="button" class="big" data-add="container"
      @click=${() => put(form.id, `vehicle.containers.${containers.length}`, "")}>${icon("plus")}${t("officer.form.container.add")}</button>` : nothing}
    <details class="over" ?open=${Boolean(form.fields.vehicle?.make || form.fields.vehicle?.vin)}><summary>${t("officer.form.vehicle.more")}</summary><div class="stack">${textField(form, "vehicle.make", { most: 60 })}
      ${textField(form, "vehicle.colour", { most: 40 })}${textField(form, "vehicle.vin", { most: 30, capitals: true })}</div></details>`;
}

function person(form: Form, n: number): TemplateResult {
  const at = (name: string): string => `persons.${n}.${name}`;
  const remove = (): void => void edit(form.id, { persons: (form.fields.persons ?? []).filter((_, i) => i !== n) });
  return html`<section class="card person"><div class="row between"><h3>${t("officer.form.person", { n: n + 1 })}</h3>
      <button type="button" class="big" @click=${remove}>${t("officer.form.person.remove")}</button></div>
    ${choiceField(form, at("role"), "person_role", { values: ROLES, small: true, text: (value) => label("person_role", value) })}
    ${choiceField(form, at("category"), "person_category", { values: CATEGORIES, small: true, text: (value) => label("person_category", value) })}
    ${choiceField(form, at("basis"), "person_basis", { values: ["fact", "assessment"], small: true, text: (value) => label("person_basis", value) })}
    ${textField(form, at("name"))}${textField(form, at("description"), { rows: 2, most: 2_000 })}
    ${textField(form, at("birth_date"), { most: 10, mode: "numeric", hint: t("officer.form.birth_date.hint") })}
    ${textField(form, at("nationality"), { most: 2, capitals: true, hint: t("officer.form.nationality.hint") })}
    ${textField(form, at("document"), { most: 60, capitals: true })}</section>`;
}

function people(form: Form): TemplateResult {
  const persons = form.fields.persons ?? [];
  const blank = { role: persons.length ? "passenger" : "driver" } as StoppedPerson;
  return html`${persons.map((_, n) => person(form, n))}
    ${persons.length ? nothing : html`<p class="muted">${t("officer.form.people.none")}</p>`}
    ${persons.length < MOST_PEOPLE ? html`<button type="button" class="choice" data-add="person" @click=${() => edit(form.id, { persons: [...persons, blank] })}>
      ${icon("plus")}${t("officer.form.person.add")}</button>` : nothing}
    <details class="over" ?open=${Boolean(form.fields.company?.name || form.fields.declaration_ref)}><summary>${t("officer.form.company")}</summary><div class="stack">${textField(form, "company.name")}
      ${textField(form, "company.number", { most: 40, capitals: true })}${textField(form, "declaration_ref", { most: 60, capitals: true })}</div></details>`;
}

const control = (form: Form): TemplateResult => html`${choicesField(form, "control_types", "control_type", { hidden: true })}
  ${textField(form, "search_object")}${timeField(form, "searched_at")}${searchedField(form)}`;

/** Report what was found without typing anything twice; the stop form names the report. */
async function reportViolation(form: Form): Promise<void> {
  const { lon, lat, accuracy_m, coord_source, place_text, vehicle: stopped } = form.fields;
  const given: Fields = { lon, lat, accuracy_m, coord_source, place_text, plate: stopped?.plate ?? null };
  const made = await begin("violation", form.task_id, given);
  await edit(form.id, { violation_ids: [...(form.fields.violation_ids ?? []), made.id] });
  go(`#/form/${made.id}/`);
}

function result(form: Form): TemplateResult {
  const reported = form.fields.violation_ids?.length ?? 0;
  return html`${choiceField(form, "result", "task_result", { values: results(codesOf("task_result")), hidden: true })}
    ${textField(form, "findings", { rows: 4, most: 10_000 })}
    ${form.fields.result === "violation" || reported ? html`<div class="group"><button type="button" class="choice" data-report @click=${() => reportViolation(form)}>
      ${icon("report")}${t("officer.form.report")}</button>${reported ? html`<p class="muted">${t("officer.form.reported", { n: reported })}</p>` : nothing}</div>` : nothing}`;
}

const AMOUNTS = ["fine", "duty_collected"];

/** What was paid or imposed, kept as a penalty of that kind. */
function amount(form: Form, kind: string): TemplateResult {
  const others = (form.fields.penalties ?? []).filter((penalty) => penalty.kind !== kind);
  const n = (form.fields.penalties ?? []).findIndex((penalty) => penalty.kind === kind);
  const at = (value: number | null): void =>
    void edit(form.id, { penalties: value === null ? others : [...others, { kind, amount_eur: value } satisfies Penalty] });
  const shown = n < 0 ? "" : String(form.fields.penalties?.[n]?.amount_eur);
  return html`<div class="group" data-amount=${kind}>${numberField(form, `penalties.${kind}`, { unit: "EUR", at, shown })}</div>`;
}

function measures(form: Form): TemplateResult {
  const taken = form.fields.measures ?? [];
  return html`${choicesField(form, "measures", "measure", { hidden: true })}
    ${AMOUNTS.filter((kind) => taken.includes(kind)).map((kind) => amount(form, kind))}
    ${asksWhyNothingWasSeized(form.fields) ? choiceField(form, "no_seizure_reason", "no_seizure_reason") : nothing}
    ${isAdvised(form.fields) ? yesNoField(form, "recommendation_followed") : nothing}
    ${isAdvised(form.fields) && form.fields.recommendation_followed === false ? textField(form, "recommendation_why_not", { rows: 2, most: 2_000 }) : nothing}
    ${textField(form, "other_measures", { rows: 2, most: 2_000 })}`;
}

const COPY = ["yes", "no", "refused", "electronic"];

const end = (form: Form): TemplateResult => html`${timeField(form, "ended_at")}
  ${choiceField(form, "copy_given", "copy_given", { values: COPY, small: true, text: (value) => label("copy_given", value) })}
  ${textField(form, "injury_damage", { rows: 2, most: 2_000 })}${textField(form, "remarks", { rows: 2, most: 2_000 })}`;

const list = (name: string, values: readonly string[] | undefined): string => (values ?? []).map((value) => code(name, value)).join(", ");

export const STOP_STEPS: readonly FormStep[] = [
  { name: "why", fields: ["reason_code", "grounds", "legal_base", "officers"], draw: why, summary: ({ fields }) => label("control_reason", fields.reason_code) },
  {
    name: "where", fields: ["first_stopped_at", "lon", "lat", "accuracy_m", "coord_source", "place_text"], draw: where,
    summary: ({ fields }) => [moment(String(fields.first_stopped_at)), fields.place_text || placeText(fields), isRough(fields) ? t("officer.report.rough.short") : ""].filter(Boolean).join(" · "),
  },
  {
    name: "vehicle", fields: ["vehicle"], draw: vehicle,
    summary: ({ fields: { vehicle: of } }) => [of?.plate, of?.country, of?.trailer_plate, ...(of?.containers ?? [])].filter(Boolean).join(" · "),
  },
  {
    name: "people", fields: ["persons", "company", "declaration_ref"], draw: people,
    summary: ({ fields }) => [...(fields.persons ?? []).map((one) => one.name || one.description || label("person_role", one.role)), fields.company?.name].filter(Boolean).join(", "),
  },
  { name: "control", fields: ["control_types", "search_object", "searched_at", "searched_lon", "searched_lat"], draw: control, summary: ({ fields }) => list("control_type", fields.control_types) },
  { name: "result", fields: ["result", "findings", "violation_ids"], draw: result, summary: ({ fields }) => label("task_result", fields.result) },
  {
    name: "measures", draw: measures,
    fields: ["measures", "no_seizure_reason", "penalties", "recommendation_followed", "recommendation_why_not", "other_measures"],
    summary: ({ fields }) => [list("measure", fields.measures), ...(fields.penalties ?? []).map(({ amount_eur }) => `${number(amount_eur, 2)} EUR`),
      asksWhyNothingWasSeized(fields) ? code("no_seizure_reason", fields.no_seizure_reason) : ""].filter(Boolean).join(" · "),
  },
  { name: "photos", fields: [], draw: photosStep, summary: ({ id }) => (filesOf(id).length ? t("officer.form.photos", { n: filesOf(id).length }) : "") },
  { name: "end", fields: ["ended_at", "copy_given", "injury_damage", "remarks", "exercise", ""], draw: end, summary: () => "" },
];
