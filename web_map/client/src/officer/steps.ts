/** The officer's side of a task's lifecycle as data: the one next step, what else is possible, where each leads. */
import type { Entry, KeptNotice, KeptTask, Priority, SeenTask, Status, Task, Verb } from "./model";

/** Where each step leads. */
export const LEADS_TO: Record<Verb, Status> = {
  acknowledge: "acknowledged",
  decline: "declined",
  en_route: "en_route",
  on_scene: "on_scene",
  pause: "paused",
  resume: "acknowledged",
  complete: "completed",
  fail: "failed",
};

interface Choices {
  next: Verb | null;
  others: readonly Verb[];
}

const NOTHING: Choices = { next: null, others: [] };
const FRESH: Choices = { next: "acknowledge", others: ["decline"] };
const CHOICES: Partial<Record<Status, Choices>> = {
  issued: FRESH,
  delivered: FRESH,
  unacknowledged: { next: "acknowledge", others: [] },
  acknowledged: { next: "en_route", others: ["pause", "decline", "fail"] },
  en_route: { next: "on_scene", others: ["pause", "fail"] },
  on_scene: { next: "complete", others: ["pause", "fail"] },
  paused: { next: "resume", others: [] },
};

/** The one next step and the other possible steps of a task that stands like this. */
export const choices = (status: Status): Choices => CHOICES[status] ?? NOTHING;

/** The list of codes an officer chooses from before a step is taken, or null when one tap is enough. */
export const ASKS: Partial<Record<Verb, { list: string; field: "reason_code" | "result" }>> = {
  decline: { list: "decline_reason", field: "reason_code" },
  pause: { list: "pause_reason", field: "reason_code" },
  complete: { list: "task_result", field: "result" },
  fail: { list: "fail_reason", field: "result" },
};

/** Results that say the task was not carried out belong to `fail`, not to `complete`. */
export const results = (codes: readonly string[]): string[] =>
  codes.filter((code) => code !== "not_found" && code !== "not_carried_out");

/** Told to the server for what was merely looked at: no action of the officer. */
export const RECEIPTS: readonly string[] = ["seen", "notice_seen"];

const isStep = (entry: Entry): boolean => entry.about.verb in LEADS_TO;

/** Steps of a task that wait on this device, oldest first. */
const waitingSteps = (task: Task, outbox: readonly Entry[]): Entry[] =>
  outbox.filter((entry) => entry.about.kind === "task" && entry.about.id === task.id && !entry.refused && isStep(entry));

/** Whether something the officer did with a task is still to be told to the server. */
export const isUnsent = (task: Task, outbox: readonly Entry[]): boolean => outbox.some(({ about, refused }) =>
  about.kind === "task" && about.id === task.id && !refused && !RECEIPTS.includes(about.verb));

/** How a task stands once everything that waits on this device has arrived. */
export function standing(task: Task, outbox: readonly Entry[]): Status {
  const last = waitingSteps(task, outbox).at(-1);
  return last ? LEADS_TO[last.about.verb as Verb] : task.status;
}

export const isUrgent = (priority: Priority): boolean => priority === "P1" || priority === "P2";

/** Milliseconds an action is held back for undo: life or flight does not wait. */
export const UNDO_MS = 10_000;
export const holdMs = (priority: Priority): number => (priority === "P1" ? 0 : UNDO_MS);

const UNREAD: readonly Status[] = ["issued", "delivered", "unacknowledged"];
/** The statuses of a task that a crew is at. */
export const AT_WORK: readonly Status[] = ["on_scene", "en_route", "acknowledged"];
const RANK: Record<Priority, number> = { P1: 1, P2: 2, P3: 3, P4: 4 };

const urgentFirst = (a: Task, b: Task): number =>
  RANK[a.priority] - RANK[b.priority] || (a.issued_at ?? "").localeCompare(b.issued_at ?? "");

/** The task as a unit sees it: a supporting unit takes the same steps as the lead, each for itself. */
export function seenBy(task: KeptTask, unitIds: ReadonlySet<string>): SeenTask {
  if (unitIds.has(task.unit_id ?? "")) return task;
  const own = task.supports.find((one) => unitIds.has(one.unit_id));
  return own ? { ...task, status: own.status, since: own.since, lead_status: task.status } : task;
}

export interface Sorted {
  now: SeenTask | null;
  /** Called off after the officer had taken them on, which is still to be confirmed. */
  calledOff: SeenTask[];
  waiting: SeenTask[];
  done: SeenTask[];
}

/** The officer's tasks: the one at hand, those called off and those waiting (most urgent first), those that are over (newest first). */
export function sorted(tasks: readonly SeenTask[], outbox: readonly Entry[], unitIds: ReadonlySet<string>): Sorted {
  const mine = (task: Task): boolean =>
    unitIds.has(task.unit_id ?? "") || task.support_unit_ids.some((id) => unitIds.has(id));
  const stands = new Map(tasks.map((task) => [task.id, standing(task, outbox)]));
  const of = (task: Task): Status => stands.get(task.id) ?? task.status;
  const open = tasks.filter((task) => mine(task) && choices(of(task)).next !== null);
  const waiting = [...open].sort(urgentFirst);
  const atWork = AT_WORK.map((status) => waiting.find((task) => of(task) === status)).find(Boolean);
  const now = atWork ?? waiting.find((task) => UNREAD.includes(of(task))) ?? waiting[0] ?? null;
  const changed = (task: Task): string => task.completed_at ?? task.on_scene_at ?? task.issued_at ?? "";
  const calledOff = tasks.filter((task) => mustConfirmCancel(task, outbox)).sort(urgentFirst);
  return {
    now,
    calledOff,
    waiting: waiting.filter((task) => task !== now),
    done: tasks.filter((task) => !open.includes(task) && !calledOff.includes(task)).sort((a, b) => changed(b).localeCompare(changed(a))),
  };
}

/** Whether an officer must confirm that a task they had taken on, or were sent in support of, was called off. */
export const mustConfirmCancel = (task: SeenTask, outbox: readonly Entry[]): boolean =>
  task.status === "cancelled" && (task.since ? task.stood_down !== task.since : task.acknowledged_at !== null && task.cancel_confirmed_at === null) &&
  !outbox.some(({ about, refused }) => about.id === task.id && about.verb === "cancel_confirm" && !refused);

/** Whether an officer who had acknowledged a notice must confirm that it was cancelled. */
export const mustConfirmNotice = (notice: KeptNotice): boolean =>
  notice.state === "cancelled" && notice.acknowledged_at !== null && !notice.confirmed_at;
