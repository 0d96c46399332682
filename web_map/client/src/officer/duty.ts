/** The shift and what belongs to being on duty: own units and their people, value lists, aide-memoires. */
import { api, ApiError } from "../shared/api";
import type { AideMemoires } from "../shared/contract";
import { current, keep, now, refresh } from "./desk";
import type { Checked, CodeLists, DutySheet, Ending, Shift, Starting, Unit } from "./model";
import { UNDO_MS } from "./steps";
import { state, update } from "./store";
import { follow } from "./track";

const READ_MS = 20_000;
let reading = new AbortController();

/**
 * Own units, own shift and the value lists, kept for the time without a network; `heard` is told how it went.
 *
 * A reading takes the place of one under way. What was asked for before a shift was begun or ended here is asked again.
 */
export async function readDuty(heard: (error: ApiError | null) => void): Promise<void> {
  const local = current()?.local;
  if (!local) return;
  reading.abort();
  const mine = (reading = new AbortController()).signal;
  try {
    for (let isKept = false; !isKept; ) {
      const settled = (await local.fact("settled")) ?? 0;
      const duty = await askDuty(AbortSignal.any([mine, AbortSignal.timeout(READ_MS)]));
      if (mine.aborted || current()?.local !== local) return;
      heard(null);
      isKept = await local.putDuty(duty, settled);
    }
    await refresh();
    follow();
  } catch (error) {
    if (mine.aborted || current()?.local !== local) return;
    if (!(error instanceof ApiError)) throw error;
    heard(error);
  }
}

async function askDuty(signal: AbortSignal): Promise<{ units: Unit[]; shift: Shift | null; codes: CodeLists }> {
  const [{ items: units }, shift, codes] = await Promise.all([
    api.get<{ items: Unit[] }>("/units", signal), api.get<Shift | null>("/shifts/mine", signal), api.get<CodeLists>("/code-lists", signal),
  ]);
  return { units, shift, codes };
}

/** What changes rarely: who belongs to own units, whether they have trackers, and the aide-memoires. */
export async function readSheet(): Promise<void> {
  const local = current()?.inbox ? current()?.local : undefined;
  if (!local) return;
  try {
    const [sheet, { items: aides }] = await Promise.all([
      api.get<DutySheet>("/duty"), api.get<AideMemoires>("/aide-memoires"),
    ]);
    if (current()?.local !== local) return;
    await local.setFacts({ sheet, aides });
    await refresh();
    follow();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error; // what is kept stands
  }
}

const BLANK: Starting = { unit_id: null, members: [], checked: {}, odometer_km: "" };

/** The begin of a shift as it is written so far. */
export const starting = (): Starting => state.starting ?? { ...BLANK, unit_id: state.units.length === 1 ? (state.units[0]?.id ?? null) : null };
export const ending = (): Ending => state.ending ?? { odometer_km: "", note: "" };

export async function editStarting(fields: Partial<Starting>): Promise<void> {
  const edited = { ...starting(), ...fields };
  update({ starting: edited });
  await current()?.local.setFacts({ starting: edited });
}

export async function editEnding(fields: Partial<Ending>): Promise<void> {
  const edited = { ...ending(), ...fields };
  update({ ending: edited });
  await current()?.local.setFacts({ ending: edited });
}

const kilometres = (text: string): number | null => (/^\d{1,7}$/.test(text.trim()) ? Number(text.trim()) : null);

/** Begin the shift as it is written; false when it was not kept. */
export async function startShift(): Promise<boolean> {
  const { unit_id, members, checked, odometer_km } = starting();
  if (!unit_id) return false;
  const km = kilometres(odometer_km);
  const equipment_check: Checked[] = Object.entries(checked).map(([item, state_]) => ({ item, state: state_ }));
  const body = {
    unit_id, at: now(), ...(members.length ? { members } : {}), ...(equipment_check.length ? { equipment_check } : {}),
    ...(km === null ? {} : { odometer_from_km: km }),
  };
  const about = { kind: "shift", id: unit_id, verb: "shift_start" } as const;
  if (!(await keep("/shifts/start", body, about, 0, async (turn) => turn.delete("facts", "starting")))) return false;
  update({ starting: null });
  follow();
  return true;
}

/** End the shift that runs, or the one whose begin still waits. */
export async function endShift(): Promise<boolean> {
  const { odometer_km, note } = ending();
  const { shift } = state;
  const km = kilometres(odometer_km);
  const body = {
    at: now(), ...(km === null ? {} : { odometer_to_km: km }), ...(note.trim() ? { handover_note: note.trim() } : {}),
  };
  const about = { kind: "shift", id: shift?.id ?? "", verb: "shift_end" } as const;
  const path = shift ? `/shifts/${shift.id}/end` : "/shifts/mine/end";
  if (!(await keep(path, body, about, UNDO_MS, async (turn) => turn.delete("facts", "ending")))) return false;
  update({ ending: null });
  return true;
}
