/** Forms being written: kept with every field, sent whole, opened again when they were taken back or refused. */
import { newId } from "../shared/api";
import type { Doubt } from "./checks";
import { current, drawKept, keep, now, refresh, store, stored } from "./desk";
import { bodyOf, doubts, markOf, needs, withValue } from "./form_rules";
import { formSent } from "./local";
import type { Entry, Fields, Form, FormKind, Place, Recorded, Task } from "./model";
import { freshPlace, onPlace, showPlace } from "./position";
import { UNDO_MS } from "./steps";
import { redraw, state, taskById } from "./store";

/** Newer here than in the device's store, which is being written. */
const unwritten = new Map<string, Form>();

/** Every form that is being written, the newest first. */
export const forms = (): Form[] => state.kept.forms.map((form) => unwritten.get(form.id) ?? form)
  .sort((a, b) => b.begun_at.localeCompare(a.begun_at));

export const formById = (id: string): Form | undefined => forms().find((form) => form.id === id);
export const isKept = (form: Form): boolean => !unwritten.has(form.id);

/** Refused forms that are being put right. */
export const refusedForms = (): Form[] => forms().filter((form) => form.refused);

const placed = ({ lon, lat, accuracy_m }: Place): Fields => ({ lon, lat, accuracy_m, coord_source: "gps" });

/** What is known by itself is filled in on the form that is open: the place, and at its end the time. */
export function fillIn(): void {
  const form = state.route.view === "form" ? formById(state.route.id) : undefined;
  if (!form || state.route.view !== "form") return;
  if (form.fields.lon === undefined) showPlace();
  const place = form.fields.lon === undefined ? freshPlace() : null;
  const ended_at = form.kind === "stop" && state.route.step === "end" && !form.fields.ended_at ? now() : null;
  if (place || ended_at) void edit(form.id, { ...(place ? placed(place) : {}), ...(ended_at ? { ended_at } : {}) });
}

onPlace(fillIn);

/** Forms that were finished here in the last day, the newest first; those of a task, or all. */
export const recordedForms = (taskId?: string): Recorded[] => state.kept.recorded
  .filter((one) => taskId === undefined || one.task_id === taskId).sort((a, b) => b.at.localeCompare(a.at));

/** Whether a task cannot be completed yet: it asks the own unit for a stop form, and none is there or waits here. */
export function owesStop(task: Task): boolean {
  if (!task.form_required || task.stop_forms || !state.units.some(({ id }) => id === task.unit_id)) return false;
  const refused = new Set(state.kept.outbox.filter((entry) => entry.refused).map((entry) => entry.id));
  return !recordedForms(task.id).some(({ id, kind, exercise }) => kind === "stop" && (task.exercise || !exercise) && !refused.has(id));
}

/** Forms of a task, or lately without one, that named a vehicle, each vehicle once; the last first. */
export function withVehicles(form: Form): Recorded[] {
  const written = forms().filter((one) => one.id !== form.id).map(recordOf);
  const all = [...written, ...recordedForms()].filter(({ task_id, plate }) => plate && task_id === form.task_id);
  return all.filter((one, n) => all.findIndex(({ plate }) => plate === one.plate) === n);
}

function recordOf({ id, kind, task_id, begun_at, fields }: Form): Recorded {
  const plate = (fields.vehicle?.plate ?? fields.plate)?.trim() || null;
  return { id, kind, task_id, at: begun_at, plate, country: fields.vehicle?.country ?? null, exercise: fields.exercise ?? false };
}

/** The fields that name a vehicle in a form of this kind. */
const vehicleFields = (kind: FormKind, { plate, country }: Recorded): Fields =>
  kind === "stop" ? { vehicle: { plate, country } } : { plate };

const ofPlate = ({ field }: Doubt): boolean => field === "plate" || field === "vehicle.plate";

/** Whether a plate stands in another form as it is, without an open doubt: it is not asked about twice. */
const isVouched = (plate: string | null): boolean => recordedForms().some((one) => one.plate === plate)
  || forms().some((form) => recordOf(form).plate === plate && !doubts(form).some(ofPlate));

/** The form with what is vouched for about its plate confirmed. */
function vouched(form: Form): Form {
  if (!isVouched(recordOf(form).plate)) return form;
  return { ...form, confirmed: [...form.confirmed, ...doubts(form).filter(ofPlate).map((doubt) => markOf(doubt, form.fields))] };
}

