/** Reading what the page shows, and what an administrator does to devices. */
import { all, api, newId, withQuery } from "../shared/api";
import { t } from "../shared/i18n";
import { refusalText } from "../shared/refusal";
import { renewed } from "../shared/session";
import { attempt, type Asking } from "../shared/sheet";
import type { Office, Unit } from "../shared/types";
import { state, type Ranking, type Registered, type Sheet, type Stranger, type Trust } from "./state";

const PAGE = 100;
const WATCH_MS = 2_000;
let redraw: () => void = () => undefined;
let asked = 0;

/** Call `draw` whenever something changed. */
export function onChange(draw: () => void): void {
  redraw = draw;
}

const filter = (): Record<string, string | number> => ({ protocol: state.protocol, office_id: state.office, q: state.text.trim(), limit: PAGE });

/** The ranking by the filter as it is now, as many devices as are shown. */
export async function loadRanking(): Promise<void> {
  const mine = ++asked;
  [state.loading, state.fault] = [true, ""];
  redraw();
  try {
    const limit = Math.min(500, Math.max(PAGE, state.ranking?.items.length ?? 0));
    const ranking = await api.get<Ranking>(withQuery("/devices/trust", { ...filter(), limit }));
    if (mine === asked) state.ranking = ranking;
  } catch (error) {
    if (mine === asked) state.fault = refusalText(error);
  }
  if (mine === asked) state.loading = false;
  redraw();
}

export async function loadMore(): Promise<void> {
  const known = state.ranking;
  if (!known?.next) return;
  const more = await api.get<Ranking>(withQuery("/devices/trust", { ...filter(), after: known.next }));
  if (state.ranking !== known) return;
  const there = new Set(known.items.map((device) => device.id));
  state.ranking = { ...more, items: [...known.items, ...more.items.filter((device) => !there.has(device.id))] };
  redraw();
}

export async function loadStrangers(): Promise<void> {
  state.strangers = (await api.get<{ items: Stranger[] }>(withQuery("/devices/unknown", { ignored: state.ignored || null }))).items;
  redraw();
}

export async function loadLists(): Promise<void> {
  const [units, offices] = await Promise.all([all<Unit>("/units"), all<Office>("/offices")]);
  state.units = units.sort((a, b) => a.call_sign.localeCompare(b.call_sign));
  state.offices = offices;
  redraw();
}

/** Show one device, or none. */
export async function pick(id: string | null): Promise<void> {
  if (!id) {
    state.picked = null;
    redraw();
    return;
  }
  try {
    state.picked = await api.get<Trust>(`/devices/${id}/trust`);
  } catch (error) {
    state.fault = refusalText(error);
  }
  redraw();
}

/** Ask for something on a sheet above the page; null closes it. */
export function show(sheet: Sheet | null): void {
  state.sheet = sheet;
  redraw();
}

async function changed(): Promise<void> {
  await Promise.all([loadRanking(), loadStrangers(), state.picked ? pick(state.picked.id) : null]);
}

/** Do what a sheet asks for; it stays, with the reason, when the server refuses. */
export function submit<Answer>(sheet: Sheet & Asking, work: () => Promise<Answer>, done: (answer: Answer) => Sheet | null): Promise<void> {
  return attempt(sheet, redraw, work, (answer) => {
    state.sheet = done(answer);
    redraw();
    return changed();
  });
}

export const shownOnce = (device: Registered): Sheet => ({ kind: "key", device, copied: false });

export const register = (body: Record<string, unknown>): Promise<Registered> => api.post<Registered>("/devices", { id: newId(), ...body });
export const assign = (id: string, unitId: string): Promise<unknown> => api.post(`/devices/${id}/assign`, { unit_id: unitId, valid_from: new Date().toISOString() });
export const rotate = (id: string, overlapS: number): Promise<Registered> => api.post<Registered>(`/devices/${id}/rotate-key`, { overlap_s: overlapS });
export const revoke = (id: string): Promise<unknown> => api.post(`/devices/${id}/revoke`);

export const keyOf = (stranger: Stranger): string => `${stranger.protocol} ${stranger.identifier}`;

/** Register a stranger for a unit, then wait until it is heard. */
export async function welcome(stranger: Stranger, unitId: string): Promise<void> {
  const arrival = { deviceId: null as string | null, seenAt: null as string | null, fault: "" };
  state.arrivals.set(keyOf(stranger), arrival);
  redraw();
  try {
    const { protocol, identifier } = stranger;
    const made = await renewed(() => api.post<Registered>("/devices/unknown/register", { id: newId(), protocol, identifier, unit_id: unitId }));
    arrival.deviceId = made.id;
    if (protocol === "owntracks") state.sheet = shownOnce(made);
    redraw();
    await loadRanking();
    while (!arrival.seenAt && state.arrivals.get(keyOf(stranger)) === arrival) {
      await new Promise((resolve) => setTimeout(resolve, WATCH_MS));
      arrival.seenAt = (await api.get<Trust>(`/devices/${made.id}/trust?days=1`)).seen_at;
    }
    await loadRanking();
  } catch (error) {
    arrival.fault = refusalText(error);
  }
  redraw();
}

/** Leave a stranger out of the list: until it knocks again, or for good. */
export async function putAside(stranger: Stranger, how: "forget" | "ignore"): Promise<void> {
  const { protocol, identifier } = stranger;
  try {
    await renewed(() => api.post(`/devices/unknown/${how}`, { protocol, identifier }));
    state.said = t(how === "ignore" ? "strangers.ignored" : "strangers.forgotten", { name: identifier });
  } catch (error) {
    state.fault = refusalText(error);
  }
  await loadStrangers();
}
