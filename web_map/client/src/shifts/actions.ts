/** Reading the plan of shifts, and what a dispatcher does to it. */
import { all, api, ApiError, newId, withQuery } from "../shared/api";
import { day, dayTime, hourMinute, known, t } from "../shared/i18n";
import { refusalText } from "../shared/refusal";
import { renewed } from "../shared/session";
import { attempt } from "../shared/sheet";
import type { Office, Unit } from "../shared/types";
import { atWallTime, wallTime } from "../shared/wall_time";
import { callSign, state, unitOf, type Cancelling, type Draft, type Person, type Planning, type Scale, type Sheet, type Shift, type Timing } from "./state";
import { dayOf, daysLater, daysShown, extent, HOUR_MS, laterDay, meets, viewOf, type Span } from "./times";

const TYPING_MS = 300;
const PRESELECTED = 4;
const [DAY_BEGINS, NIGHT_BEGINS] = ["07:00", "19:00"];
let redraw: () => void = () => undefined;
let asked = 0;
let typing = 0;

/** Call `draw` whenever something changed. */
export function onChange(draw: () => void): void {
  redraw = draw;
}

const between = ({ from, to }: Span): string => withQuery("/shifts", { from: new Date(from).toISOString(), to: new Date(to).toISOString() });

/** Units and their shifts as they are now, for what the picture shows. */
export async function load(): Promise<void> {
  const mine = ++asked;
  state.loading = true;
  redraw();
  try {
    const [units, shifts] = await Promise.all([all<Unit>("/units"), all<Shift>(between(viewOf(state.day, state.scale)))]);
    await loadPeople([...units, ...shifts].flatMap((one) => one.members));
    if (mine !== asked) return;
    [state.units, state.shifts, state.fault] = [units, shifts, ""];
  } catch (error) {
    if (mine === asked) state.fault = refusalText(error);
  }
  if (mine === asked) state.loading = false;
  redraw();
}

/** Names, before anything is drawn with them: of everybody once, and again when somebody is new here. */
async function loadPeople(named: string[]): Promise<void> {
  if (state.people.size && named.every((id) => state.people.has(id))) return;
  for (const person of await all<Person>("/shifts/people")) state.people.set(person.id, person);
}

export async function loadOffices(): Promise<void> {
  state.offices = await all<Office>("/offices");
  redraw();
}

/** Show another day, or the same one with more or fewer beside it. */
export function look(day: string, scale: Scale = state.scale): void {
  [state.day, state.scale, state.said] = [day, scale, ""];
  void load();
}

export const lookOn = (steps: number): void => look(laterDay(state.day, steps * daysShown(state.scale)));

/** Show one shift, or none. */
export function pick(id: string | null): void {
  state.pickedId = id;
  redraw();
}

/** Ask for something on a sheet above the page; null closes it. */
export function show(sheet: Sheet | null): void {
  state.sheet = sheet;
  redraw();
}

const sending = (): { busy: boolean; fault: string; faults: Record<string, string>; ids: Map<string, string> } => ({ busy: false, fault: "", faults: {}, ids: new Map() });

/** Ask when a shift began or ended; or whether it is really not to be. */
export const askWhen = (kind: "begin" | "end", shift: Shift): void => show({ kind, shift, at: wallTime(Date.now()), ...sending() });
export const askCancel = (shift: Shift): void => show({ kind: "cancel", shift, ...sending() });

/** Ask for a new shift: of this unit, from this moment on, or what is next. */
export function askPlan(unitId = "", from?: number): void {
  const draft: Draft = { unitId: "", ...(from === undefined ? nextOne() : { from: wallTime(from), to: wallTime(from + 12 * HOUR_MS) }), members: new Set(), days: 0, text: "" };
  const sheet: Planning = { kind: "plan", shift: null, draft, around: [], outcomes: [], ...sending() };
  if (unitId) chooseUnit(sheet, unitId);
  show(sheet);
  void loadAround(sheet);
}

/** Ask how a shift is to be instead. */
export function askChange(shift: Shift): void {
  const draft: Draft = { unitId: shift.unit_id, from: wallTime(shift.from ?? shift.on_at ?? Date.now()), to: shift.to ? wallTime(shift.to) : "", members: new Set(shift.members), days: 0, text: "" };
  const sheet: Planning = { kind: "change", shift, draft, around: [], outcomes: [], ...sending() };
  show(sheet);
  void loadAround(sheet);
}

