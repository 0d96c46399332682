/** What the page of devices shows: a ranking by filter, one device, strangers at the gateway, and what is asked. */
import type { Asking } from "../shared/sheet";
import type { Office, Page, Unit } from "../shared/types";

export interface Reason {
  code: string;
  value: number;
  points: number;
}

interface Counts {
  accepted: number;
  duplicates: number;
  off_duty: number;
  rejected: number;
  late: number;
  jumps: number;
  no_fix: number;
  off_clock: number;
  frozen: number;
  unreadable: number;
  skew_s: number | null;
  silent_share: number | null;
  battery_pct: number | null;
  gaps: number[];
}

export interface Day extends Counts {
  day: string;
  suspect: number;
}

export interface Trust extends Counts {
  id: string;
  protocol: string;
  identifier: string | null;
  interval_s: number | null;
  unit_id: string | null;
  call_sign: string | null;
  office_id: string | null;
  office: string | null;
  on_duty: boolean;
  revoked_at: string | null;
  seen_at: string | null;
  about: string | null;
  last_skew_s: number | null;
  score: number | null;
  reasons: Reason[];
  days: Day[];
}

export interface Ranking extends Page<Trust> {
  gap_bounds_s: number[];
  totals: { devices: number; troubled: number; unheard: number; unscored: number };
}

export interface Stranger {
  protocol: string;
  identifier: string;
  first_seen: string;
  last_seen: string;
  n: number;
  address: string;
  ignored_at: string | null;
}

export interface Registered {
  id: string;
  protocol: string;
  identifier: string | null;
  key: string | null;
}

/** A stranger on its way to being known. */
export interface Arrival {
  deviceId: string | null;
  seenAt: string | null;
  fault: string;
}

export type Sheet =
  | (Asking & { kind: "register"; protocol: string })
  | { kind: "key"; device: Registered; copied: boolean }
  | (Asking & { kind: "assign" | "rotate" | "revoke"; device: Trust });

export const PROTOCOLS = ["http", "osmand", "gpslogger", "owntracks", "overland", "traccar", "teltonika", "gt06", "h02", "nmea", "cot"] as const;
/** Those that know a device by its identifier alone; the others by the key. */
export const BY_IDENTIFIER = new Set(["teltonika", "gt06", "h02", "cot"]);
export const HERE = "/devices";

export const state = {
  protocol: "",
  office: "",
  text: "",
  ranking: null as Ranking | null,
  picked: null as Trust | null,
  units: [] as Unit[],
  offices: [] as Office[],
  strangers: [] as Stranger[],
  ignored: false,
  arrivals: new Map<string, Arrival>(),
  sheet: null as Sheet | null,
  said: "",
  loading: false,
  fault: "",
};
