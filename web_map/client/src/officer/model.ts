/** What the server tells an officer (the contract is mobile_contract/resources.py), and what waits to be told to it. */

export type Status =
  | "draft" | "issued" | "delivered" | "acknowledged" | "declined" | "unacknowledged" | "en_route" | "on_scene"
  | "paused" | "completed" | "failed" | "closed" | "cancelled" | "expired" | "discarded";
export type Priority = "P1" | "P2" | "P3" | "P4";
export type Verb = "acknowledge" | "decline" | "en_route" | "on_scene" | "pause" | "resume" | "complete" | "fail";

export interface Task {
  id: string;
  number: number;
  kind: string;
  priority: Priority;
  status: Status;
  version: number;
  title: string;
  instruction: string;
  reason_code: string;
  reason: string | null;
  point: { type: "Point"; coordinates: [number, number] } | null;
  area: { type: "Polygon"; coordinates: [number, number][][] } | null;
  address: string | null;
  window_from: string | null;
  window_to: string | null;
  unit_id: string | null;
  support_unit_ids: string[];
  exercise: boolean;
  ack_due_at: string | null;
  issued_at: string | null;
  seen_at: string | null;
  acknowledged_at: string | null;
  en_route_at: string | null;
  on_scene_at: string | null;
  completed_at: string | null;
  cancel_confirmed_at: string | null;
  result: string | null;
}

export interface Notice {
  id: string;
  number: number;
  kind: string;
  priority: Priority;
  state: "sent" | "cancelled" | "expired";
  headline: string;
  body: string;
  instruction: string | null;
  valid_to: string | null;
  created_at: string;
}

/** A notice as it is kept here, with what this device knows of its own receipts. */
export interface KeptNotice extends Notice {
  seen_at: string | null;
  acknowledged_at: string | null;
}

export type InboxItem = { seq: number; event_id: string; at: string } & (
  | { kind: "task"; body: Task }
  | { kind: "notice"; body: Notice }
  | { kind: "message" | "system"; body: Record<string, unknown> }
);

export interface InboxPage {
  items: InboxItem[];
  next: number | null;
  head_seq: number;
}

export interface Unit {
  id: string;
  call_sign: string;
  kind: string;
  tracking: "on_shift" | "always";
}

export interface Shift {
  id: string;
  unit_id: string;
  on_at: string | null;
  off_at: string | null;
}

export type CodeLists = Record<string, string[]>;

export interface Place {
  lon: number;
  lat: number;
  accuracy_m: number | null;
  at: string;
}

/** What an entry of the outbox is about, so that the screen can show it where it belongs. */
export interface About {
  kind: "task" | "notice" | "shift" | "violation";
  id: string;
  verb: Verb | "seen" | "notice_seen" | "notice_acknowledge" | "shift_start" | "shift_end" | "report";
}

/** One thing the officer did, kept on the device until the server has answered. */
export interface Entry {
  order?: number;
  id: string;
  path: string;
  body: Record<string, unknown>;
  about: About;
  made_at: string;
  /** Epoch milliseconds until which it can be undone; it is sent after that. 0 = at once. */
  hold_until: number;
  attempts: number;
  refused?: { status: number; code: string; detail: string };
}

/** A step that reached the server too late to count; it stays on the screen until the officer has read it. */
export interface Late {
  id: string;
  task_id: string;
  verb: Verb;
  result: "superseded" | "conflict";
  at: string;
}

export interface Transition {
  result: "applied" | "superseded" | "conflict";
  task: Task;
}

/** A violation being written down; it survives a closed page. */
export interface Draft {
  category: string | null;
  occurred_at: string;
  place: Place | null;
  coord_source: "gps" | "map";
  note: string;
  task_id: string | null;
}
