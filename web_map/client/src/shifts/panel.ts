/** One shift: when, who, how it stands, and what a dispatcher may do with it. */
import { html, nothing, type TemplateResult } from "lit";
import { code, dayTime, number, t } from "../shared/i18n";
import { may } from "../shared/session";
import { askCancel, askChange, askWhen, pick } from "./actions";
import { callSign, nameOf, picked, state, type Shift } from "./state";
import { standing } from "./times";

export function panel(): TemplateResult | typeof nothing {
  const shift = picked();
  if (!shift) return nothing;
  const how = standing(shift, Date.now());
  const at = (moment: string | null): string => (moment ? dayTime(moment) : "–");
  const km = (n: number | null): string => (n === null ? "–" : `${number(n)} km`);
  const facts: [key: string, value: string][] = [
    ["shifts.from", at(shift.from)], ["shifts.to", at(shift.to)], ["shifts.begun", at(shift.on_at)], ["shifts.ended", at(shift.off_at)],
    ...(shift.cancelled_at ? [["shifts.cancelled_at", at(shift.cancelled_at)] as [string, string]] : []),
    ...(shift.odometer_from_km === null && shift.odometer_to_km === null ? [] : [["shifts.odometer", `${km(shift.odometer_from_km)} → ${km(shift.odometer_to_km)}`] as [string, string]]),
  ];
  return html`<aside class="card panel" aria-label=${t("shifts.shift")}>
    <div class="head"><h2>${callSign(shift.unit_id)}</h2><button class="button" @click=${() => pick(null)}>${t("close")}</button></div>
    <p class="how"><i class="shift ${how}"></i>${t(`shifts.standing.${how}`)}</p>
    ${actions(shift)}
    <dl class="facts single">${facts.map(([key, value]) => html`<div><dt>${t(key)}</dt><dd>${value}</dd></div>`)}</dl>
    <h3>${t("shifts.crew")}</h3>${crew(shift)}
    ${shift.equipment_check.length ? html`<h3>${t("shifts.equipment")}</h3><ul class="crew">${shift.equipment_check.map((one) => html`<li>${code("equipment", one.item)}: ${code("equipment_state", one.state)}</li>`)}</ul>` : nothing}
    ${shift.handover_note ? html`<h3>${t("shifts.handover")}</h3><p class="handover">${shift.handover_note}</p>` : nothing}</aside>`;
}

function crew(shift: Shift): TemplateResult {
  if (!shift.members.length) return html`<p class="muted">${t("shifts.nobody")}</p>`;
  return html`<ul class="crew">${shift.members.map((id) => html`<li>${nameOf(id)} <span class="muted">${state.people.get(id)?.badge_no ?? ""}</span></li>`)}</ul>`;
}

function actions(shift: Shift): TemplateResult | typeof nothing {
  if (!may("shifts.plan") || shift.off_at || shift.cancelled_at) return nothing;
  return html`<p class="buttons">
    ${shift.on_at ? html`<button class="button" @click=${() => askWhen("end", shift)}>${t("shifts.end")}</button>` : html`<button class="button primary" @click=${() => askWhen("begin", shift)}>${t("shifts.begin")}</button>`}
    <button class="button" @click=${() => askChange(shift)}>${t("shifts.change")}</button>
    ${shift.on_at ? nothing : html`<button class="button danger" @click=${() => askCancel(shift)}>${t("shifts.cancel")}</button>`}</p>`;
}
