/** What the screen is drawn from: one object, replaced field by field; a change draws once, however many fields. */
import type { LinkState } from "../shared/live";
import { KNOWN_CODES } from "./codes";
import type { Kept } from "./local";
import type {
  AideMemoire, CodeLists, DutySheet, Ending, Entry, FormKind, Me, Panic, Place, SeenTask, Shift, Starting, Unit, UnitSheet,
} from "./model";
import type { PlaceState } from "./place";
import type { PushState } from "./push";
import { RECEIPTS, seenBy, sorted, type Sorted } from "./steps";

export type Route =
  | { view: "home" }
  | { view: "task"; id: string }
  | { view: "choose"; id: string; verb: string }
  | { view: "thread"; id: string }
  | { view: "support"; id: string }
  | { view: "panic" }
  | { view: "notice"; id: string }
  | { view: "report"; taskId: string | null }
  | { view: "begin"; kind: FormKind; taskId: string | null }
  | { view: "form"; id: string; step: string }
  | { view: "duty" }
  | { view: "pin" }
  | { view: "shift"; what: "start" | "end" }
  | { view: "track" }
  | { view: "phone" }
  | { view: "aides" }
  | { view: "aide"; code: string }
  | { view: "outbox" };

export interface State {
  phase: "loading" | "unreachable" | "signed_out" | "locked" | "not_officer" | "ready";
  /** For whom this device is enrolled, and who is to enter the PIN. */
  people: { id: string; name: string; login: string }[];
  who: string | null;
  /** Whose store was wiped because the device is shut out; `handed` is null while it may still be handed over. */
  gone: { name: string; handed: number | null } | null;
  /** A PIN opens this person's store here. */
  enrolled: boolean;
  me: Me | null;
  route: Route;
  kept: Kept;
  units: Unit[];
  shift: Shift | null;
  codes: CodeLists;
  sheet: DutySheet | null;
  aides: AideMemoire[];
  /** Whether this device reports its own position on shift; null = when the unit has no tracker. */
  reporting: boolean | null;
  /** Own positions that wait on this device, and when the last was taken. */
  track: { waiting: number; at: string | null };
  link: LinkState;
  reached: boolean;
  /** The inbox was read to its end since the page was opened. */
  caughtUp: boolean;
  /** Whether the device tells what comes while the page is closed; null while nobody could ask the server. */
  push: PushState | null;
  checkedAt: string | null;
  /** How far this device's clock is ahead of the server's, in milliseconds, as of the last connection. */
  clockOffMs: number;
  placeState: PlaceState;
  place: Place | null;
  /** The urgent task that sounds until it is opened. */
  alarm: string | null;
  starting: Starting | null;
  ending: Ending | null;
  /** The last alarm of this officer that the centre has. */
  panic: Panic | null;
  /** Said once by screen readers, and shown for a moment. */
  said: string;
  storageFull: boolean;
  /** A newer page is on the device and waits to be taken over. */
  newVersion: boolean;
}

export const state: State = {
  phase: "loading",
  people: [],
  who: null,
  gone: null,
  enrolled: false,
  me: null,
  route: { view: "home" },
  kept: { tasks: [], notices: [], messages: [], outbox: [], late: [], forms: [], files: [], recorded: [] },
  units: [],
  shift: null,
  codes: {},
  sheet: null,
  aides: [],
  reporting: null,
  track: { waiting: 0, at: null },
  link: "connecting",
  reached: navigator.onLine,
  caughtUp: false,
  push: null,
  checkedAt: null,
  clockOffMs: 0,
  placeState: "unasked",
  place: null,
  alarm: null,
  starting: null,
  ending: null,
  panic: null,
  said: "",
  storageFull: false,
  newVersion: false,
};

let draw: () => void = () => undefined;
let due = false;

/** Name what draws the screen. */
export function drawWith(work: () => void): void {
  draw = work;
}

export function redraw(): void {
  if (due) return;
  due = true;
  queueMicrotask(() => {
    due = false;
    draw();
  });
}

export function update(fields: Partial<State>): void {
  Object.assign(state, fields);
  redraw();
}

export const isOnline = (): boolean => state.link === "up" || state.reached;

/** What the officer did and the server has not answered yet; receipts for what was merely looked at do not count. */
export const waiting = (): Entry[] =>
  state.kept.outbox.filter((entry) => !entry.refused && !RECEIPTS.includes(entry.about.verb));

export const refused = (): Entry[] => state.kept.outbox.filter((entry) => entry.refused);

/** The action that can still be undone. */
export const undoable = (): Entry | undefined => state.kept.outbox.find((entry) => entry.hold_until > Date.now());

/** The units the officer acts for. */
export function unitIds(): Set<string> {
  const ids = new Set(state.units.map((unit) => unit.id));
  return state.shift ? ids.add(state.shift.unit_id) : ids;
}

export function myTasks(): Sorted {
  const ids = unitIds();
  return sorted(state.kept.tasks.map((task) => seenBy(task, ids)), state.kept.outbox, ids);
}

/** A task as the officer's own unit sees it. */
export function taskById(id: string): SeenTask | undefined {
  const task = state.kept.tasks.find((one) => one.id === id);
  return task && seenBy(task, unitIds());
}

/** The values of a list as the server has them, or as they were known when this page was made. */
export const codesOf = (list: string): string[] => {
  const known = KNOWN_CODES[list] ?? [];
  const served = state.codes[list];
  if (!served) return known;
  const place = (value: string): number => (known.includes(value) ? known.indexOf(value) : known.length);
  return [...served].sort((a, b) => place(a) - place(b));
};

export type Duty = "off" | "starting" | "on" | "ending";

/** The shift as it will be once what waits has arrived. */
export function duty(): Duty {
  const verbs = waiting().map((entry) => entry.about.verb);
  if (verbs.includes("shift_end")) return "ending";
  if (verbs.includes("shift_start")) return "starting";
  return state.shift ? "on" : "off";
}

/** The unit of the shift that runs or waits to begin. */
export function dutyUnit(): string | null {
  if (state.shift) return state.shift.unit_id;
  return state.kept.outbox.find((entry) => entry.about.verb === "shift_start" && !entry.refused)?.about.id ?? null;
}

export const sheetOf = (unitId: string | null): UnitSheet | undefined => state.sheet?.units.find((unit) => unit.unit_id === unitId);

/** Whether this device sends its own position: as the officer chose, else when the unit has no tracker. */
export const isReporting = (): boolean => {
  const sheet = sheetOf(dutyUnit());
  return state.reporting ?? (sheet !== undefined && !sheet.has_tracker);
};

export const unitName = (id: string | null | undefined): string =>
  state.units.find((unit) => unit.id === id)?.call_sign ?? "";
