/** What the page of people shows: everybody by a filter, one person, what waits for a second administrator, and what is asked. */
import type { Asking } from "../shared/sheet";
import type { Office } from "../shared/types";

export const ROLES = ["administrator", "dispatcher", "officer", "supervisor", "risk_analyst", "intelligence", "investigator", "internal_affairs", "auditor"] as const;

export interface Person {
  id: string;
  login: string;
  name: string;
  roles: string[];
  /** Those that wait for a second administrator. */
  roles_waiting: string[];
  office_id: string | null;
  badge_no: string | null;
  email: string | null;
  phone: string | null;
  has_factor: boolean;
  disabled_at: string | null;
  version: number;
}

/** A person with the password they sign in with next. */
export interface Made extends Person {
  one_time_password: string | null;
}

/** Roles proposed for a person by an administrator, for another to decide. */
export interface Proposal {
  id: string;
  user_id: string;
  login: string;
  name: string;
  roles: string[];
  proposed_by: string;
  proposed_by_name: string;
  proposed_at: string;
  /** When it ends by itself, unless somebody decides. */
  lapses_at: string;
}

export type Sheet =
  | (Asking & { kind: "make" })
  | (Asking & { kind: "change"; person: Person })
  | (Asking & { kind: "disable"; person: Person })
  | (Asking & { kind: "factor"; person: Person })
  | (Asking & { kind: "forgotten"; person: Person })
  | { kind: "password"; person: Made; copied: boolean };

export const HERE = "/people";

export const state = {
  text: "",
  role: "",
  office: "",
  standing: "enabled" as "enabled" | "disabled" | "all",
  people: null as Person[] | null,
  /** How many of those the filter finds are drawn. */
  shown: 0,
  pickedId: null as string | null,
  proposals: [] as Proposal[],
  /** Proposals whose decision is on its way. */
  deciding: new Set<string>(),
  offices: [] as Office[],
  sheet: null as Sheet | null,
  said: "",
  fault: "",
};

export const picked = (): Person | undefined => state.people?.find((person) => person.id === state.pickedId);
export const officeOf = (person: Person): Office | undefined => state.offices.find((office) => office.id === person.office_id);
export const proposalOf = (person: Person): Proposal | undefined => state.proposals.find((one) => one.user_id === person.id);
