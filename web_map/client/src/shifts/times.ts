/** When shifts are: what a bar spans, the columns of a day or a week as clocks in Lithuania show them, who is on when. */
import { currentLanguage, hourMinute } from "../shared/i18n";
import { startOfDay, wallTime, ZONE } from "../shared/wall_time";
import type { Scale, Shift, Standing } from "./state";

export const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;
const LATE_MS = 15 * MINUTE_MS;
const PARTS_OF_DAY = 6;

/** A stretch of time, in milliseconds since 1970. */
export interface Span {
  from: number;
  to: number;
}

export interface Column extends Span {
  label: string;
}

export const dayOf = (moment: number): string => wallTime(moment).slice(0, 10);

/** The local day `plus` days later. */
export const laterDay = (day: string, plus: number): string => wallTime(Date.parse(startOfDay(day, plus)) + HOUR_MS).slice(0, 10);

export const daysShown = (scale: Scale): number => (scale === "day" ? 1 : 7);

/** What the picture shows: one day, or seven from it on. */
export const viewOf = (day: string, scale: Scale): Span => ({ from: Date.parse(startOfDay(day)), to: Date.parse(startOfDay(day, daysShown(scale))) });

/** The hours of the day (23 or 25 where the clocks are changed), or the days of the week. */
export function columnsOf(day: string, scale: Scale): Column[] {
  if (scale === "week") {
    const name = new Intl.DateTimeFormat(currentLanguage() === "lt" ? "lt-LT" : "en-GB", { timeZone: ZONE, weekday: "short", day: "2-digit", month: "2-digit" });
    return Array.from({ length: 7 }, (_, n) => viewOf(laterDay(day, n), "day")).map((span) => ({ ...span, label: name.format(span.from) }));
  }
  const { from, to } = viewOf(day, "day");
  return Array.from({ length: Math.round((to - from) / HOUR_MS) }, (_, n) => from + n * HOUR_MS).map((at) => ({ from: at, to: at + HOUR_MS, label: wallTime(at).slice(11, 13) }));
}

/** The stretches for which units are counted: hours, or sixths of a day. */
export function countedIn(day: string, scale: Scale): Span[] {
  if (scale === "day") return columnsOf(day, scale);
  return columnsOf(day, scale).flatMap(({ from, to }) => {
    const length = (to - from) / PARTS_OF_DAY;
    return Array.from({ length: PARTS_OF_DAY }, (_, n) => ({ from: from + n * length, to: from + (n + 1) * length }));
  });
}

export function standing(shift: Shift, now: number): Standing {
  if (shift.cancelled_at) return "cancelled";
  if (shift.off_at) return "ended";
  if (shift.on_at) return "on";
  if (shift.to && Date.parse(shift.to) <= now) return "missed";
  return shift.from && Date.parse(shift.from) + LATE_MS < now ? "late" : "planned";
}

/** From when to when: as it was, as it is going to be, and one that is on until now at least. */
export function extent(shift: Shift, now: number): Span {
  const from = Date.parse(shift.on_at ?? shift.from ?? "");
  const to = shift.to ? Date.parse(shift.to) : from;
  return { from, to: shift.off_at ? Date.parse(shift.off_at) : shift.on_at ? Math.max(to, now) : to };
}

export const meets = (a: Span, b: Span): boolean => a.from < b.to && b.from < a.to;

/** `07:00–19:00`; of one that is on without a planned end `07:00–…`. */
export function hours(shift: Shift, now: number): string {
  const { from, to } = extent(shift, now);
  const open = shift.on_at && !shift.off_at && !shift.to;
  return `${hourMinute(new Date(from))}–${open ? "…" : hourMinute(new Date(shift.off_at || !shift.to ? to : shift.to))}`;
}

/** How many units at least are on shift all through each stretch, looked at twice an hour: those that were, then those planned. */
export function unitsOn(spans: Span[], shifts: Shift[], now: number): number[] {
  const times = shifts.filter((shift) => !shift.cancelled_at).map((shift) => {
    const { from, to } = extent(shift, now);
    return { unit: shift.unit_id, from: shift.on_at ? from : Math.max(from, now), to };
  });
  return spans.map((span) => {
    const near = times.filter((time) => meets(time, span));
    let least = Infinity;
    for (let at = span.from + 15 * MINUTE_MS; at < span.to; at += 30 * MINUTE_MS) {
      least = Math.min(least, new Set(near.filter(({ from, to }) => from <= at && at < to).map(({ unit }) => unit)).size);
    }
    return least;
  });
}

/** Bars that meet lie below each other: the lane of each. */
export function lanes(spans: Span[]): number[] {
  const ends: number[] = [];
  return spans.map(({ from, to }) => {
    let lane = ends.findIndex((end) => end <= from);
    if (lane < 0) lane = ends.length;
    ends[lane] = to;
    return lane;
  });
}

const asUtc = (wall: string): number => Date.parse(`${wall}Z`);
const asWall = (ms: number): string => new Date(ms).toISOString().slice(0, 16);

/** `to` moved along with a begin that moves: a shift from 7 to 19 stays one of twelve hours by the clock. */
export const movedAlong = (from: string, to: string, nextFrom: string): string => asWall(asUtc(nextFrom) + asUtc(to) - asUtc(from));

/** The wall time `days` days later. */
export const daysLater = (wall: string, days: number): string => asWall(asUtc(wall) + days * 24 * HOUR_MS);
