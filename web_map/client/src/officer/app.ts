/** What the officer can do, and what happens when the server tells something. */
import { api, ApiError } from "../shared/api";
import { code, t } from "../shared/i18n";
import { resume, signOut } from "../shared/session";
import * as alarm from "./alarm";
import { Inbox } from "./inbox";
import { Local } from "./local";
import type { CodeLists, Draft, Entry, InboxItem, Me, Notice, Place, Shift, Task, Transition, Unit, Verb } from "./model";
import { Outbox } from "./outbox";
import { Follower, FRESH_MS } from "./place";
import { holdMs, isUrgent, LEADS_TO, UNDO_MS } from "./steps";
import { state, taskById, update } from "./store";

const DUTY_EVERY_MS = 60_000;
const SAID_MS = 6_000;

let local: Local | null = null;
let outbox: Outbox | null = null;
let inbox: Inbox | null = null;
let dutyTimer = 0;
let saidTimer = 0;
let openedFor: string | null = null;

/** The device's store; everything that uses it runs after sign-in. */
function store(): Local {
  if (!local) throw new Error("nobody is signed in");
  return local;
}

/** Say something to screen readers, and show it for a moment. */
export function say(text: string): void {
  clearTimeout(saidTimer);
  update({ said: text });
  saidTimer = window.setTimeout(() => update({ said: "" }), SAID_MS);
}

async function refresh(): Promise<void> {
  if (local) update({ kept: await local.kept() });
}

const signedOut = (): void => {
  stop();
  update({ phase: "signed_out" });
};

const reached = (yes: boolean): void =>
  update({ reached: yes, ...(yes ? { checkedAt: new Date().toISOString() } : {}) });

/** Find out who is signed in; tries again by itself while the server is away. */
export async function begin(): Promise<void> {
  try {
    const person = await resume();
    if (person) await enter(person);
    else update({ phase: "signed_out" });
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    update({ phase: "unreachable" });
    setTimeout(() => void begin(), 3_000);
  }
}

/** Open this person's store on the device, and connect. */
export async function enter(person: Me): Promise<void> {
  if (!person.permissions.includes("inbox.own")) return update({ me: person, phase: "not_officer" });
  if (openedFor !== person.id) update({ draft: null, alarm: null });
  openedFor = person.id;
  local = await Local.open(person.id);
  const [units, shift, codes, draft] = await Promise.all([
    local.fact("units"), local.fact("shift"), local.fact("codes"), local.fact("draft"),
  ]);
  update({ me: person, units: units ?? [], shift: shift ?? null, codes: codes ?? {}, draft: draft ?? null });
  await refresh();
  update({ phase: "ready" });
  outbox = new Outbox(local, `outrider-outbox-${person.id}`, { changed: refresh, sent, signedOut, reached });
  inbox = await Inbox.open(local, {
    arrived,
    signedOut,
    reached,
    link: (link) => {
      update(link === "up" ? { link, reached: true, checkedAt: new Date().toISOString() } : { link });
      if (link === "up") {
        outbox?.flush();
        void readDuty();
      }
    },
  });
  await readDuty();
  dutyTimer = window.setInterval(() => void readDuty(), DUTY_EVERY_MS);
  void navigator.storage?.persist?.();
}

function stop(): void {
  clearInterval(dutyTimer);
  outbox?.close();
  inbox?.close();
  local?.close();
  outbox = inbox = local = null;
  follower.stop();
  alarm.silence();
}

export async function leave(): Promise<void> {
  await signOut();
  signedOut();
}

/** Own units, own shift and the value lists, kept for the time without a network. */
async function readDuty(): Promise<void> {
  const kept = local;
  if (!kept) return;
  try {
    const [{ items: units }, shift, codes] = await Promise.all([
      api.get<{ items: Unit[] }>("/units"), api.get<Shift | null>("/shifts/mine"), api.get<CodeLists>("/code-lists"),
    ]);
    reached(true);
    if (local !== kept) return;
    await Promise.all([kept.setFact("units", units), kept.setFact("shift", shift), kept.setFact("codes", codes)]);
    update({ units, shift, codes });
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    reached(error.status !== 0);
    if (error.status === 401) signedOut();
  }
}

