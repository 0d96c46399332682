/** Resources and messages of the server's interface, as the pages use them. */

export type LonLat = [number, number];
export type Priority = "P1" | "P2" | "P3" | "P4";
export type TaskStatus =
  | "draft" | "discarded" | "issued" | "delivered" | "unacknowledged" | "acknowledged" | "declined" | "en_route"
  | "on_scene" | "paused" | "completed" | "failed" | "closed" | "cancelled" | "expired";

export interface Me {
  id: string;
  login: string;
  name: string;
  roles: string[];
  office_id: string | null;
  unit_id: string | null;
  shift_id: string | null;
  csrf_token: string;
  permissions: string[];
}

export interface Unit {
  id: string;
  call_sign: string;
  kind: string;
  capabilities: string[];
  tracking: "on_shift" | "always";
  office_id: string | null;
  members: string[];
  deputy_unit_id: string | null;
  status: string;
  version: number;
  stale_after_s: number;
  shift: { id: string; on_at: string; members: string[] } | null;
}

export interface Task {
  id: string;
  number: number;
  kind: string;
  priority: Priority;
  status: TaskStatus;
  version: number;
  title: string;
  instruction: string;
  reason_code: string;
  reason: string | null;
  point: { type: "Point"; coordinates: LonLat } | null;
  area: { type: "Polygon"; coordinates: LonLat[][] } | null;
  address: string | null;
  window_from: string | null;
  window_to: string | null;
  unit_id: string | null;
  support_unit_ids: string[];
  required_capabilities?: string[];
  exercise: boolean;
  ack_due_at: string | null;
  created_by: string | null;
  created_at: string;
  issued_at: string | null;
  delivered_at: string | null;
  seen_at: string | null;
  acknowledged_at: string | null;
  en_route_at: string | null;
  on_scene_at: string | null;
  completed_at: string | null;
  result?: string | null;
}

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
  reason_code: string | null;
  reason: string | null;
}

export interface Receipt {
  user_id: string;
  unit_id: string | null;
  queued_at: string;
  delivered_at: string | null;
  seen_at: string | null;
  acknowledged_at: string | null;
  channel: string;
}

export interface Notice {
  id: string;
  number: number;
  kind: string;
  priority: Priority;
  headline: string;
  body: string;
  instruction: string | null;
  state?: string;
  valid_to: string | null;
  created_at: string;
  recipients?: number;
  receipts?: Receipt[];
}

export interface Alert {
  id: string;
  kind: string;
  task_id?: string | null;
  unit_id?: string | null;
  raised_at: string;
  text: string;
  cleared_at?: string | null;
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
  | { kind: "snapshot"; as_of: string; version: number; units: UnitRows; tasks: Task[]; alerts: Alert[]; notices?: Notice[] }
  | ({ kind: "units"; as_of: string; version: number; gone: string[] } & UnitRows)
  | { kind: "task"; task: Task }
  | { kind: "notice"; notice: Notice }
  | { kind: "alert"; alert: Alert }
  | { kind: "inbox"; items: { seq: number; event_id: string; kind: string; at: string; body: Record<string, unknown> }[] }
  | { kind: "pong"; n: number }
  | { kind: "beat"; as_of: string }
  | { kind: "resync"; reason: string }
  | { kind: "bye"; code: number; reason: string }
);