/** Name a vehicle that was named in another form. */
export async function nameVehicle(id: string, vehicle: Recorded): Promise<void> {
  const form = formById(id);
  if (form) await change(vouched({ ...form, fields: { ...form.fields, ...vehicleFields(form.kind, vehicle) } }));
}

/** The form of this kind that was begun for a task and not sent, or a new one with what is known already. */
export async function begin(kind: FormKind, taskId: string | null, given: Fields = {}): Promise<Form> {
  showPlace();
  const begun = forms().find((form) => form.kind === kind && form.task_id === taskId && !form.refused);
  if (begun && !Object.keys(given).length) return begun;
  const place = freshPlace();
  const fields: Fields = {
    ...(kind === "stop" ? ofStop(taskId) : { occurred_at: now() }), coord_source: "gps", ...(place ? placed(place) : {}), ...given,
  };
  const blank: Form = { id: newId(), kind, task_id: taskId, begun_at: now(), step: "", fields, confirmed: [] };
  const [vehicle] = taskId && !recordOf(blank).plate ? withVehicles(blank) : [];
  const form = vouched(vehicle ? { ...blank, fields: { ...fields, ...vehicleFields(kind, vehicle) } } : blank);
  await stored(() => store().addForm(form));
  await refresh();
  return form;
}

function ofStop(taskId: string | null): Fields {
  const task = taskId ? taskById(taskId) : undefined;
  return {
    first_stopped_at: now(), officers: state.me ? [state.me.id] : [], exercise: task?.exercise ?? false,
    ...(task?.reason_code ? { reason_code: task.reason_code } : {}),
  };
}

async function change(form: Form): Promise<void> {
  unwritten.set(form.id, form);
  redraw();
  if (!(await stored(() => store().putForm(form))) || unwritten.get(form.id) !== form) return;
  unwritten.delete(form.id);
  drawKept({ forms: state.kept.forms.map((one) => (one.id === form.id ? form : one)) });
}

/** Change fields of a form, and keep it; what the server said of them no longer holds. */
export async function edit(id: string, fields: Fields): Promise<void> {
  const form = formById(id);
  if (form) await change({ ...without(form, Object.keys(fields)), fields: { ...form.fields, ...fields } });
}

/** The same for the value at a path such as `vehicle.plate`. */
export async function put(id: string, path: string, value: unknown): Promise<void> {
  const form = formById(id);
  if (form) await change({ ...without(form, [path]), fields: withValue(form.fields, path, value) });
}

function without(form: Form, paths: readonly string[]): Form {
  if (!form.refused?.errors) return form;
  const errors = form.refused.errors.filter(({ field }) => !paths.some((path) => field === path || field.startsWith(`${path}.`)));
  return { ...form, refused: { ...form.refused, errors } };
}

/** It is right as it is written: the doubts about a field. */
export async function confirmDoubts(id: string, field: string): Promise<void> {
  const form = formById(id);
  if (!form) return;
  const marks = doubts(form).filter((doubt) => doubt.field === field).map((doubt) => markOf(doubt, form.fields));
  await change({ ...form, confirmed: [...form.confirmed, ...marks] });
}

/** Where it goes on when it is opened again. */
export async function noteStep(id: string, step: string): Promise<void> {
  const form = formById(id);
  if (form && form.step !== step) await change({ ...form, step });
}

export async function drop(form: Form): Promise<void> {
  await store().dropForm(form.id);
  unwritten.delete(form.id);
  await refresh();
}

/** Send a form that says what it must and whose doubts are looked at; false while it cannot be. */
export async function send(id: string): Promise<boolean> {
  const form = formById(id);
  if (!form || needs(form).length || doubts(form).length) return false;
  const { fields: _, refused: __, ...meta } = form;
  const about = { kind: form.kind, id: form.task_id ?? "", verb: form.kind === "stop" ? "stop_form" : "report", form: meta } as const;
  const recorded = { ...recordOf(form), at: now() };
  const path = form.kind === "stop" ? "/stop-forms" : "/violations";
  if (!(await keep(path, bodyOf(form), about, UNDO_MS, (turn) => formSent(turn, form, recorded)))) return false;
  unwritten.delete(id);
  return true;
}

/** Open a refused form again. */
export async function reopen(entry: Entry): Promise<Form | null> {
  const form = (await current()?.local.reopen(entry.order)) ?? null;
  await refresh();
  return form;
}
