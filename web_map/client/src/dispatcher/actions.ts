/** What the dispatcher does: requests to the server, the ten seconds in which a send can be undone, and refusals. */
import { all, api, ApiError, newId, withQuery } from "../shared/api";
import { hourMinute, t } from "../shared/i18n";
import { startOfDay } from "../shared/wall_time";
import { refusalText } from "../shared/refusal";
import { may } from "../shared/session";
import type { Alert, Handover, Heat, LonLat, Nearest, NoticeSummary, Task, TaskEvent, WholeNotice } from "../shared/types";
import { redraw, set, setAndFocus, store, toast, ui } from "./state";
import { addTask } from "./store";

const UNDO_MS = 10_000;

/** Do a request; say why when it is refused. True when it was done. */
async function attempt(work: () => Promise<void>): Promise<boolean> {
  if (store.link === "lost") {
    toast(t("link.writes_off"), true);
    return false;
  }
  set({ busy: true });
  try {
    await work();
    return true;
  } catch (error) {
    toast(error instanceof ApiError ? refusal(error) : String(error), true);
    return false;
  } finally {
    set({ busy: false });
  }
}

const first = (error: ApiError): { who: string; at: string } | null => {
  const { changed_by: who, changed_at: at } = error.body;
  return typeof who === "string" && typeof at === "string" ? { who, at } : null;
};

function refusal(error: ApiError): string {
  const other = first(error);
  if (other) return t("conflict.version", { who: other.who, at: hourMinute(other.at) });
  return refusalText(error);
}

/** Send after ten seconds unless it is undone; at once when urgent. A second send lets the first one go. */
export function hold(text: string, urgent: boolean, send: () => Promise<void>): void {
  releaseHeld();
  if (urgent) {
    void attempt(send);
    return;
  }
  const timer = window.setTimeout(releaseHeld, UNDO_MS);
  set({ held: { text, until: Date.now() + UNDO_MS, send, timer } });
}

export function undoHeld(): void {
  if (!ui.held) return;
  clearTimeout(ui.held.timer);
  set({ held: null });
  toast(t("undo.done"));
}

export function releaseHeld(): void {
  const held = ui.held;
  if (!held) return;
  clearTimeout(held.timer);
  set({ held: null });
  void attempt(held.send);
}

export async function openTask(id: string): Promise<void> {
  const task = store.tasks.get(id);
  const overruled = ui.overruled?.taskId === id ? ui.overruled : null;
  set({ panel: "task", taskId: id, asking: null, supporting: null, withdrawing: null, nearest: null, events: [], overruled });
  try {
    const [fresh, events] = await Promise.all([api.get<Task>(`/tasks/${id}`), all<TaskEvent>(`/tasks/${id}/events`)]);
    addTask(store, fresh);
    if (ui.taskId === id) set({ events });
    await findNearest(fresh);
  } catch (error) {
    if (!task) set({ panel: "queue", taskId: null });
    toast(error instanceof ApiError ? refusal(error) : String(error), true);
  }
}

/** Read the open task's history again, because the socket told of a step. */
export async function refreshEvents(id: string): Promise<void> {
  const events = await all<TaskEvent>(`/tasks/${id}/events`);
  if (ui.taskId === id) set({ events });
}

/** Where units of a task meet: at its place, else where the unit that has it is. */
export function meetingPlace(task: Task): LonLat | undefined {
  const lead = task.unit_id ? store.marks.get(task.unit_id) : undefined;
  return task.point?.coordinates ?? (lead && [lead.lon, lead.lat]);
}

/** More than are listed: those that have the task already, or are of another kind, are left out. */
const TO_CHOOSE_FROM = 50;

/** The nearest units for a task that still needs one, or of the kind asked for to support it. */
export async function findNearest(task: Task): Promise<void> {
  const { supporting } = ui;
  const at = supporting ? meetingPlace(task) : task.point?.coordinates;
  if (!at || !may("units.nearest")) return;
  const [capability, limit] = supporting ? [supporting.capability, TO_CHOOSE_FROM] : [task.required_capabilities?.[0], 10];
  const path = withQuery("/units/nearest", { lon: at[0], lat: at[1], capability, limit });
  const found = await api.get<{ items: Nearest[]; shortfalls: string[] }>(path);
  if (ui.taskId === task.id && ui.supporting === supporting) set({ nearest: found.items, shortfalls: found.shortfalls });
}