/** The day's or the night's hours on a local day. */
export function usual(which: "day" | "night", day: string): { from: string; to: string } {
  return which === "day" ? { from: `${day}T${DAY_BEGINS}`, to: `${day}T${NIGHT_BEGINS}` } : { from: `${day}T${NIGHT_BEGINS}`, to: daysLater(`${day}T${DAY_BEGINS}`, 1) };
}

function nextOne(): { from: string; to: string } {
  const now = wallTime(Date.now());
  if (state.day > now.slice(0, 10)) return usual("day", state.day);
  const today = dayOf(Date.now());
  if (now.slice(11) < DAY_BEGINS) return usual("day", today);
  return now.slice(11) < NIGHT_BEGINS ? usual("night", today) : usual("day", laterDay(today, 1));
}

/** The unit of a new shift; a small unit's own people are its crew unless said otherwise. */
export function chooseUnit(sheet: Planning, unitId: string): void {
  const own = (unitOf(unitId)?.members ?? []).filter((id) => state.people.get(id)?.available);
  sheet.draft.unitId = unitId;
  sheet.draft.members = new Set(own.length <= PRESELECTED ? own : []);
  delete sheet.faults.unit_id;
}

/** Something was entered: faults of those fields are gone, and who is on a shift then is looked up. */
export function entering(sheet: Planning, change: Partial<Draft>): void {
  Object.assign(sheet.draft, change);
  for (const field of Object.keys(change)) delete sheet.faults[field];
  redraw();
  if (!change.from && !change.to && change.days === undefined) return;
  delete sheet.faults.from;
  clearTimeout(typing);
  typing = window.setTimeout(() => void loadAround(sheet), TYPING_MS);
}

/** Each time at which the shift of a draft is to be, in order. */
export function windows({ from, to, days }: Draft): { from: string; to: string }[] {
  return Array.from({ length: days + 1 }, (_, n) => ({ from: atWallTime(daysLater(from, n)), to: atWallTime(daysLater(to, n)) }));
}

const spanOf = (window: { from: string; to: string }): Span => ({ from: Date.parse(window.from), to: Date.parse(window.to) });
const sensible = ({ from, to }: Draft): boolean => from > "2000" && to > from && to < "2200";

async function loadAround(sheet: Planning): Promise<void> {
  if (!sensible(sheet.draft)) return;
  const all_ = windows(sheet.draft).map(spanOf);
  const whole = { from: all_[0]?.from ?? 0, to: all_.at(-1)?.to ?? 0 };
  sheet.around = await all<Shift>(between(whole)).catch(() => []);
  redraw();
}

/** Another shift that somebody is on while this one is to be. */
export function elsewhere(sheet: Planning, personId: string): Shift | undefined {
  if (!sensible(sheet.draft)) return undefined;
  const wanted = windows(sheet.draft).map(spanOf);
  return sheet.around.find((shift) => shift.id !== sheet.shift?.id && !shift.cancelled_at && !shift.off_at && shift.members.includes(personId)
    && wanted.some((span) => meets(span, extent(shift, Date.now()))));
}

/** The id under which this body goes out: the same again when it is sent again. */
function idOf(sheet: Sheet, body: unknown): string {
  const key = JSON.stringify(body);
  const id = sheet.ids.get(key) ?? newId();
  sheet.ids.set(key, id);
  return id;
}

const post = <Answer>(sheet: Sheet, path: string, body: object): Promise<Answer> => api.post<Answer>(path, { id: idOf(sheet, body), ...body });

async function changed(shift: Shift, said: string): Promise<void> {
  [state.sheet, state.pickedId, state.cursor, state.returnTo, state.said] = [null, shift.id, shift.id, shift, said];
  const { from } = extent(shift, Date.now());
  const { from: begin, to: end } = viewOf(state.day, state.scale);
  if (from < begin || from >= end) state.day = dayOf(from); // it is not left out of sight
  await load();
}

const about = (shift: Shift): Record<string, string> => {
  const { from } = extent(shift, Date.now());
  return { unit: callSign(shift.unit_id), day: day(new Date(from)), from: hourMinute(new Date(from)) };
};

