/** One person: who they are, how they are reached, and what an administrator may do. */
import { html, nothing, type TemplateResult } from "lit";
import { dayTime, t } from "../shared/i18n";
import { may, me } from "../shared/session";
import { pick, show } from "./actions";
import { roleChips } from "./list";
import { officeOf, picked, proposalOf, type Person } from "./state";

export function panel(): TemplateResult | typeof nothing {
  const person = picked();
  if (!person) return nothing;
  const proposal = proposalOf(person);
  const facts: [key: string, value: string | TemplateResult][] = [
    ["people.login", person.login],
    ["people.office", officeOf(person)?.name ?? "–"],
    ["people.badge_no", person.badge_no ?? "–"],
    ["people.email", person.email ? html`<a href="mailto:${person.email}">${person.email}</a>` : "–"],
    ["people.phone", person.phone ? html`<a href="tel:${person.phone.replace(/[^0-9+]/g, "")}">${person.phone}</a>` : "–"],
    ["people.factor", t(person.has_factor ? "people.factor_on" : "people.factor_off")],
  ];
  return html`<aside class="card panel" aria-label=${t("people.person")}>
    <div class="head"><h2>${person.name}</h2><button class="button" @click=${() => pick(null)}>${t("close")}</button></div>
    ${person.disabled_at ? html`<p class="fault">${t("people.disabled_since", { at: dayTime(person.disabled_at) })}</p>` : nothing}
    ${actions(person)}
    <h3>${t("people.roles")}</h3>${roleChips(person)}
    ${proposal ? html`<p class="muted">${t("people.proposed", { name: proposal.proposed_by_name, at: dayTime(proposal.proposed_at) })}</p>` : nothing}
    <h3>${t("people.particulars")}</h3><dl class="facts single">${facts.map(([key, value]) => html`<div><dt>${t(key)}</dt><dd>${value}</dd></div>`)}</dl></aside>`;
}

function actions(person: Person): TemplateResult | typeof nothing {
  if (!may("people.write") || person.disabled_at) return nothing;
  const ask = (kind: "change" | "disable" | "factor" | "forgotten"): void => show({ kind, person, busy: false, fault: "" });
  const other = person.id !== me()?.id;
  return html`<p class="buttons"><button class="button primary" @click=${() => ask("change")}>${t("people.change")}</button>
    ${other && !person.roles.includes("administrator") ? html`<button class="button" @click=${() => ask("forgotten")}>${t("people.forgotten")}</button>` : nothing}
    ${other && person.has_factor ? html`<button class="button" @click=${() => ask("factor")}>${t("people.factor_reset")}</button>` : nothing}
    ${other ? html`<button class="button danger" @click=${() => ask("disable")}>${t("people.disable")}</button>` : nothing}</p>`;
}
