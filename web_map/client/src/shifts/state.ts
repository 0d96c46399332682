/** What the page of shifts shows: units and their shifts for a day or a week, one of them, and what is asked. */
import type { Shift as ContractShift } from "../shared/contract";
import type { Asking } from "../shared/sheet";
import type { Office, Unit } from "../shared/types";
import { dayOf } from "./times";

export type Shift = ContractShift & { cancelled_at: string | null };
export type Standing = "planned" | "late" | "missed" | "on" | "ended" | "cancelled";
export type Scale = "day" | "week";

/** Somebody who is on shifts; whoever is `available` can be put on one. */
export interface Person {
  id: string;
  name: string;
  badge_no: string | null;
  available: boolean;
}

/** A shift as it is being entered; times as clocks in Lithuania show them. */
export interface Draft {
  unitId: string;
  from: string;
  to: string;
  members: Set<string>;
  /** On how many days after the first it is to be as well. */
  days: number;
  /** What somebody else is looked for by. */
  text: string;
}

/** What became of one of several shifts that were planned together. */
export interface Outcome {
  from: string;
  to: string;
  done: boolean;
  fault: string;
}

/** Something that is sent, with what was refused of which field, and the ids under which each body goes out. */
interface Sending extends Asking {
  faults: Record<string, string>;
  ids: Map<string, string>;
}

export interface Planning extends Sending {
  kind: "plan" | "change";
  shift: Shift | null;
  draft: Draft;
  /** Whoever is on a shift at that time, for a warning. */
  around: Shift[];
  outcomes: Outcome[];
}

export interface Timing extends Sending {
  kind: "begin" | "end";
  shift: Shift;
  at: string;
}

export interface Cancelling extends Sending {
  kind: "cancel";
  shift: Shift;
}

export type Sheet = Planning | Timing | Cancelling;

export const HERE = "/shifts";

export const state = {
  day: dayOf(Date.now()),
  scale: "day" as Scale,
  text: "",
  office: "",
  withCancelled: false,
  units: null as Unit[] | null,
  shifts: [] as Shift[],
  people: new Map<string, Person>(),
  offices: [] as Office[],
  pickedId: null as string | null,
  /** The unit or shift that Tab comes to: arrow keys lead on from it. */
  cursor: "",
  sheet: null as Sheet | null,
  /** The shift whose bar gets the focus once it is drawn, for whoever goes on by keyboard. */
  returnTo: null as Shift | null,
  loading: false,
  said: "",
  fault: "",
};

export const picked = (): Shift | undefined => state.shifts.find((shift) => shift.id === state.pickedId);
export const unitOf = (id: string): Unit | undefined => state.units?.find((unit) => unit.id === id);
export const callSign = (id: string): string => unitOf(id)?.call_sign ?? "–";
export const nameOf = (id: string): string => state.people.get(id)?.name ?? "–";
