/** What the console shows now, beside the data: panels, selection, filters, what is held back for undo. */
import type { Area, Heat, LonLat, Nearest, Receipt, Reply, TaskEvent } from "../shared/types";

export type Panel = "queue" | "alerts" | "task" | "compose" | "notices" | "notice" | "write_notice" | "handover";

export interface Toast {
  text: string;
  urgent: boolean;
  until: number;
}

/** A send held back so that it can still be undone. */
export interface Held {
  text: string;
  until: number;
  send: () => Promise<void>;
  timer: number;
}

export interface Overruled {
  taskId: string;
  who: string;
  at: string;
  verb: string;
}

export interface HeatFilter {
  on: boolean;
  from: string;
  to: string;
  category: string;
}

export interface Ui {
  panel: Panel;
  unitId: string | null;
  taskId: string | null;
  noticeId: string | null;
  filter: string;
  groups: "all" | "available" | "committed" | "attention";
  point: LonLat | null;
  picking: boolean;
  /** The list of units is for one to send in support of the open task, of this kind ("" = any). */
  supporting: { capability: string } | null;
  /** The supporting unit that is asked about: why is it withdrawn? */
  withdrawing: string | null;
  nearest: Nearest[] | null;
  shortfalls: string[];
  events: TaskEvent[];
  /** Another dispatcher was first: what was refused here, and who did what when. */
  overruled: Overruled | null;
  receipts: Receipt[];
  replies: Reply[];
  /** Only the receipts of those who have not acknowledged yet. */
  missingOnly: boolean;
  /** The notice that the one being written takes the place of. */
  replacing: string | null;
  /** Corners of the area being drawn for a notice, in order; while `drawing` a click adds one. */
  corners: LonLat[];
  drawing: boolean;
  asking: string | null;
  /** The alert that is asked about: why is it over? */
  closing: string | null;
  heat: HeatFilter;
  heatData: Heat | null;
  categories: { category: string; n: number }[];
  help: boolean;
  muted: boolean;
  busy: boolean;
  held: Held | null;
  toast: Toast | null;
  /** What the map is to show with its next drawing, because somebody asked for it. */
  bringIntoView: Area | null;
}

const localDay = (ms: number): string => new Date(ms).toLocaleDateString("sv-SE", { timeZone: "Europe/Vilnius" });

export const initialUi = (): Ui => ({
  panel: "queue",
  unitId: null,
  taskId: null,
  noticeId: null,
  filter: "",
  groups: "all",
  point: null,
  picking: false,
  supporting: null,
  withdrawing: null,
  nearest: null,
  shortfalls: [],
  events: [],
  overruled: null,
  receipts: [],
  replies: [],
  missingOnly: false,
  replacing: null,
  corners: [],
  drawing: false,
  asking: null,
  closing: null,
  heat: { on: false, from: localDay(Date.now() - 365 * 86_400_000), to: localDay(Date.now()), category: "" },
  heatData: null,
  categories: [],
  help: false,
  muted: false,
  busy: false,
  held: null,
  toast: null,
  bringIntoView: null,
});