/** New items are on the device: tell the officer, loudly when it is urgent. */
async function arrived(items: InboxItem[]): Promise<void> {
  const known = new Map(state.kept.tasks.map((task) => [task.id, task]));
  await refresh();
  reached(true);
  for (const item of items) if (item.kind === "task") told(item.body, !known.has(item.body.id), Date.parse(item.at));
  const news = items.findLast((item) => item.kind === "notice");
  if (news?.kind === "notice") say(t("officer.said.notice", { headline: news.body.headline }));
}

const OLD_NEWS_MS = 10 * 60_000;

/** A task is news when it is issued to the unit, or when the unit is called to its support. */
function told(came: Task, unknown: boolean, atMs: number): void {
  const task = taskById(came.id) ?? came;
  const isNew = task.status === "issued" && (came.status === "issued" || unknown) && Date.now() - atMs < OLD_NEWS_MS;
  if (isNew) say(t("officer.said.task", { number: task.number, title: task.title }));
  if (isNew && isUrgent(task.priority)) {
    update({ alarm: task.id });
    alarm.raise();
  } else if (state.alarm === task.id && !["issued", "delivered"].includes(task.status)) hush();
}

/** End the sound; the task stays where it is. */
export function hush(): void {
  alarm.silence();
  update({ alarm: null });
}

async function sent(entry: Entry, answer: unknown): Promise<void> {
  const { about } = entry;
  if (about.kind === "task") await stepSent(entry, answer as Transition);
  else if (about.kind === "shift") {
    const shift = about.verb === "shift_start" ? (answer as Shift) : null;
    await store().setFact("shift", shift);
    update({ shift });
    say(t(shift ? "officer.said.shift_on" : "officer.said.shift_off"));
    inbox?.poll();
  } else if (about.kind === "violation") say(t("officer.said.violation"));
}

async function stepSent(entry: Entry, { result, task }: Transition): Promise<void> {
  const { verb } = entry.about;
  if (verb === "seen") return store().storeTask(task);
  await store().storeTask(task, result === "applied" ? LEADS_TO[verb as Verb] : undefined);
  if (result === "applied") return;
  await store().addLate({ id: entry.id, task_id: task.id, verb: verb as Verb, result, at: entry.made_at });
  say(t(`officer.late.${result}`, { verb: t(`officer.verb.${verb}`), status: code("task_status", task.status) }));
}

/** Keep an action on the device; a full or forbidden store is said, never passed over. */
async function keep(...words: Parameters<Outbox["add"]>): Promise<boolean> {
  try {
    await outbox?.add(...words);
    update({ storageFull: false });
    return true;
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    update({ storageFull: true });
    return false;
  }
}

const now = (): string => new Date().toISOString();

/** The device's own place, if it is known and fresh. */
const freshPlace = (): Place | null =>
  state.place && Date.now() - Date.parse(state.place.at) <= FRESH_MS ? state.place : null;

function placeFields(): Record<string, number> {
  const place = freshPlace();
  if (!place) return {};
  return { lon: place.lon, lat: place.lat, ...(place.accuracy_m === null ? {} : { accuracy_m: place.accuracy_m }) };
}

/** One step of a task. */
export async function step(task: Task, verb: Verb, extra: Record<string, unknown> = {}): Promise<void> {
  if (state.alarm === task.id) hush();
  const body = { verb, at: now(), ...placeFields(), ...extra };
  const about = { kind: "task", id: task.id, verb } as const;
  if (await keep(`/tasks/${task.id}/transitions`, body, about, holdMs(task.priority))) {
    navigator.vibrate?.(60);
    say(t("officer.said.step", { verb: t(`officer.verb.${verb}`), number: task.number }));
  }
}

