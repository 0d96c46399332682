/** New items of the inbox are on the device: the officer is told, loudly when it is urgent. */
import { t } from "../shared/i18n";
import * as alarm from "./alarm";
import { refresh, say } from "./desk";
import type { InboxItem, KeptTask, SeenTask, Status, Task } from "./model";
import { tellOutside } from "./push";
import { AT_WORK, isUrgent, seenBy } from "./steps";
import { state, taskById, unitIds, update } from "./store";

const OLD_NEWS_MS = 10 * 60_000;
/** How a supporting unit stands that does not come, or comes no more. */
const NOT_COMING: readonly Status[] = ["declined", "failed", "cancelled"];

export async function arrived(items: InboxItem[]): Promise<void> {
  const before = new Map(state.kept.tasks.map((task) => [task.id, task]));
  await refresh();
  void tellOutside(items.filter((item) => Date.now() - Date.parse(item.at) < OLD_NEWS_MS)).catch(reportError);
  for (const item of items) if (item.kind === "task") told(item.body, before.get(item.body.id), Date.parse(item.at));
  const word = items.findLast((item) => item.kind === "message");
  if (word?.kind === "message") {
    alarm.vibrate([200, 100, 200]);
    say(t("officer.said.message", { name: word.body.by_name, text: word.body.text }));
  }
  const news = items.findLast((item) => item.kind === "notice");
  if (news?.kind === "notice") say(t("officer.said.notice", { headline: news.body.headline }));
}

/** A task is news when it is issued to the unit, or when the unit is sent in its support. */
function told(came: Task, before: KeptTask | undefined, atMs: number): void {
  const task = taskById(came.id);
  if (!task) return;
  const isRecent = Date.now() - atMs < OLD_NEWS_MS;
  const wasIssued = before !== undefined && seenBy(before, unitIds()).status === "issued";
  const isNew = isRecent && task.status === "issued" && (came.status === "issued" || !wasIssued);
  if (isRecent && before && !task.lead_status && AT_WORK.includes(task.status)) toldOfSupport(task, before);
  if (isNew) say(task.lead_status
    ? t("officer.said.in_support", { unit: task.unit_call_sign ?? "", number: task.number, title: task.title })
    : t("officer.said.task", { number: task.number, title: task.title }));
  if (isNew && isUrgent(task.priority)) {
    const sounding = state.alarm ? taskById(state.alarm) : undefined;
    if (!sounding || task.priority <= sounding.priority) update({ alarm: task.id }); // the more urgent one stays in sight
    alarm.raise();
  } else if (state.alarm === task.id && !["issued", "delivered"].includes(task.status)) hush();
}

/** The lead at work is told who comes in support, and who does so no more. */
function toldOfSupport(task: SeenTask, before: KeptTask): void {
  for (const { unit_id, call_sign: unit, status } of task.supports) {
    const was = before.supports.find((one) => one.unit_id === unit_id)?.status;
    if (status === was) continue;
    if (!was || (status === "issued" && NOT_COMING.includes(was))) say(t("officer.said.supported", { unit, number: task.number }));
    else if (NOT_COMING.includes(status)) say(t("officer.said.unsupported", { unit, number: task.number }));
  }
}

/** End the sound; the task stays where it is. */
export function hush(): void {
  alarm.silence();
  update({ alarm: null });
}
