/** What the supervisor's page shows: a filter, the cells it gives, and an import that runs. */
import type { Heat, HotCells } from "../shared/types";

export interface Import {
  name: string;
  progress: number;
  done: boolean;
  fault: string;
  result: ImportResult | null;
}

export interface ImportResult {
  accepted: number;
  duplicates: number;
  rejected: { line: number; code: string; detail: string }[];
  rejected_total?: number;
  ignored_columns: string[];
  new_categories: string[];
}

const localDay = (ms: number): string => new Date(ms).toLocaleDateString("sv-SE", { timeZone: "Europe/Vilnius" });

export const state = {
  from: localDay(Date.now() - 365 * 86_400_000),
  to: localDay(Date.now()),
  category: "",
  inView: false,
  categories: [] as { category: string; n: number }[],
  heat: null as Heat | null,
  hot: null as HotCells | null,
  towns: new Map<number, string>(),
  picked: 0,
  loading: false,
  fault: "",
  report: false,
  upload: null as Import | null,
};
