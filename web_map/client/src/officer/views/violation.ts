/** The report of a violation in steps: what, which goods, where and when, the vehicle and a word about it, photos. */
import { html, type TemplateResult } from "lit";
import { code, number, t } from "../../shared/i18n";
import { put } from "../forms";
import type { Form } from "../model";
import { filesOf } from "../photos";
import { go } from "../routes";
import { codesOf } from "../store";
import { choiceField, isRough, numberField, placeField, placeText, textField, timeField } from "./fields";
import type { FormStep } from "./form";
import { label, moment } from "./parts";
import { photosStep } from "./photos";
import { known, offered } from "./stop_form";

const QUICK = 6;
/** In what a kind of goods is counted, unless the officer says otherwise. */
const UNITS: Record<string, string> = {
  cigarettes: "pack", cigars: "piece", fine_cut: "kg", other_smoking_tobacco: "kg", spirits: "l", ethyl_alcohol: "l", beer: "l", wine: "l",
  intermediate: "l", energy_products: "l", drugs: "g", cash: "eur",
};

const what = (form: Form): TemplateResult => html`${known(form)}${choiceField(form, "category", "violation_category", {
  hidden: true, first: QUICK, then: () => go(`#/form/${form.id}/goods`),
})}`;

function goods(form: Form): TemplateResult {
  const chosen = (value: string): void => {
    if (UNITS[value] && !form.fields.quantity_unit) void put(form.id, "quantity_unit", UNITS[value]);
  };
  return html`${choiceField(form, "goods_category", "goods_category", { first: QUICK, then: chosen })}
    ${numberField(form, "quantity")}
    ${choiceField(form, "quantity_unit", "quantity_unit", { small: true, text: (value) => code("quantity_unit", value) })}
    ${numberField(form, "evaded_duties_eur", { unit: "EUR" })}
    ${choiceField(form, "method", "method", { values: codesOf("method"), first: QUICK })}`;
}

const where = (form: Form): TemplateResult => html`${timeField(form, "occurred_at")}${placeField(form)}${textField(form, "place_text")}`;

const note = (form: Form): TemplateResult => html`${offered(form)}${textField(form, "plate", { most: 20, capitals: true })}
  ${textField(form, "note", { rows: 5, most: 10_000 })}`;

export const VIOLATION_STEPS: readonly FormStep[] = [
  { name: "what", fields: ["category"], draw: what, summary: ({ fields }) => label("violation_category", fields.category) },
  {
    name: "goods", fields: ["goods_category", "quantity", "quantity_unit", "evaded_duties_eur", "method"], draw: goods,
    summary: ({ fields }) => [label("goods_category", fields.goods_category),
      fields.quantity ? `${number(fields.quantity, 3)} ${code("quantity_unit", fields.quantity_unit)}` : "",
      fields.evaded_duties_eur ? t("officer.form.duties", { n: number(fields.evaded_duties_eur, 2) }) : "", code("method", fields.method)].filter(Boolean).join(" · "),
  },
  {
    name: "where", fields: ["occurred_at", "lon", "lat", "accuracy_m", "coord_source", "place_text"], draw: where,
    summary: ({ fields }) => [moment(String(fields.occurred_at)), fields.place_text || placeText(fields), isRough(fields) ? t("officer.report.rough.short") : ""].filter(Boolean).join(" · "),
  },
  { name: "note", fields: ["plate", "note", "task_id", ""], draw: note, summary: ({ fields }) => [fields.plate, fields.note].filter(Boolean).join(" · ") },
  { name: "photos", fields: [], draw: photosStep, summary: ({ id }) => (filesOf(id).length ? t("officer.form.photos", { n: filesOf(id).length }) : "") },
];
