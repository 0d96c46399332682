/** What is wrong with a field, in the reader's language: as the server said it, as it is missing, or as it looks. */
import type { FieldFault } from "../shared/api";
import { currentLanguage, known, t } from "../shared/i18n";
import { refusedFor } from "../shared/refusal";
import type { Doubt } from "./checks";
import type { Need } from "./form_rules";
import type { Refusal } from "./model";

/** The name of the field at a path such as `persons.0.name`, as its form calls it. */
export function fieldLabel(path: string): string {
  const name = path.replace(/\.\d+/g, "");
  return known(`officer.field.${name}`) ?? name;
}

/** The same where it stands by itself: of several it says which. */
export function fieldName(path: string): string {
  const n = /\.(\d+)/.exec(path)?.[1];
  return n === undefined ? fieldLabel(path) : `${fieldLabel(path)} (${Number(n) + 1})`;
}

/** What the server said of a field; its own words where the catalogue has none for the kind of fault. */
export const faultText = ({ code, detail }: FieldFault): string =>
  known(`officer.fault.${code}`) ?? (currentLanguage() === "en" && detail ? detail : t("officer.fault.other"));

export const needText = ({ code }: Need): string => t(`officer.need.${code}`);
export const doubtText = ({ code, value }: Doubt): string => t(`officer.doubt.${code}`, { value });

/** A refusal as sentences: one for each field that was wrong, or one for the whole. */
export function refusalLines({ code, detail, errors = [] }: Refusal): string[] {
  const fields = errors.map((fault) => (fault.field ? `${fieldName(fault.field)}: ${faultText(fault)}` : faultText(fault)));
  return fields.length ? fields : [code === "invalid" ? t("officer.fault.invalid") : refusedFor(code, detail)];
}
