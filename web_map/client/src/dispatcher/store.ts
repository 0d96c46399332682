/** What the console knows: plain maps by id, changed only by `apply`, read by layers and panels. */
import { ageSeconds, freshness, type Freshness } from "../shared/age";
import type { LinkState } from "../shared/live";
import { groupOf, type StatusGroup } from "../shared/status";
import type { Alert, Handover, NoticeSummary, Office, ServerMessage, Task, TaskStatus, Unit, UnitRows } from "../shared/types";

/** A unit's newest plausible position, as the live socket tells it. */
export interface Mark {
  unit_id: string;
  lon: number;
  lat: number;
  fix_at: string;
  heading_deg: number | null;
  speed_mps: number | null;
  accuracy_m: number | null;
  status: string;
  suspect: boolean;
}

export interface Store {
  units: Map<string, Unit>;
  marks: Map<string, Mark>;
  tasks: Map<string, Task>;
  notices: Map<string, NoticeSummary>;
  offices: Map<string, Office>;
  alerts: Map<string, Alert>;
  /** Those that nobody has confirmed yet. */
  handovers: Map<string, Handover>;
  link: LinkState;
  /** The link is lost because the person has too many screens open. */
  crowded: boolean;
  /** The server's moment of the newest data; the clock of the connection-lost banner. */
  asOf: string | null;
  /** How far this computer's clock is ahead of the server's. */
  clockAheadMs: number;
}

export const emptyStore = (): Store => ({
  units: new Map(),
  marks: new Map(),
  tasks: new Map(),
  notices: new Map(),
  offices: new Map(),
  alerts: new Map(),
  handovers: new Map(),
  link: "connecting",
  crowded: false,
  asOf: null,
  clockAheadMs: 0,
});

const ENDED = new Set<TaskStatus>(["closed", "cancelled", "expired", "discarded"]);

/** Whether an officer who had acknowledged a task has still to confirm that it was cancelled. */
export const awaitsConfirmation = (task: Task): boolean =>
  task.status === "cancelled" && task.acknowledged_at !== null && task.cancel_confirmed_at === null;

export const isOpen = (task: Task): boolean =>
  !ENDED.has(task.status) || task.conflict === "open" || awaitsConfirmation(task);

/** What a supporting unit stands like once its own part is over: it may be sent again. */
const PART_OVER = new Set<TaskStatus>(["declined", "completed", "failed", "cancelled"]);

/** Whether a supporting unit is still at the task. */
export const isAtTask = (one: Task["supports"][number]): boolean => !PART_OVER.has(one.status);

/** Whether a unit is at a task: as its lead, or in support of it. */
export const hasTask = (task: Task, unitId: string): boolean => task.unit_id === unitId
  || task.supports.some((one) => one.unit_id === unitId && isAtTask(one));

/** Bring the store up to date with one message; the same message twice changes nothing. */
export function apply(store: Store, message: ServerMessage): void {
  switch (message.kind) {
    case "welcome":
      store.clockAheadMs = Date.now() - Date.parse(message.server_time);
      break;
    case "snapshot":
      store.asOf = message.as_of;
      store.marks.clear();
      addMarks(store, message.units);
      store.tasks = new Map(message.tasks.map((task) => [task.id, task]));
      store.alerts = new Map(message.alerts.map((alert) => [alert.id, alert]));
      store.handovers = new Map((message.handovers ?? []).map((handover) => [handover.id, handover]));
      if (message.notices) store.notices = new Map(message.notices.map((notice) => [notice.id, notice]));
      break;
    case "units":
      store.asOf = message.as_of;
      addMarks(store, message);
      for (const id of message.gone) store.marks.delete(id);
      break;
    case "task":
      addTask(store, message.task);
      break;
    case "notice":
      store.notices.set(message.notice.id, message.notice);
      break;
    case "alert":
      if (message.alert.cleared_at) store.alerts.delete(message.alert.id);
      else store.alerts.set(message.alert.id, message.alert);
      break;
    case "handover":
      if (message.handover.confirmed_at) store.handovers.delete(message.handover.id);
      else store.handovers.set(message.handover.id, message.handover);
      break;
    case "beat":
      store.asOf = message.as_of;
      break;
  }
}

function addMarks(store: Store, { columns, rows }: UnitRows): void {
  for (const row of rows) {
    const mark = Object.fromEntries(columns.map((name, i) => [name, row[i]])) as unknown as Mark;
    store.marks.set(mark.unit_id, mark);
  }
}

/** Take a task as an answer or a message tells it; an older version changes nothing. */
export function addTask(store: Store, task: Task): void {
  const known = store.tasks.get(task.id);
  if (!known || task.version >= known.version) store.tasks.set(task.id, task);
}

/** One unit with its mark, as the list and the layer show it. */
export interface Shown {
  unit: Unit;
  mark: Mark | undefined;
  status: string;
  group: StatusGroup;
  fresh: Freshness | "none";
  ageS: number;
}

export const serverNow = (store: Store): number => Date.now() - store.clockAheadMs;

export function shown(store: Store, unit: Unit, now = serverNow(store)): Shown {
  const mark = store.marks.get(unit.id);
  const status = mark?.status ?? unit.status;
  const fresh = mark ? freshness(mark.fix_at, unit.stale_after_s, now) : "none";
  return { unit, mark, status, group: groupOf(status), fresh, ageS: mark ? ageSeconds(mark.fix_at, now) : Infinity };
}

const URGENCY: Partial<Record<TaskStatus, number>> = { unacknowledged: 0, declined: 1, failed: 3, completed: 6 };

/** Where a task stands in the work queue: what needs a decision first, then what runs, by priority. */
export function urgency(task: Task, now: number): number {
  if (task.conflict === "open") return 1;
  if (task.status === "draft") return 2;
  if (task.status === "cancelled") return 4;
  const late = task.ack_due_at && !task.acknowledged_at && Date.parse(task.ack_due_at) < now;
  return URGENCY[task.status] ?? (late ? 0 : task.status === "paused" ? 4 : 5);
}

/** Open tasks in the order of the work queue. */
export function queue(store: Store): Task[] {
  const now = serverNow(store);
  return [...store.tasks.values()].filter(isOpen).sort((a, b) =>
    urgency(a, now) - urgency(b, now) || a.priority.localeCompare(b.priority) || a.number - b.number);
}
