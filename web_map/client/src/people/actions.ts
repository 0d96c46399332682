/** Reading who there is, and what an administrator does to people. */
import { all, api, ApiError, newId } from "../shared/api";
import { code, known, t } from "../shared/i18n";
import { refusalText } from "../shared/refusal";
import { renewed } from "../shared/session";
import { attempt, type Asking } from "../shared/sheet";
import type { Office } from "../shared/types";
import { picked, state, type Made, type Person, type Proposal, type Sheet } from "./state";

let redraw: () => void = () => undefined;

/** Call `draw` whenever something changed. */
export function onChange(draw: () => void): void {
  redraw = draw;
}

/** Everybody, every office, and what waits. */
export async function load(): Promise<void> {
  state.fault = "";
  redraw();
  try {
    [state.people, state.offices, state.proposals] = await Promise.all([all<Person>("/users"), all<Office>("/offices"), all<Proposal>("/role-grants")]);
  } catch (error) {
    state.fault = refusalText(error);
  }
  redraw();
}

/** What waits, and how those are whom it was decided for meanwhile. */
export async function loadProposals(): Promise<void> {
  const before = new Set(state.proposals.map((one) => one.user_id));
  state.proposals = await all<Proposal>("/role-grants");
  for (const one of state.proposals) before.delete(one.user_id);
  await Promise.all([...before].map(loadPerson));
  redraw();
}

async function loadPerson(id: string): Promise<void> {
  put(await api.get<Person>(`/users/${id}`));
}

/** Have this person in the list as they are now. */
function put(person: Person): void {
  const others = (state.people ?? []).filter((one) => one.id !== person.id);
  state.people = [...others, person].sort((a, b) => (a.login < b.login ? -1 : 1));
}

/** Show one person, or none. */
export function pick(id: string | null): void {
  state.pickedId = id;
  redraw();
}

/** Ask for something on a sheet above the page; null closes it. */
export function show(sheet: Sheet | null): void {
  state.sheet = sheet;
  redraw();
}

const names = (roles: string[]): string => roles.map((role) => code("role", role)).join(", ");

function told(person: Person, otherwise: string): string {
  return person.roles_waiting.length ? t("people.said_waiting", { name: person.name, roles: names(person.roles_waiting) }) : t(otherwise, { name: person.name });
}

async function changed(person: Person, said: string, next: Sheet | null = null): Promise<void> {
  put(person);
  [state.sheet, state.pickedId, state.said] = [next, person.id, said];
  redraw();
  await loadProposals().catch((error: unknown) => { state.fault = refusalText(error); });
  redraw();
}

/** Make a person; then their one-time password is shown. */
export function make(sheet: Asking, body: Record<string, unknown>): Promise<void> {
  const id = newId(); // of this try: whatever becomes of the answer, it makes one person
  return attempt(sheet, redraw, () => api.post<Made>("/users", { id, ...body }), (person) =>
    changed(person, told(person, "people.said_made"), { kind: "password", person, copied: false }), refused);
}

/** Change what differs; when somebody was first, say who, and show how the person is now. */
export function change(sheet: Asking & { person: Person }, body: Record<string, unknown>): Promise<void> {
  const { id, version } = sheet.person;
  const reason = async (error: unknown): Promise<string> => {
    if (!(error instanceof ApiError) || error.code !== "version_conflict") return refused(error);
    await loadPerson(id).catch(() => undefined);
    sheet.person = picked() ?? sheet.person;
    const who = error.body.changed_by;
    return who ? t("people.first_was", { name: String(who) }) : t("people.first");
  };
  return attempt(sheet, redraw, () => api.patch<Person>(`/users/${id}`, { version, ...body }), (person) => changed(person, told(person, "people.said_changed")), reason);
}

export function disable(sheet: Asking & { person: Person }): Promise<void> {
  return attempt(sheet, redraw, () => api.post<Person>(`/users/${sheet.person.id}/disable`), (person) => changed(person, t("people.said_disabled", { name: person.name })), refused);
}

/** A one-time password in place of a forgotten one; then it is shown. */
export function resetPassword(sheet: Asking & { person: Person }): Promise<void> {
  const id = newId(); // as in `make`
  return attempt(sheet, redraw, () => api.post<Made>(`/users/${sheet.person.id}/reset-password`, { id }), (person) =>
    changed(person, t("people.said_forgotten", { name: person.name }), { kind: "password", person, copied: false }), refused);
}

/** Take the second factor of a lost phone away. */
export function resetFactor(sheet: Asking & { person: Person }): Promise<void> {
  return attempt(sheet, redraw, () => api.post<Person>(`/users/${sheet.person.id}/reset-factor`), (person) => changed(person, t("people.said_reset", { name: person.name })), refused);
}

/** Grant, refuse or withdraw what waits. */
export async function decide(proposal: Proposal, how: "grant" | "refuse"): Promise<void> {
  state.deciding.add(proposal.id);
  [state.fault, state.said] = ["", ""];
  redraw();
  try {
    await renewed(() => api.post(`/role-grants/${proposal.id}/${how}`));
    state.said = t(how === "grant" ? "people.said_granted" : "people.said_refused", { name: proposal.name, roles: names(proposal.roles) });
  } catch (error) {
    const late = error instanceof ApiError && error.code === "transition_not_allowed";
    state.fault = late ? t("people.decided", { name: proposal.name }) : refused(error);
  }
  await Promise.all([loadProposals(), loadPerson(proposal.user_id)]).catch((error: unknown) => { state.fault ||= refusalText(error); });
  state.deciding.delete(proposal.id);
  redraw();
}

/** The server's no: in this page's words where it has some, for a field or for the whole. */
function refused(error: unknown): string {
  if (!(error instanceof ApiError)) return refusalText(error);
  const [field] = error.errors;
  return known(`people.fault.${field?.code ?? error.code}`) ?? refusalText(error);
}
