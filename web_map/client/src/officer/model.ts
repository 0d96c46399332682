/** What the server tells an officer (the contract is mobile_contract/resources.py), and what waits to be told to it. */
import type { Message } from "../shared/contract";
import type { Notice as AnyNotice, Task as AnyTask } from "../shared/types";

export type { Message } from "../shared/contract";
export type { CodeLists, Me, Priority, Unit } from "../shared/types";
export type Status = AnyTask["status"];
export type Verb = "acknowledge" | "decline" | "en_route" | "on_scene" | "pause" | "resume" | "complete" | "fail";
export type Task = AnyTask;

/** A task as it is kept here: the server's state, and how far a supporting unit has come (which only this device knows). */
export type KeptTask = Task & { support_status?: Status };

export type Notice = AnyNotice;

/** A notice as it is kept here, with what this device knows of its own receipts. */
export interface KeptNotice extends Notice {
  seen_at: string | null;
  acknowledged_at: string | null;
  /** When the officer confirmed that it was cancelled. */
  confirmed_at: string | null;
}

export type Receipt = "seen_at" | "acknowledged_at" | "confirmed_at";

export type InboxItem = { seq: number; event_id: string; at: string } & (
  | { kind: "task"; body: Task }
  | { kind: "notice"; body: Notice }
  | { kind: "message"; body: Message }
  | { kind: "system"; body: Record<string, unknown> }
);

/** A message as it is kept here. */
export interface KeptMessage extends Message {
  /** It came after the thread was last looked at. */
  unread: boolean;
}

/** The alarm of an officer in danger, as the centre has it. */
export interface Panic {
  id: string;
  number: number;
  raised_at: string;
}

export interface InboxPage {
  items: InboxItem[];
  next: number | null;
  head_seq: number;
}

export interface Shift {
  id: string;
  unit_id: string;
  on_at: string | null;
  off_at: string | null;
}

export interface Place {
  lon: number;
  lat: number;
  accuracy_m: number | null;
  at: string;
}

/** What an entry of the outbox is about, so that the screen can show it where it belongs. */
export interface About {
  kind: "task" | "notice" | "shift" | "violation" | "talk" | "panic";
  id: string;
  verb:
    | Verb | "seen" | "notice_seen" | "notice_acknowledge" | "notice_confirm" | "notice_reply" | "shift_start" | "shift_end"
    | "report" | "message" | "support" | "panic";
}

/** One thing the officer did, kept on the device until the server has answered. */
export interface Entry {
  /** Its place in the order in which things were done on this device. */
  order: number;
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