/** Plan the shift, once or on several days; what was refused stands at its field, or beside its day. */
export async function plan(sheet: Planning): Promise<void> {
  const { draft } = sheet;
  const send = ({ from, to }: { from: string; to: string }): Promise<Shift> =>
    post<Shift>(sheet, "/shifts", { unit_id: draft.unitId, members: [...draft.members].sort(), from, to });
  const [first] = windows(draft);
  if (!draft.days && first) return attempt(sheet, redraw, () => send(first), (shift) => changed(shift, t("shifts.said_planned", about(shift))), reason(sheet));
  if (sheet.busy) return;
  [sheet.busy, sheet.fault, sheet.faults] = [true, "", {}];
  if (!sheet.outcomes.length) sheet.outcomes = windows(draft).map((window) => ({ ...window, done: false, fault: "" }));
  redraw();
  let last: Shift | null = null;
  for (const one of sheet.outcomes.filter((outcome) => !outcome.done)) {
    try {
      last = await renewed(() => send(one));
      [one.done, one.fault] = [true, ""];
    } catch (error) {
      one.fault = sentence(error, sheet);
    }
    redraw();
  }
  sheet.busy = false;
  if (last && sheet.outcomes.every((one) => one.done)) await changed(last, t("shifts.said_planned_days", { unit: callSign(draft.unitId), n: sheet.outcomes.length }));
  else await load();
}

/** Change what differs; when somebody was first, say who, and send it over theirs only when asked again. */
export function change(sheet: Planning): Promise<void> {
  const { draft, shift } = sheet;
  if (!shift) return Promise.resolve();
  const members = [...draft.members].sort();
  const differs: Record<string, unknown> = {};
  if (!shift.on_at && draft.from !== wallTime(shift.from ?? 0)) differs.from = atWallTime(draft.from);
  if (draft.to && draft.to !== (shift.to ? wallTime(shift.to) : "")) differs.to = atWallTime(draft.to);
  if (members.join() !== [...shift.members].sort().join()) differs.members = members;
  if (!Object.keys(differs).length) return Promise.resolve(show(null));
  const first = async (error: unknown): Promise<string> => {
    if (!(error instanceof ApiError) || error.code !== "version_conflict") return reason(sheet)(error);
    sheet.shift = await api.get<Shift>(`/shifts/${shift.id}`).catch(() => shift);
    await load();
    const who = error.body.changed_by;
    return who ? t("shifts.first_was", { name: String(who) }) : t("shifts.first");
  };
  return attempt(sheet, redraw, () => api.patch<Shift>(`/shifts/${shift.id}`, { version: shift.version, ...differs }), (now) => changed(now, t("shifts.said_changed", about(now))), first);
}

export function beginOrEnd(sheet: Timing): Promise<void> {
  const verb = sheet.kind === "begin" ? "start" : "end";
  const body = { at: atWallTime(sheet.at) };
  return attempt(sheet, redraw, () => post<Shift>(sheet, `/shifts/${sheet.shift.id}/${verb}`, body), (shift) =>
    changed(shift, t(sheet.kind === "begin" ? "shifts.said_begun" : "shifts.said_ended", about(shift))), reason(sheet));
}

export function cancel(sheet: Cancelling): Promise<void> {
  return attempt(sheet, redraw, () => post<Shift>(sheet, `/shifts/${sheet.shift.id}/cancel`, {}), (shift) => changed(shift, t("shifts.said_cancelled", about(shift))), reason(sheet));
}

/** The server's no: at its field where the sheet has it, else for the whole. */
function reason(sheet: Sheet): (error: unknown) => string {
  return (error) => {
    sheet.faults = {};
    const field = error instanceof ApiError ? error.errors[0]?.field.split(".")[0] : undefined;
    if (!field || !["unit_id", "from", "to", "members", "at"].includes(field)) return sentence(error, sheet);
    sheet.faults[field] = sentence(error, sheet);
    return "";
  };
}

/** In this page's words where it has some. */
function sentence(error: unknown, sheet: Sheet): string {
  if (!(error instanceof ApiError)) return refusalText(error);
  const taken = error.body.overlaps as { from: string; to: string } | undefined;
  if (taken) return t("shifts.fault.overlap", { unit: callSign(sheet.kind === "plan" ? sheet.draft.unitId : sheet.shift?.unit_id ?? ""), from: dayTime(taken.from), to: dayTime(taken.to) });
  const [field] = error.errors;
  return known(`shifts.fault.${field?.code ?? error.code}`) ?? refusalText(error);
}
