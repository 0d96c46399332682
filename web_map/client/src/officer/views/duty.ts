/** The shift, which is what turns tracking on and off; language, theme, and leaving. */
import { html, nothing, type TemplateResult } from "lit";
import { hourMinute, t } from "../../shared/i18n";
import { languageButtons } from "../../shared/login";
import { currentTheme, toggleTheme } from "../../shared/theme";
import { endShift, startShift } from "../duty";
import { leave } from "../presence";
import { duty, isOnline, state, unitName, waiting } from "../store";
import { heading } from "./parts";

/** A big button for each unit the officer may start a shift with. */
export function startButtons(): TemplateResult {
  if (!state.units.length) return html`<p class="fault">${t("officer.shift.no_unit")}</p>`;
  const one = state.units.length === 1;
  return html`${one ? nothing : html`<p>${t("officer.shift.which")}</p>`}<div class="stack">${state.units.map((unit) =>
    html`<button class=${one ? "next" : "choice"} data-unit=${unit.call_sign} @click=${() => startShift(unit.id)}>
      ${t("officer.shift.start", { unit: unit.call_sign })}</button>`)}</div>`;
}

function shiftCard(): TemplateResult {
  const now = duty();
  const shift = state.shift;
  if (now === "off" || (now !== "starting" && !shift)) {
    return html`<section class="card"><h2>${t("officer.shift.off.title")}</h2><p>${t("officer.shift.off.text")}</p>${startButtons()}</section>`;
  }
  if (now === "starting" || !shift) {
    return html`<section class="card"><h2>${t("officer.shift.starting.title")}</h2><p>${t("officer.shift.starting.text")}</p></section>`;
  }
  return html`<section class="card"><h2>${t("officer.shift.on.title", { unit: unitName(shift.unit_id) })}</h2>
    <p>${t("officer.shift.on.text", { since: shift.on_at ? hourMinute(shift.on_at) : "" })}</p>
    ${now === "ending" ? html`<p class="unsent">${t("officer.shift.ending")}</p>`
      : html`<button class="next calm" @click=${() => endShift(shift)}>${t("officer.shift.end")}</button>`}</section>`;
}

export const dutyView = (): TemplateResult => html`<div class="page">${heading(t("officer.nav.duty"))}${shiftCard()}
  <section class="card"><h2>${t("officer.settings")}</h2><div class="stack">
    <button class="big" @click=${toggleTheme}>${t(currentTheme() === "night" ? "theme.day" : "theme.night")}</button>
    ${languageButtons()}</div></section>
  <section class="card"><h2>${state.me?.name}</h2>${waiting().length ? html`<p>${t("officer.leave.waiting", { n: waiting().length })}</p>` : nothing}
    ${isOnline() ? nothing : html`<p class="muted">${t("officer.leave.offline")}</p>`}
    <button class="big" ?disabled=${!isOnline()} @click=${leave}>${t("officer.leave")}</button></section></div>`;
