/** Everybody, by a filter; and how many there are. */
import { html, nothing, type TemplateResult } from "lit";
import { byArrows } from "../shared/desk_page";
import { code, number, t } from "../shared/i18n";
import { pick } from "./actions";
import { officeOf, ROLES, state, type Person } from "./state";

const PAGE = 200;

const has = (person: Person, role: string): boolean => person.roles.includes(role) || person.roles_waiting.includes(role);

function matches(person: Person): boolean {
  const text = state.text.trim().toLocaleLowerCase();
  const said = [person.name, person.login, person.badge_no, person.email, person.phone].filter(Boolean).join(" ").toLocaleLowerCase();
  return (
    text.split(/\s+/).every((word) => said.includes(word)) &&
    (!state.role || has(person, state.role)) &&
    (!state.office || person.office_id === state.office) &&
    (state.standing === "all" || !person.disabled_at === (state.standing === "enabled"))
  );
}

export function filters(redraw: () => void): TemplateResult {
  const choose = (field: "text" | "role" | "office" | "standing") => (event: Event): void => {
    (state as Record<typeof field, string>)[field] = (event.target as HTMLInputElement).value;
    state.shown = 0;
    redraw();
  };
  return html`<form class="filters" role="search" @submit=${(event: Event) => event.preventDefault()}>
    <label class="field grow"><span>${t("people.search")}</span><input type="search" name="text" maxlength="100" .value=${state.text} @input=${choose("text")}></label>
    <label class="field"><span>${t("people.role")}</span><select name="role" @change=${choose("role")}>
      <option value="">${t("people.all_roles")}</option>${ROLES.map((role) => html`<option value=${role} ?selected=${role === state.role}>${code("role", role)}</option>`)}</select></label>
    <label class="field"><span>${t("people.office")}</span><select name="office" @change=${choose("office")}>
      <option value="">${t("people.all_offices")}</option>${state.offices.map((office) => html`<option value=${office.id} ?selected=${office.id === state.office}>${office.name}</option>`)}</select></label>
    <label class="field"><span>${t("people.standing")}</span><select name="standing" @change=${choose("standing")}>
      ${(["enabled", "disabled", "all"] as const).map((one) => html`<option value=${one} ?selected=${one === state.standing}>${t(`people.standing.${one}`)}</option>`)}</select></label></form>
    ${state.fault ? html`<p class="fault" role="alert">${state.fault}</p>` : nothing}`;
}

export function totals(): TemplateResult | typeof nothing {
  if (!state.people) return nothing;
  const enabled = state.people.filter((person) => !person.disabled_at);
  const tile = (n: number, key: string, warn = false): TemplateResult => html`<div class=${warn ? "warn" : ""}><b>${number(n)}</b><span>${t(key)}</span></div>`;
  const administrators = enabled.filter((person) => person.roles.includes("administrator")).length;
  return html`<div class="totals">${tile(enabled.length, "people.may_sign_in")}${tile(administrators, "people.administrators", administrators < 2)}
    ${tile(state.proposals.length, "people.waiting_n", state.proposals.length > 0)}${tile(state.people.length - enabled.length, "people.disabled_n")}</div>`;
}

/** The roles a person has, and those that wait. */
export const roleChips = (person: Person): TemplateResult =>
  html`<div class="chips">${person.roles.map((role) => html`<span class="chip ${role === "administrator" ? "strong" : ""}">${code("role", role)}</span>`)}${
    person.roles_waiting.map((role) => html`<span class="chip waiting" title=${t("people.waits")}>${code("role", role)}<span class="hidden-label"> (${t("people.waits")})</span></span>`)}${
    person.roles.length + person.roles_waiting.length ? nothing : html`<span class="muted">${t("people.no_role")}</span>`}</div>`;

function row(person: Person): TemplateResult {
  const on = state.pickedId === person.id;
  const none = html`<span class="muted">–</span>`;
  return html`<tr class=${on ? "on" : ""}>
    <td><button class="link pick" aria-pressed=${on} @click=${() => pick(on ? null : person.id)}>${person.name}</button>
      <div class="muted">${person.login}${person.disabled_at ? html` · <span class="fault">${t("people.disabled")}</span>` : nothing}</div></td>
    <td>${roleChips(person)}</td><td>${officeOf(person)?.name ?? none}</td><td>${person.badge_no ?? none}</td><td>${person.phone ?? none}</td></tr>`;
}

export function list(redraw: () => void): TemplateResult {
  const found = state.people?.filter(matches);
  const shown = found?.slice(0, Math.max(PAGE, state.shown));
  const more = (): void => { state.shown = (shown?.length ?? 0) + PAGE; redraw(); };
  return html`<section class="card entries people" aria-busy=${!found}><div class="head"><h2>${t("people.list")}</h2>
      ${found ? html`<span class="muted" role="status">${t("people.found", { n: number(found.length), of: number(state.people?.length ?? 0) })}</span>` : nothing}</div>
    ${!shown ? (state.fault ? nothing : html`<p class="muted" role="status">${t("loading")} <progress aria-label=${t("loading")}></progress></p>`) : !shown.length ? html`<p class="muted">${t("people.nobody")}</p>` : html`
    <div class="table" tabindex="-1" @keydown=${byArrows}><table><caption class="hidden-label">${t("people.list")}</caption>
      <thead><tr><th>${t("people.name")}</th><th>${t("people.roles")}</th><th>${t("people.office")}</th><th>${t("people.badge_no")}</th><th>${t("people.phone")}</th></tr></thead>
      <tbody>${shown.map(row)}</tbody></table></div>
    ${found && shown.length < found.length ? html`<p class="buttons"><button class="button" @click=${more}>${t("people.more")}</button></p>` : nothing}`}</section>`;
}
