/** Resources and messages of the server's interface, as the pages use them; the officers' contract says its part. */

import type * as Contract from "./contract";
import type { Receipt, Reply, Unit } from "./contract";

export type { Receipt, Reply, Unit };
export type LonLat = [number, number];
export type Task = Omit<Contract.Task, "point" | "area"> & {
  point: { type: "Point"; coordinates: LonLat } | null;
  area: Area | null;
};
export type Priority = Task["priority"];
export type TaskStatus = Task["status"];

export type Me = Contract.MeOut;

export interface TaskEvent {
  id: string;
  from_status: string | null;
  to_status: string;
  verb: string;
  by: string | null;
  by_name: string;
  at: string;
  received_at: string;
  result: "applied" | "superseded" | "conflict";
  unit_id: string | null;
  reason_code: string | null;
  reason: string | null;
  /** How far the clock of the device was ahead, where that was over two minutes. */
  clock_off_s: number | null;
}

export interface Area {
  type: "Polygon";
  coordinates: LonLat[][];
}

/** Whom a notice goes to. */
export interface NoticeTo {
  units?: string[];
  offices?: string[];
  area?: Area;
  everyone?: boolean;
}

export interface Office {
  id: string;
  code: string;
  name: string;
}

export interface Notice {
  id: string;
  number: number;
  kind: string;
  priority: Priority;
  headline: string;
  body: string;
  instruction: string | null;
  state: "sent" | "superseded" | "cancelled" | "expired";
  valid_to: string | null;
  created_at: string;
  supersedes: string | null;
  superseded_by: string | null;
}

/** A notice as the centre sees it, with how many people it went to and how many have it. */
export interface NoticeSummary extends Notice {
  addressed: NoticeTo;
  ended_at: string | null;
  ended_by_name: string | null;
  recipients: number;
  delivered: number;
  seen: number;
  acknowledged: number;
  /** Who had acknowledged it and has not confirmed its cancel yet. */
  unconfirmed: number;
  replied: number;
}

export interface WholeNotice extends NoticeSummary {
  receipts: Receipt[];
  replies: Reply[];
}

export interface Alert {
  id: string;
  kind: string;
  task_id: string | null;
  unit_id: string | null;
  device_id: string | null;
  /** The unit's call sign; of a device without a unit its person's name, or what it is called. */
  whose: string;
  /** When a silent unit or tracker was last heard, or when a device first told what the alert is about. */
  since: string | null;
  raised_at: string;
  text: string;
  reached: "dispatchers" | "deputy" | "supervisors" | "messages" | "no_address";
  /** The supervisors it went to. */
  called: string[];
  taken_by: string | null;
  taken_by_name: string | null;
  taken_at: string | null;
  point: { coordinates: LonLat } | null;
  /** The device took its panic back. */
  withdrawn_at: string | null;
  cleared_at: string | null;
  /** Where satellite navigation is disturbed, and whose. */
  area: Area | null;
  units: { unit_id: string; sign: "lost" | "jumped"; since: string }[];
}

/** A task as it stood at a hand-over; of what is open now, what it is about too. */
export interface LeftTask {
  id: string;
  number: number;
  priority: Priority;
  status: TaskStatus;
  unit_id: string | null;
  due_at: string | null;
}

export interface LeftNotice {
  id: string;
  number: number;
  priority: Priority;
  state: "sent" | "cancelled";
  confirmed: number;
  of: number;
}

export interface LeftSilent {
  unit_id: string;
  device_id: string | null;
  since: string;
}

export interface OpenNow {
  as_of: string;
  n_tasks: number;
  n_notices: number;
  n_silent: number;
  tasks: (LeftTask & { title: string; call_sign: string | null; since: string })[];
  notices: (LeftNotice & { headline: string; created_at: string })[];
  silent: (LeftSilent & { call_sign: string; device: string | null; taken_by_name: string | null })[];
}

export interface Handover {
  id: string;
  given_by: string;
  given_by_name: string;
  given_at: string;
  note: string;
  n_tasks: number;
  n_notices: number;
  n_silent: number;
  confirmed_by: string | null;
  confirmed_by_name: string | null;
  confirmed_at: string | null;
}

export interface WholeHandover extends Handover {
  tasks: LeftTask[];
  notices: LeftNotice[];
  silent: LeftSilent[];
}

export interface Nearest {
  unit_id: string;
  call_sign: string;
  distance_m: number;
  travel_s: number;
  fix_at: string;
  age_s: number;
  status: string;
  fits: boolean;
  reasons: { code: string; fits: boolean; text: string }[];
}

export interface Heat {
  cell_m: number;
  cells: [number, number, number][];
  total: number;
  max_n: number;
  /** Where the colours end: the same wherever the filter is looked at with cells of this size. */
  top: number;
  left_out: { accuracy: number; office: number };
}

export interface HotCells {
  cell_m: number;
  total: number;
  items: { rank: number; lon: number; lat: number; n: number; share: number }[];
}

export interface Job {
  status: "queued" | "running" | "done" | "failed";
  progress: number;
  result?: Record<string, unknown> | null;
}

export interface Page<Item> {
  items: Item[];
  next: string | null;
}

export type CodeLists = Record<string, string[]>;

/** A table sent column by column: `columns` names what each place of a row holds. */
export interface UnitRows {
  columns: string[];
  rows: unknown[][];
}

export type ServerMessage = { at: string } & (
  | { kind: "welcome"; server_time: string; heartbeat_s: number }
  | { kind: "snapshot"; as_of: string; version: number; units: UnitRows; tasks: Task[]; alerts: Alert[]; notices?: NoticeSummary[]; handovers?: Handover[] }
  | ({ kind: "units"; as_of: string; version: number; gone: string[] } & UnitRows)
  | { kind: "task"; task: Task }
  | { kind: "notice"; notice: NoticeSummary }
  | { kind: "alert"; alert: Alert }
  | { kind: "handover"; handover: Handover }
  | { kind: "inbox"; items: { seq: number; event_id: string; kind: string; at: string; body: Record<string, unknown> }[] }
  | { kind: "pong"; n: number }
  | { kind: "beat"; as_of: string }
  | { kind: "resync"; reason: string }
  | { kind: "bye"; code: number; reason: string }
);
