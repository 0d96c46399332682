/** Troubles, classes of intervals and spans of time in words. */
import { number, span, t } from "../shared/i18n";
import type { Reason, Trust } from "./state";

const percent = (share: number): string => `${number(100 * share, share < 0.1 ? 1 : 0)} %`;
const VALUES: Record<string, (value: number) => string> = {
  unheard: span,
  clock: span,
  battery: (value) => `${number(value)} %`,
  few: (value) => number(value),
};

/** A reason as a few words, e.g. "12 % impossible jumps". */
export function reasonText(reason: Reason, device: Trust): string {
  const value = (VALUES[reason.code] ?? percent)(reason.value);
  const ahead = reason.code === "clock" && (device.skew_s ?? 0) < 0;
  return t(ahead ? "trust.reason.clock_ahead" : `trust.reason.${reason.code}`, { value });
}

export const share = (n: number, of: number): string => (of ? percent(n / of) : "–");
export const shareText = (value: number | null): string => (value === null ? "–" : percent(value));

/** How far a clock is off, in words. */
export function skewText(seconds: number | null): string {
  if (seconds === null) return "–";
  if (Math.abs(seconds) < 3) return t("trust.clock_right");
  return t(seconds > 0 ? "trust.clock_behind" : "trust.clock_ahead", { value: span(Math.abs(seconds)) });
}

function bound(seconds: number): string {
  if (seconds % 3_600 === 0) return t("span.h", { n: seconds / 3_600 });
  return seconds % 60 ? t("span.s", { n: seconds }) : t("span.min", { n: seconds / 60 });
}

/** The class of intervals between two bounds, e.g. "8 s – 16 s". */
export function classText(place: number, bounds: number[]): string {
  const [from, to] = [bounds[place - 1], bounds[place]];
  if (from === undefined) return `< ${bound(to ?? 0)}`;
  return to === undefined ? `≥ ${bound(from)}` : `${bound(from)} – ${bound(to)}`;
}

/** Where a class begins, as the shortest label. */
export const classMark = (place: number, bounds: number[]): string => (place ? bound(bounds[place - 1] ?? 0) : "0");

export function standing(score: number | null): string {
  if (score === null) return "none";
  return score >= 80 ? "good" : score >= 50 ? "fair" : "bad";
}

/** What tells a device from the others of its protocol. */
export const nameOf = (device: { identifier: string | null; id: string }): string => device.identifier ?? `…${device.id.slice(-6)}`;
