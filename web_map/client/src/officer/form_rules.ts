/** What a form needs before it can be sent, what looks wrong about it, and what is sent of it. */
import type { StoppedPerson } from "../shared/contract";
import { plateDoubts, vehicleDoubts, type Doubt } from "./checks";
import type { Fields, Form } from "./model";

/** Results that ask what was done about it. */
const IRREGULAR = new Set(["documents_irregular", "minor_irregularity", "violation"]);
const TAKEN = ["seizure", "detention"];
/** Reasons that come with a recommendation of what to do. */
const ADVISED = new Set(["indicator", "intelligence", "rerouted", "partner_request"]);
const AHEAD_MS = 120_000;

export interface Need {
  field: string;
  code: "missing" | "order" | "future" | "form";
}

/** The value at a path such as `persons.0.name`. */
export function valueAt(fields: unknown, path: string): unknown {
  return path.split(".").reduce<unknown>((inner, name) => (inner as Record<string, unknown> | null | undefined)?.[name], fields);
}

/** The fields with another value at a path; what was is left alone. */
export function withValue<Whole>(fields: Whole, path: string, value: unknown): Whole {
  const [name = "", ...rest] = path.split(".");
  const next = rest[0] !== undefined && /^\d+$/.test(rest[0]) ? [] : {};
  const inner = rest.length ? withValue((fields as Record<string, unknown>)[name] ?? next, rest.join("."), value) : value;
  if (!Array.isArray(fields)) return { ...fields, [name]: inner };
  const items = [...(fields as unknown[])];
  items[Number(name)] = inner;
  return items as Whole;
}

export const asksWhyNothingWasSeized = ({ result, measures }: Fields): boolean =>
  IRREGULAR.has(result ?? "") && !TAKEN.some((measure) => measures?.includes(measure));

export const isAdvised = ({ reason_code }: Fields): boolean => ADVISED.has(reason_code ?? "");

const missing = (field: string, value: unknown): Need[] => (value === undefined || value === null || value === "" ? [{ field, code: "missing" }] : []);

const BIRTH_DATE = /^(18|19|20|21)\d\d-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$/;
const COUNTRY = /^[A-Z]{2}$/;
const upper = (text: string): string => text.trim().toUpperCase();

const shaped = (field: string, value: string | null | undefined, pattern: RegExp): Need[] =>
  value?.trim() && !pattern.test(upper(value)) ? [{ field, code: "form" }] : [];

const ofPerson = (person: StoppedPerson, n: number): Need[] => [
  ...(["role", "category", "basis"] as const).flatMap((name) => missing(`persons.${n}.${name}`, person[name])),
  ...missing(`persons.${n}.name`, person.name?.trim() || person.description?.trim()),
  ...shaped(`persons.${n}.birth_date`, person.birth_date, BIRTH_DATE), ...shaped(`persons.${n}.nationality`, person.nationality, COUNTRY),
];

function ofTimes(fields: Fields, names: readonly (keyof Fields)[]): Need[] {
  const future = names.filter((name) => Date.parse(String(fields[name])) > Date.now() + AHEAD_MS);
  const order = fields.ended_at && fields.first_stopped_at && fields.ended_at < fields.first_stopped_at ? ["ended_at"] : [];
  return [...future.map((field): Need => ({ field, code: "future" })), ...order.map((field): Need => ({ field, code: "order" }))];
}

/** What is still to be said, or cannot be. */
export function needs({ kind, fields }: Form): Need[] {
  if (kind === "violation") {
    return [...missing("category", fields.category), ...missing("lon", fields.lon), ...ofTimes(fields, ["occurred_at"])];
  }
  return [
    ...missing("reason_code", fields.reason_code), ...missing("lon", fields.lon), ...(fields.persons ?? []).flatMap(ofPerson),
    ...missing("result", fields.result),
    ...(asksWhyNothingWasSeized(fields) ? missing("no_seizure_reason", fields.no_seizure_reason) : []),
    ...ofTimes(fields, ["first_stopped_at", "searched_at", "ended_at"]),
  ];
}

const doubtsOf = ({ kind, fields }: Form): Doubt[] =>
  kind === "stop" ? vehicleDoubts(fields.vehicle ?? {}) : fields.plate?.trim() ? plateDoubts("plate", fields.plate) : [];

/** What a confirmation holds for: this doubt about what is written now. */
export const markOf = ({ field, code }: Doubt, fields: Fields): string => `${field} ${code} ${String(valueAt(fields, field))}`;

/** What looks wrong and was not confirmed to be right. */
export const doubts = (form: Form): Doubt[] => doubtsOf(form).filter((doubt) => !form.confirmed.includes(markOf(doubt, form.fields)));

/** What looks wrong, and is right all the same by the officer's word. */
export const confirmedDoubts = (form: Form): Doubt[] => doubtsOf(form).filter((doubt) => form.confirmed.includes(markOf(doubt, form.fields)));

/** A value without what was left empty; undefined when nothing is left. */
function filled(value: unknown): unknown {
  if (typeof value === "string") return value.trim() || undefined;
  if (Array.isArray(value)) {
    const items = value.map(filled).filter((item) => item !== undefined);
    return items.length ? items : undefined;
  }
  if (value === null || typeof value !== "object") return value ?? undefined;
  const entries = Object.entries(value).map(([name, inner]) => [name, filled(inner)] as const).filter(([, inner]) => inner !== undefined);
  return entries.length ? Object.fromEntries(entries) : undefined;
}

/** What is sent of a form. */
export function bodyOf(form: Form): Record<string, unknown> {
  const { ...fields } = form.fields;
  if (!asksWhyNothingWasSeized(fields)) delete fields.no_seizure_reason;
  if (!isAdvised(fields)) delete fields.recommendation_followed;
  if (fields.recommendation_followed !== false) delete fields.recommendation_why_not;
  if (fields.company && !fields.company.name?.trim()) delete fields.company;
  if (!fields.vehicle?.plate?.trim() && fields.vehicle) fields.vehicle = { ...fields.vehicle, country: null };
  fields.persons = fields.persons?.map((one) => (one.nationality ? { ...one, nationality: upper(one.nationality) } : one));
  return { id: form.id, ...(filled(fields) as object), ...(form.task_id ? { task_id: form.task_id } : {}) };
}