/** Give the open task to a unit: issue it, or reassign it when another had it. */
export function assign(task: Task, unitId: string, callSign: string): void {
  const verb = task.status === "draft" ? "issue" : "reassign";
  const text = t("assign.held", { number: task.number, unit: callSign });
  hold(text, task.priority === "P1", () => transition(task, verb, { unit_id: unitId }));
}

/** List the units that can support a task, the keyboard on the nearest one; where a kind was chosen it stays there. */
export async function askSupport(task: Task, capability?: string): Promise<void> {
  set({ supporting: { capability: capability ?? "" }, asking: null, nearest: null });
  await attempt(() => findNearest(task));
  if (capability === undefined && ui.taskId === task.id && ui.supporting) setAndFocus({}, ".nearest .row");
}

/** Back to what the task needs itself. */
export function leaveSupport(task: Task | undefined): void {
  setAndFocus({ supporting: null, nearest: null }, "[data-verb=support]");
  if (task) void findNearest(task).catch(() => undefined);
}

/** Send a further unit in support of a task. */
export function support(task: Task, unitId: string, callSign: string): void {
  leaveSupport(task);
  const text = t("support.held", { number: task.number, unit: callSign });
  hold(text, task.priority === "P1", () => changeCrew(task, "support", { unit_id: unitId }));
}

/** Withdraw a unit from a task it supports. */
export function withdraw(task: Task, unitId: string, callSign: string, reason: string): void {
  set({ withdrawing: null });
  const text = t("support.withdraw_held", { number: task.number, unit: callSign });
  hold(text, task.priority === "P1", () => changeCrew(task, `support/${unitId}/withdraw`, { reason }));
}

async function changeCrew(task: Task, path: string, fields: Record<string, unknown>): Promise<void> {
  const sent = api.post<Task>(`/tasks/${task.id}/${path}`, { id: newId(), version: task.version, ...fields });
  addTask(store, await sent.catch((error: unknown) => overruled(task.id, error)));
  if (ui.taskId === task.id) await refreshEvents(task.id);
}

export async function transition(task: Task, verb: string, fields: Record<string, unknown> = {}): Promise<void> {
  const body = { id: newId(), verb, version: task.version, ...fields };
  const sent = api.post<{ result: string; task: Task }>(`/tasks/${task.id}/transitions`, body);
  const answer = await sent.catch((error: unknown) => overruled(task.id, error));
  addTask(store, answer.task);
  if (ui.taskId === task.id) {
    set({ asking: null });
    await refreshEvents(task.id);
  }
  redraw();
}

/** Somebody else was first: keep saying so in the task, and show it as it is now. */
function overruled(taskId: string, error: unknown): never {
  const other = error instanceof ApiError ? first(error) : null;
  if (other && error instanceof ApiError) {
    set({ overruled: { taskId, ...other, verb: String(error.body.changed_verb ?? "") } });
    if (ui.taskId === taskId) void openTask(taskId);
  }
  throw error;
}

/** Take an alert: it sounds nowhere any more, and everybody sees who has it. */
export const takeAlert = (id: string): Promise<boolean> => attempt(async () => {
  const alert = await api.post<Alert>(`/alerts/${id}/take`, { id: newId() });
  if (store.alerts.has(id)) store.alerts.set(id, alert);
  if (ui.taskId && alert.task_id === ui.taskId) await refreshEvents(ui.taskId);
});

/** Close a panic, or what else a device told, with a reason; the server discards a panic's draft with it. */
export const closeAlert = (alert: Alert, reason: string): Promise<boolean> => attempt(async () => {
  await api.post<Alert>(`/alerts/${alert.id}/close`, { id: newId(), reason });
  store.alerts.delete(alert.id);
  set({ closing: null });
});

/** Hand over with this note: the server adds what is open, and another dispatcher is to confirm it. */
export const handOver = (note: string): Promise<boolean> => attempt(async () => {
  const made = await api.post<Handover>("/handovers", { id: newId(), note });
  store.handovers.set(made.id, made);
  toast(t("handover.given"));
});

