/** Roles that wait for a second administrator: who shall have them, who proposed that, and the decision. */
import { html, nothing, type TemplateResult } from "lit";
import { code, dayTime, t } from "../shared/i18n";
import { may, me } from "../shared/session";
import { decide, pick } from "./actions";
import { state, type Proposal } from "./state";

export function waiting(): TemplateResult | typeof nothing {
  if (!state.proposals.length) return nothing;
  return html`<section class="card knocking waits"><div class="head"><h2>${t("people.waiting")}</h2></div>
    <p class="muted">${t("people.waiting_lead")}</p>
    <ul role="list" aria-live="polite">${state.proposals.map(one)}</ul></section>`;
}

function one(proposal: Proposal): TemplateResult {
  const now = state.people?.find((person) => person.id === proposal.user_id)?.roles ?? [];
  return html`<li><div class="who"><button class="link name" @click=${() => pick(proposal.user_id)}>${proposal.name}</button>
      <span class="chips">${now.map((role) => html`<span class="chip">${code("role", role)}</span>`)}${proposal.roles.map((role) => html`<span class="chip waiting">+ ${code("role", role)}</span>`)}</span>
      <span class="muted">${proposal.login} · ${t("people.proposed", { name: proposal.proposed_by_name, at: dayTime(proposal.proposed_at) })} · ${t("people.lapses", { at: dayTime(proposal.lapses_at) })}</span></div>
    ${may("people.write") ? decision(proposal) : nothing}</li>`;
}

function decision(proposal: Proposal): TemplateResult {
  const [own, mine] = [proposal.proposed_by === me()?.id, proposal.user_id === me()?.id];
  const busy = state.deciding.has(proposal.id);
  const labelled = (key: string): string => `${t(key)}: ${proposal.name}`;
  return html`<div class="decision">${own || mine ? html`<span class="muted">${t(own ? "people.own" : "people.about_me")}</span>` : html`
      <button class="button primary" ?disabled=${busy} aria-label=${labelled("people.grant")} @click=${() => void decide(proposal, "grant")}>${t("people.grant")}</button>`}
    <button class="button" ?disabled=${busy} aria-label=${labelled(own ? "people.withdraw" : "people.refuse")} @click=${() => void decide(proposal, "refuse")}>${t(own ? "people.withdraw" : "people.refuse")}</button></div>`;
}
