/** How old a position is and what that makes it. */
import { span, t } from "./i18n";

export type Freshness = "fresh" | "stale" | "lost";
const LOST_AFTER_S = 600;

export const ageSeconds = (fixAt: string, now = Date.now()): number => Math.max(0, (now - Date.parse(fixAt)) / 1000);

export function freshness(fixAt: string, staleAfterS: number, now = Date.now()): Freshness {
  const age = ageSeconds(fixAt, now);
  if (age > LOST_AFTER_S) return "lost";
  return age > staleAfterS ? "stale" : "fresh";
}

export const ageText = (fixAt: string | null | undefined, now = Date.now()): string =>
  fixAt ? span(ageSeconds(fixAt, now)) : t("age.never");
