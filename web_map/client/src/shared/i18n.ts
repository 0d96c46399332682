/** Every visible text by key, in English and Lithuanian; numbers and times as the reader's language writes them. */
import en from "./i18n/en.json";
import lt from "./i18n/lt.json";
import devicesEn from "./i18n/devices.en.json";
import devicesLt from "./i18n/devices.lt.json";
import officerEn from "./i18n/officer.en.json";
import officerLt from "./i18n/officer.lt.json";
import peopleEn from "./i18n/people.en.json";
import peopleLt from "./i18n/people.lt.json";
import shiftsEn from "./i18n/shifts.en.json";
import shiftsLt from "./i18n/shifts.lt.json";
import supervisorEn from "./i18n/supervisor.en.json";
import supervisorLt from "./i18n/supervisor.lt.json";
import { ZONE } from "./wall_time";

export type Language = "en" | "lt";
export const LANGUAGES: readonly Language[] = ["en", "lt"];
const STORED = "outrider.language";
const CATALOGUES: Record<Language, Record<string, string>> = {
  en: { ...en, ...officerEn, ...supervisorEn, ...devicesEn, ...peopleEn, ...shiftsEn },
  lt: { ...lt, ...officerLt, ...supervisorLt, ...devicesLt, ...peopleLt, ...shiftsLt },
};
const listeners = new Set<() => void>();
let language: Language = initial();
document.documentElement.lang = language;

function initial(): Language {
  const stored = localStorage.getItem(STORED);
  if (stored === "en" || stored === "lt") return stored;
  return navigator.language.toLowerCase().startsWith("lt") ? "lt" : "en";
}

export const currentLanguage = (): Language => language;

export function setLanguage(chosen: Language): void {
  language = chosen;
  localStorage.setItem(STORED, chosen);
  document.documentElement.lang = chosen;
  formats.clear();
  for (const listener of listeners) listener();
}

/** Call `listener` whenever the language changes; returns how to stop. */
export function onLanguage(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The text of a key, with `{name}` filled in; a key without text shows itself, which a test forbids. */
export function t(key: string, values: Record<string, string | number> = {}): string {
  const text = CATALOGUES[language][key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => (name in values ? String(values[name]) : whole));
}

/** The text of a key, if a catalogue has one. */
export const known = (key: string): string | undefined => CATALOGUES[language][key];

/** The text of a coded value, e.g. `code("task_kind", "escort")`; a value no catalogue knows shows as it is. */
export function code(list: string, value: string | null | undefined): string {
  if (!value) return "";
  return CATALOGUES[language][`${list}.${value}`] ?? value.replaceAll("_", " ");
}

const formats = new Map<string, Intl.DateTimeFormat | Intl.NumberFormat>();

function dateFormat(name: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  let format = formats.get(name) as Intl.DateTimeFormat | undefined;
  if (!format) {
    format = new Intl.DateTimeFormat(language === "lt" ? "lt-LT" : "en-GB", { timeZone: ZONE, ...options });
    formats.set(name, format);
  }
  return format;
}

export const clock = (moment: string | Date): string =>
  dateFormat("clock", { hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(new Date(moment));
export const hourMinute = (moment: string | Date): string =>
  dateFormat("hm", { hour: "2-digit", minute: "2-digit" }).format(new Date(moment));
export const dayTime = (moment: string | Date): string =>
  dateFormat("dt", { day: "2-digit", month: "2-digit", hour: "2-digit", minute: "2-digit" }).format(new Date(moment));
export const day = (moment: string | Date): string =>
  dateFormat("d", { day: "numeric", month: "long", year: "numeric" }).format(new Date(moment));

export function number(value: number, digits = 0): string {
  const name = `n${digits}`;
  let format = formats.get(name) as Intl.NumberFormat | undefined;
  if (!format) {
    format = new Intl.NumberFormat(language === "lt" ? "lt-LT" : "en-GB", { maximumFractionDigits: digits });
    formats.set(name, format);
  }
  return format.format(value);
}

export function distance(metres: number): string {
  return metres < 950 ? `${number(Math.round(metres / 10) * 10)} m` : `${number(metres / 1000, metres < 9_950 ? 1 : 0)} km`;
}

/** A time span in one unit: "45 s", "4 min", "3 h", "2 d". */
export function span(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  if (s < 90) return t("span.s", { n: s });
  if (s < 5_400) return t("span.min", { n: Math.round(s / 60) });
  if (s < 129_600) return t("span.h", { n: Math.round(s / 3_600) });
  return t("span.d", { n: Math.round(s / 86_400) });
}
