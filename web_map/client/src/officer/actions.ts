/** What the officer can do with tasks and notices. */
import { t } from "../shared/i18n";
import { vibrate } from "./alarm";
import { hush } from "./arrivals";
import { current, keep, now, refresh, say, store } from "./desk";
import { noteReceipt } from "./local";
import type { Entry, Notice, Receipt, SeenTask, Task, Verb } from "./model";
import { placeFields } from "./position";
import { go } from "./routes";
import { confirm } from "./presence";
import { holdMs, standing } from "./steps";
import { state } from "./store";

/** One step of a task. */
export async function step(task: Task, verb: Verb, extra: Record<string, unknown> = {}): Promise<void> {
  if (state.alarm === task.id) hush();
  const body = { verb, at: now(), ...placeFields(), ...extra };
  const about = { kind: "task", id: task.id, verb } as const;
  if (await keep(`/tasks/${task.id}/transitions`, body, about, holdMs(task.priority))) {
    vibrate(60);
    say(t("officer.said.step", { verb: t(`officer.verb.${verb}`), number: task.number }));
  }
}

/** Confirm that the officer knows the task was called off; the version says which cancel was seen. */
export const confirmCancel = async (task: Task): Promise<void> => {
  const about = { kind: "task", id: task.id, verb: "cancel_confirm" } as const;
  await keep(`/tasks/${task.id}/transitions`, { verb: "acknowledge", version: task.version, at: now() }, about, holdMs(task.priority));
};

export const undo = async (entry: Entry): Promise<void> => {
  if (!(await current()?.outbox.undo(entry))) return;
  say(t("officer.said.undone"));
  if (entry.about.form) go(`#/form/${entry.about.form.id}/check`); // it is a form to be written on again
};
/** Once more, as it is or with its text put right. */
export const retry = async (entry: Entry, text?: string): Promise<void> => current()?.outbox.retry(entry, text);
export const discard = async (entry: Entry): Promise<void> => current()?.outbox.discard(entry);

/** Do not wait for the next try. */
export const sendNow = (): void => {
  void confirm();
  current()?.outbox.flush();
  current()?.uploads.flush();
};

export async function readLate(id: string): Promise<void> {
  await store().removeLate(id);
  await refresh();
}

/** The task is on the screen: its sound ends, and the dispatcher is told that it was seen. */
export async function opened(task: SeenTask): Promise<void> {
  if (state.alarm === task.id) hush();
  const told = state.kept.outbox.some(({ about }) => about.id === task.id && about.verb === "seen");
  const known = task.lead_status ? task.support_seen : task.seen_at;
  if (known || told || !["issued", "delivered", "unacknowledged"].includes(standing(task, state.kept.outbox))) return;
  await keep(`/tasks/${task.id}/seen`, { at: now() }, { kind: "task", id: task.id, verb: "seen" });
}

/** Tell the server of a notice's receipt, and note it here. */
async function receive(notice: Notice, receipt: Receipt, path: string, verb: Entry["about"]["verb"], extra = {}): Promise<void> {
  const at = now();
  const note = (turn: Parameters<typeof noteReceipt>[0]): Promise<void> => noteReceipt(turn, notice.id, receipt, at);
  await keep(`/notices/${notice.id}/${path}`, { at, ...extra }, { kind: "notice", id: notice.id, verb }, 0, note);
}

export async function noticeOpened(notice: Notice & { seen_at: string | null }): Promise<void> {
  if (!notice.seen_at) await receive(notice, "seen_at", "seen", "notice_seen");
}

export const acknowledgeNotice = (notice: Notice): Promise<void> =>
  receive(notice, "acknowledged_at", "acknowledge", "notice_acknowledge");

/** Confirm that the officer knows a notice they had acknowledged was cancelled. */
export const confirmNotice = (notice: Notice): Promise<void> =>
  receive(notice, "confirmed_at", "acknowledge", "notice_confirm", { state: "cancelled" });

export async function replyToNotice(notice: Notice, text: string): Promise<void> {
  const about = { kind: "notice", id: notice.id, verb: "notice_reply" } as const;
  if (await keep(`/notices/${notice.id}/reply`, { at: now(), text }, about)) say(t("officer.said.reply"));
}
