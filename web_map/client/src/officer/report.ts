/** The report being written: kept with every field, sent whole. */
import { keep, now, store } from "./desk";
import type { Draft } from "./model";
import { freshPlace, onPlace } from "./position";
import { UNDO_MS } from "./steps";
import { state, taskById, update } from "./store";

const BLANK = { category: null, place: null, coord_source: "gps", note: "" } as const;

onPlace((place) => {
  if (state.draft?.category && !state.draft.place) void editDraft({ place, coord_source: "gps" });
});

/** The report being written; begun anew when there is none. */
export function draft(taskId: string | null): Draft {
  state.draft ??= { ...BLANK, place: freshPlace(), occurred_at: now(), task_id: taskId };
  return state.draft;
}

export async function editDraft(fields: Partial<Draft>): Promise<void> {
  const edited = { ...draft(null), ...fields };
  update({ draft: edited });
  await store().setFacts({ draft: edited });
  update({ draftKept: edited });
}

export async function dropDraft(): Promise<void> {
  update({ draft: null });
  await store().dropFact("draft");
}

/** Send the report once it has a category and a place; false while it has not. */
export async function sendDraft(): Promise<boolean> {
  const { category, place, occurred_at, coord_source, note, task_id } = draft(null);
  if (!category || !place) return false;
  const { lon, lat, accuracy_m } = place;
  const body = {
    category, occurred_at, lon, lat, coord_source,
    ...(accuracy_m === null ? {} : { accuracy_m }),
    ...(note.trim() ? { note: note.trim() } : {}),
    ...(task_id && taskById(task_id) ? { task_id } : {}),
  };
  const about = { kind: "violation", id: task_id ?? "", verb: "report" } as const;
  if (!(await keep("/violations", body, about, UNDO_MS, async (turn) => turn.delete("facts", "draft")))) return false;
  update({ draft: null });
  return true;
}