export const confirmHandover = (handover: Handover): Promise<boolean> => attempt(async () => {
  await api.post<Handover>(`/handovers/${handover.id}/confirm`, { id: newId() });
  store.handovers.delete(handover.id);
  toast(t("handover.confirmed", { who: handover.given_by_name }));
});

/** Say whether a cancel stands or the work of the crew that went on counts. */
export const resolve = (task: Task, outcome: "cancel_stands" | "work_counts", reason: string): Promise<boolean> => attempt(async () => {
  addTask(store, await api.post<Task>(`/tasks/${task.id}/resolve`, { id: newId(), outcome, reason }));
  await refreshEvents(task.id);
});

/** A dispatcher's verb with a reason, held back for undo as every send is. */
export function act(task: Task, verb: string, reason: string): void {
  const text = t("verb.held", { verb: t(`verb.${verb}`), number: task.number });
  const fields = reason ? { reason } : {};
  set({ asking: null });
  hold(text, task.priority === "P1", () => transition(task, verb, fields));
}

export async function createTask(fields: Record<string, unknown>): Promise<void> {
  await attempt(async () => {
    const task = await api.post<Task>("/tasks", { id: newId(), ...fields });
    addTask(store, task);
    set({ point: null, picking: false });
    await openTask(task.id);
  });
}

export async function openNotice(id: string): Promise<void> {
  set({ panel: "notice", noticeId: id, receipts: [], replies: [], missingOnly: false });
  await attempt(() => readNotice(id));
}

async function readNotice(id: string): Promise<void> {
  const notice = await api.get<WholeNotice>(`/notices/${id}`);
  store.notices.set(id, notice);
  if (ui.noticeId === id) set({ receipts: notice.receipts, replies: notice.replies });
}

const RECEIPTS_EVERY_MS = 2_000;
let receiptsTimer = 0;

/** The socket told of a receipt or a reply. The open notice is read again; hundreds of receipts are read together. */
export function noticeChanged(notice: NoticeSummary, before: NoticeSummary | undefined): void {
  if (before && notice.replied > before.replied) toast(t("notice.answered", { number: notice.number, headline: notice.headline }));
  if (ui.noticeId !== notice.id) return;
  receiptsTimer ||= window.setTimeout(() => {
    receiptsTimer = 0;
    if (ui.noticeId) void readNotice(ui.noticeId).catch(() => undefined);
  }, RECEIPTS_EVERY_MS);
}

export function sendNotice(fields: Record<string, unknown>, urgent: boolean): void {
  set({ panel: "notices", replacing: null, corners: [], drawing: false });
  hold(t("notice.held", { headline: String(fields.headline) }), urgent, async () => {
    const made = await api.post<{ id: string }>("/notices", { id: newId(), ...fields });
    await openNotice(made.id);
  });
}

export function cancelNotice(notice: NoticeSummary): void {
  hold(t("notice.cancel_held", { number: notice.number }), false, async () => {
    await api.post(`/notices/${notice.id}/cancel`, { id: newId() });
    await openNotice(notice.id);
  });
}

/** The track of a unit's last hours as drawn points, oldest first. */
export async function track(unitId: string, hours: number): Promise<LonLat[]> {
  const [from, to] = [new Date(Date.now() - hours * 3_600_000).toISOString(), new Date().toISOString()];
  const path = withQuery(`/units/${unitId}/track`, { from, to, format: "geojson" });
  const found = await api.get<{ features: { geometry: { coordinates: LonLat } }[] }>(path);
  return found.features.map((feature) => feature.geometry.coordinates);
}

let heatRequest: AbortController | undefined;

/** The heat cells of the box for the filter; a newer request ends an older one. */
export async function loadHeat(bbox: string, zoom: number): Promise<void> {
  heatRequest?.abort();
  heatRequest = new AbortController();
  const { from, to, category } = ui.heat;
  const filter = { bbox, zoom, from: startOfDay(from), to: startOfDay(to, 1), category };
  try {
    set({ heatData: await api.get<Heat>(withQuery("/violations/heat", filter), heatRequest.signal) });
  } catch (error) {
    if (error instanceof ApiError) toast(refusal(error), true);
  }
}
