/**
 * The device's own position while on shift: taken sparingly, kept sealed, sent in batches, given up when the shift was not.
 *
 * Works while the page is in sight; what a browser cannot do in the background is for a tracker app (views/phone.ts).
 */
import { ApiError, request } from "../shared/api";
import { t } from "../shared/i18n";
import { renewed } from "../shared/session";
import { current, refresh, say } from "./desk";
import type { KeptFix, Local } from "./local";
import type { OwnFix, Place } from "./model";
import { towards } from "./place";
import { askPlace, onPlace, showPlace } from "./position";
import { duty, isReporting, state, update, waiting } from "./store";

/** As trackers are asked to report: often while moving, rarely while standing. */
const MOVING_MS = 10_000;
const STANDING_MS = 120_000;
const MOVED_M = 25;
const SEND_EVERY_MS = 30_000;
const BATCH = 500;
const SEND_MS = 20_000;

let last: Place | null = null;
let timer = 0;
let lockName = "";

/** Whether positions are taken now: on shift, or on one that waits to begin, unless another tracker does it. */
export const isTracking = (): boolean => (duty() === "on" || duty() === "starting") && isReporting();

/** The shift that positions of now belong to: its id, or that of its begin which still waits; and since when it runs. */
function shiftNow(): { id: string; since: string } | null {
  if (state.shift) return { id: state.shift.id, since: state.shift.on_at ?? "" };
  const entry = waiting().find(({ about }) => about.verb === "shift_start");
  return entry ? { id: entry.id, since: entry.made_at } : null;
}

/** Begin to follow the device for this person's store. */
export function track(local: Local, personId: string): void {
  lockName = `outrider-track-${personId}`;
  last = null;
  void count(local);
  timer = window.setInterval(() => {
    follow();
    sendTrack();
  }, SEND_EVERY_MS);
}

export function stopTracking(): void {
  clearInterval(timer);
  last = null;
}

/** Ask the device where it is, if positions are to be taken; again when it has long said nothing. */
export function follow(): void {
  if (!isTracking()) return;
  showPlace();
  if (!last || Date.now() - Date.parse(last.at) >= STANDING_MS) askPlace();
}

/** The whole second after a moment: two tabs take the same one, and never one before the shift. */
const wholeSecond = (at: string): string => `${new Date(Math.ceil(Date.parse(at) / 1_000) * 1_000).toISOString().slice(0, 19)}Z`;

async function count(local: Local): Promise<void> {
  const waiting = await local.countFixes();
  if (current()?.local === local) update({ track: { ...state.track, waiting } });
}

function isDue(place: Place): boolean {
  if (!last) return true;
  const after = Date.parse(place.at) - Date.parse(last.at);
  return after >= STANDING_MS || (after >= MOVING_MS && towards(last, place).distance_m >= MOVED_M);
}

onPlace((place) => {
  const [local, shift] = [current()?.local, shiftNow()];
  if (!local || !shift || place.at < shift.since || !isTracking() || !isDue(place)) return;
  last = place;
  const fix_at = wholeSecond(place.at);
  const fix: OwnFix = { fix_at, lat: place.lat, lon: place.lon, ...(place.accuracy_m === null ? {} : { accuracy_m: place.accuracy_m }) };
  void keepFix(local, { shift: shift.id, fix }).catch((error: unknown) => unlessClosed(local, error));
});

async function keepFix(local: Local, kept: KeptFix): Promise<void> {
  await local.addFix(kept);
  await count(local);
  if (current()?.local !== local) return;
  update({ track: { ...state.track, at: kept.fix.fix_at } });
  if (state.track.waiting === 1) sendTrack();
}

/** Work of somebody who does not use the page any more ends without a word. */
function unlessClosed(local: Local, error: unknown): void {
  if (current()?.local === local) reportError(error);
}

/** Send what is kept of shifts the server knows. */
export function sendTrack(): void {
  const desk = current();
  if (!desk?.inbox) return;
  const { local } = desk;
  void navigator.locks.request(lockName, { ifAvailable: true }, async (lock) => {
    if (lock) await send(local).catch((error: unknown) => { if (!(error instanceof ApiError)) unlessClosed(local, error); });
  });
}

async function send(local: Local): Promise<void> {
  const [fixes, begins] = [await local.fixes(), (await local.fact("begun")) ?? {}];
  const known = new Map<string, KeptFix[]>();
  const unsent = new Set(waiting().filter(({ about }) => about.verb === "shift_start").map(({ id }) => id));
  for (const one of fixes) {
    const begun = begins[one.shift];
    if (!begun && unsent.has(one.shift)) continue;
    const shift = begun ?? one.shift;
    known.set(shift, [...(known.get(shift) ?? []), one]);
  }
  for (const [shift, all] of known) {
    for (let n = 0; n < all.length; n += BATCH) await deliver(local, shift, all.slice(n, n + BATCH));
  }
  await count(local);
}

async function deliver(local: Local, shift: string, kept: KeptFix[]): Promise<void> {
  const body = { fixes: kept.map(({ fix }) => fix) };
  try {
    await renewed(() => request("POST", `/shifts/${shift}/positions`, { body, signal: AbortSignal.timeout(SEND_MS) }));
  } catch (error) {
    if (!(error instanceof ApiError) || (error.status !== 404 && error.status !== 422)) throw error;
    // the server knows no such shift of this person: nobody may keep where they were
  }
  await local.dropFixes(kept);
}

/** The shift was refused: what was kept for it is deleted, unseen by anybody. */
export async function giveUp(local: Local, entryId: string): Promise<void> {
  const kept = (await local.fixes()).filter(({ shift }) => shift === entryId);
  await local.dropFixes(kept);
  await count(local);
  if (kept.length) say(t("officer.said.given_up", { n: kept.length }));
}

/** Let this device report or not, whatever the unit has. */
export async function setReporting(reporting: boolean): Promise<void> {
  await current()?.local.setFacts({ reporting });
  await refresh();
  follow();
}
