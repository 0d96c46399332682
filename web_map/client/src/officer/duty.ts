/** The shift and what belongs to being on duty: own units, value lists. */
import { api, ApiError } from "../shared/api";
import { current, keep, now } from "./desk";
import type { CodeLists, Shift, Unit } from "./model";
import { UNDO_MS } from "./steps";
import { update } from "./store";

/** Own units, own shift and the value lists, kept for the time without a network; `heard` is told how it went. */
export async function readDuty(heard: (error: ApiError | null) => void): Promise<void> {
  const local = current()?.local;
  if (!local) return;
  try {
    const [{ items: units }, shift, codes] = await Promise.all([
      api.get<{ items: Unit[] }>("/units"), api.get<Shift | null>("/shifts/mine"), api.get<CodeLists>("/code-lists"),
    ]);
    if (current()?.local !== local) return;
    heard(null);
    await local.setFacts({ units, shift, codes });
    update({ units, shift, codes });
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (current()?.local === local) heard(error);
  }
}

export const startShift = async (unitId: string): Promise<void> => {
  await keep("/shifts/start", { unit_id: unitId, at: now() }, { kind: "shift", id: unitId, verb: "shift_start" });
};

export const endShift = async (shift: Shift): Promise<void> => {
  await keep(`/shifts/${shift.id}/end`, { at: now() }, { kind: "shift", id: shift.id, verb: "shift_end" }, UNDO_MS);
};
