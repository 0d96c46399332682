/** What the server tells an officer (the contract is mobile_contract/resources.py), and what waits to be told to it. */
import type { FieldFault } from "../shared/api";
import type { Checked, Message, StopFormIn, ViolationIn } from "../shared/contract";
import type { Notice as AnyNotice, Task as AnyTask } from "../shared/types";

export type { AideMemoire, Checked, DutySheet, Message, OwnFix, Shift, UnitSheet } from "../shared/contract";
export type { CodeLists, Me, Priority, Unit } from "../shared/types";
export type Status = AnyTask["status"];
export type Verb = "acknowledge" | "decline" | "en_route" | "on_scene" | "pause" | "resume" | "complete" | "fail";
export type Task = AnyTask;

/**
 * A task as it is kept here: the server's state; of a unit in support also whether its officer has told that it was seen, and
 * since when that support was off whose end was confirmed.
 */
export type KeptTask = Task & { support_seen?: true; stood_down?: string };

/** A task as the officer's own unit sees it: in support the status is its own, since `since`, and `lead_status` the lead's. */
export type SeenTask = KeptTask & { lead_status?: Status; since?: string };

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

export interface Place {
  lon: number;
  lat: number;
  accuracy_m: number | null;
  at: string;
}

/** What an entry of the outbox is about, so that the screen can show it where it belongs. */
export interface About {
  kind: "task" | "notice" | "shift" | "violation" | "stop" | "talk" | "panic";
  id: string;
  verb:
    | Verb | "seen" | "cancel_confirm" | "notice_seen" | "notice_acknowledge" | "notice_confirm" | "notice_reply" | "shift_start" | "shift_end"
    | "report" | "stop_form" | "message" | "support" | "panic";
  /** What was sent is a form: with this and its fields it can be opened again. */
  form?: Omit<Form, "fields">;
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
  refused?: Refusal;
}

/** Why the server did not take something, with what was wrong field by field. */
export interface Refusal {
  status: number;
  code: string;
  detail: string;
  errors?: FieldFault[];
}

/** A step that reached the server too late to count; it stays on the screen until the officer has read it. */
export interface Late {
  id: string;
  task_id: string;
  verb: About["verb"];
  result: "superseded" | "conflict";
  at: string;
}

export interface Transition {
  result: "applied" | "superseded" | "conflict";
  task: Task;
}

export type FormKind = "stop" | "violation";

/** What a form says, as it will be sent; a stop form and a violation report have their fields among these. */
export type Fields = Partial<Omit<StopFormIn, "id" | "task_id"> & Omit<ViolationIn, "id" | "task_id" | "coord_source">>;

/** A form being written; it survives a closed page. Its id is that of what will be recorded. */
export interface Form {
  id: string;
  kind: FormKind;
  task_id: string | null;
  begun_at: string;
  /** The step on which it was last open. */
  step: string;
  fields: Fields;
  /** Doubts that the officer has looked at: it is right as it is written. */
  confirmed: string[];
  /** It was sent and not taken. */
  refused?: Refusal;
}

/** A photo or file of a form, kept here until the server has all of it. */
export interface KeptFile {
  id: string;
  form_id: string;
  kind: FormKind;
  task_id: string | null;
  name: string;
  media_type: string;
  size: number;
  sha256: string;
  captured_at: string;
  place: Place | null;
  added_at: string;
  /** There is a smaller picture of it to show. */
  copy: boolean;
  /** Its form is being written; it waits for its turn; the server has it; the server does not take it. */
  state: "draft" | "waiting" | "sent" | "refused";
  announced: boolean;
  /** How many bytes the server has confirmed. */
  received: number;
  refused?: Refusal;
}

/** A form that was finished here: shown with its task, its vehicle offered in the next ones. */
export interface Recorded {
  id: string;
  kind: FormKind;
  task_id: string | null;
  at: string;
  plate: string | null;
  country: string | null;
  exercise?: boolean;
}

/** A shift's begin being written down; it survives a closed page. */
export interface Starting {
  unit_id: string | null;
  members: string[];
  checked: Record<string, Checked["state"]>;
  odometer_km: string;
}

/** A shift's end being written down. */
export interface Ending {
  odometer_km: string;
  note: string;
}