/** Confirm that the officer knows the task was called off; the version says which cancel was seen. */
export const confirmCancel = async (task: Task): Promise<void> => {
  const about = { kind: "task", id: task.id, verb: "acknowledge" } as const;
  await keep(`/tasks/${task.id}/transitions`, { verb: "acknowledge", version: task.version, at: now() }, about);
};

export const undo = async (entry: Entry): Promise<void> => {
  if (await outbox?.undo(entry)) say(t("officer.said.undone"));
};
export const retry = async (entry: Entry): Promise<void> => outbox?.retry(entry);
export const discard = async (entry: Entry): Promise<void> => outbox?.discard(entry);

export async function readLate(id: string): Promise<void> {
  await store().removeLate(id);
  await refresh();
}

/** The task is on the screen: its sound ends, and the dispatcher is told that it was seen. */
export async function opened(task: Task): Promise<void> {
  if (state.alarm === task.id) hush();
  const told = state.kept.outbox.some(({ about }) => about.id === task.id && about.verb === "seen");
  if (task.seen_at || told || !["issued", "delivered", "unacknowledged"].includes(task.status)) return;
  await keep(`/tasks/${task.id}/seen`, { at: now() }, { kind: "task", id: task.id, verb: "seen" });
}

export async function noticeOpened(notice: Notice & { seen_at: string | null }): Promise<void> {
  if (notice.seen_at) return;
  const at = now();
  await store().noteReceipt(notice.id, "seen_at", at);
  await keep(`/notices/${notice.id}/seen`, { at }, { kind: "notice", id: notice.id, verb: "notice_seen" });
}

export async function acknowledgeNotice(notice: Notice): Promise<void> {
  const at = now();
  const about = { kind: "notice", id: notice.id, verb: "notice_acknowledge" } as const;
  if (!(await keep(`/notices/${notice.id}/acknowledge`, { at }, about))) return;
  await store().noteReceipt(notice.id, "acknowledged_at", at);
  await refresh();
}

/** Confirm that the officer knows a notice they had acknowledged was cancelled. */
export async function confirmNotice(notice: Notice): Promise<void> {
  const at = now();
  const about = { kind: "notice", id: notice.id, verb: "notice_confirm" } as const;
  if (!(await keep(`/notices/${notice.id}/acknowledge`, { at, state: "cancelled" }, about))) return;
  await store().noteReceipt(notice.id, "confirmed_at", at);
  await refresh();
}

export async function replyToNotice(notice: Notice, text: string): Promise<void> {
  const about = { kind: "notice", id: notice.id, verb: "notice_reply" } as const;
  if (await keep(`/notices/${notice.id}/reply`, { at: now(), text }, about)) say(t("officer.said.reply"));
}

export const startShift = async (unitId: string): Promise<void> => {
  await keep("/shifts/start", { unit_id: unitId, at: now() }, { kind: "shift", id: unitId, verb: "shift_start" });
};

export const endShift = async (shift: Shift): Promise<void> => {
  await keep(`/shifts/${shift.id}/end`, { at: now() }, { kind: "shift", id: shift.id, verb: "shift_end" }, UNDO_MS);
};

const follower = new Follower((placeState, place) => {
  update(place ? { placeState, place } : { placeState });
  if (place && state.draft?.category && !state.draft.place) void editDraft({ place, coord_source: "gps" });
});
export const showPlace = (): void => follower.start();

const BLANK = { category: null, place: null, coord_source: "gps", note: "" } as const;

/** The report being written; begun anew when there is none. */
export function draft(taskId: string | null): Draft {
  state.draft ??= { ...BLANK, place: freshPlace(), occurred_at: now(), task_id: taskId };
  return state.draft;
}

export async function editDraft(fields: Partial<Draft>): Promise<void> {
  const edited = { ...draft(null), ...fields };
  update({ draft: edited });
  await store().setFact("draft", edited);
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
  if (!(await keep("/violations", body, { kind: "violation", id: task_id ?? "", verb: "report" }, UNDO_MS))) return false;
  await dropDraft();
  return true;
}
