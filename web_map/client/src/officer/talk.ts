/** What the officer says to the operational centre: messages about a task, a call for support, an alarm. */
import { all, newId } from "../shared/api";
import { t } from "../shared/i18n";
import { vibrate } from "./alarm";
import { current, keep, now, refresh, say, store } from "./desk";
import type { Message, Priority, Task } from "./model";
import { placeFields, showPlace } from "./position";
import { state } from "./store";

export const sendMessage = async (task: Task, text: string): Promise<void> => {
  await keep(`/tasks/${task.id}/messages`, { text, at: now() }, { kind: "talk", id: task.id, verb: "message" });
};

/** The thread is on the screen: what was said in it counts as read, and what this device does not have is fetched. */
export async function openThread(taskId: string): Promise<void> {
  const unread = state.kept.messages.filter((message) => message.task_id === taskId && message.unread);
  if (unread.length) {
    await store().storeMessages(unread);
    await refresh();
  }
}

/** What was said before this device had the task. */
export async function fetchThread(taskId: string): Promise<void> {
  const local = current()?.inbox ? current()?.local : undefined;
  const said = local && (await all<Message>(`/tasks/${taskId}/messages`).catch(() => []));
  if (!said?.length || current()?.local !== local) return;
  await store().storeMessages(said);
  await refresh();
}

/** Call another unit to the task's place, or to where the officer is. */
export async function callSupport(task: Task, capability: string | null, priority: Priority, text: string): Promise<void> {
  const body = { ...(capability ? { capability } : {}), priority, text, at: now(), ...placeFields() };
  const about = { kind: "talk", id: task.id, verb: "support" } as const;
  if (await keep(`/tasks/${task.id}/support-requests`, body, about)) say(t("officer.said.support_kept"));
}

/** The alarm of an officer in danger: goes before everything else that waits. */
export async function raisePanic(): Promise<void> {
  vibrate([300, 100, 300]);
  await keep("/panic", { id: newId(), at: now(), ...placeFields() }, { kind: "panic", id: "panic", verb: "panic" });
}

/** Have the place ready for an alarm that may follow. */
export const preparePanic = (): void => showPlace();
