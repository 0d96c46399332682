/** The shift, which is what turns tracking on and off; this device's part in it; PIN, language, theme, and leaving. */
import { html, nothing, type TemplateResult } from "lit";
import { hourMinute, t } from "../../shared/i18n";
import { languageButtons } from "../../shared/login";
import { currentTheme, toggleTheme } from "../../shared/theme";
import { canStayAwake, setAwake, staysAwake } from "../awake";
import { leave } from "../presence";
import { duty, dutyUnit, isOnline, isReporting, sheetOf, state, unitName, waiting } from "../store";
import { setReporting } from "../track";
import { heading, moment } from "./parts";
import { pushCard } from "./push";

/** The way to a shift's begin, or why there is none. */
export function startButtons(): TemplateResult {
  if (!state.units.length) return html`<p class="fault">${t("officer.shift.no_unit")}</p>`;
  return html`<a class="next" href="#/shift/start">${t("officer.shift.begin")}</a>`;
}

function shiftCard(): TemplateResult {
  const now = duty();
  const { shift } = state;
  if (now === "off") {
    return html`<section class="card"><h2>${t("officer.shift.off.title")}</h2><p>${t("officer.shift.off.text")}</p>${startButtons()}</section>`;
  }
  const end = html`<a class="next calm" href="#/shift/end">${t("officer.shift.end")}</a>`;
  const ending = html`<p class="unsent">${t("officer.shift.ending")}</p>`;
  if (!shift) {
    return html`<section class="card"><h2>${t("officer.shift.starting.title")}</h2><p>${t("officer.shift.starting.text")}</p>
      ${now === "ending" ? ending : end}</section>`;
  }
  return html`<section class="card"><h2>${t("officer.shift.on.title", { unit: unitName(shift.unit_id) })}</h2>
    <p>${t("officer.shift.on.text", { since: shift.on_at ? hourMinute(shift.on_at) : "" })}</p>
    ${now === "ending" ? ending : end}</section>`;
}

/** What stands of the own position, and what a browser cannot do. */
function placeState(): string {
  const { placeState, track } = state;
  if (placeState === "denied") return t("officer.place.denied");
  if (placeState === "unavailable") return t("officer.place.unavailable");
  const at = track.at ? t("officer.track.last", { time: moment(track.at) }) : t("officer.place.asking");
  return track.waiting ? `${at} ${t("officer.track.waiting", { n: track.waiting })}` : at;
}

function trackCard(): TemplateResult {
  const on = isReporting();
  const sheet = sheetOf(dutyUnit());
  const running = duty() === "on" || duty() === "starting";
  return html`<section class="card"><h2>${t("officer.track.title")}</h2>
    <p>${t(sheet?.has_tracker ? "officer.track.has_tracker" : "officer.track.no_tracker")}</p>
    <button class="big" role="switch" aria-checked=${on} @click=${() => setReporting(!on)}>
      <i class="switch" aria-hidden="true"></i>${t("officer.track.this_device")}</button>
    ${on ? html`<p class="muted">${t("officer.track.foreground")}</p>` : nothing}
    ${on && running ? html`<p role="status">${placeState()}</p>` : nothing}
    <div class="pair"><a class="big" href="#/track">${t("officer.track.show")}</a><a class="big" href="#/phone">${t("officer.phone.title")}</a></div></section>`;
}

const settings = (): TemplateResult => html`<section class="card"><h2>${t("officer.settings")}</h2><div class="stack">
  ${canStayAwake() ? html`<button class="big" role="switch" aria-checked=${staysAwake()} @click=${() => setAwake(!staysAwake())}>
    <i class="switch" aria-hidden="true"></i>${t("officer.awake")}</button>` : nothing}
  <button class="big" @click=${toggleTheme}>${t(currentTheme() === "night" ? "theme.day" : "theme.night")}</button>
  ${languageButtons()}</div></section>`;

function person(): TemplateResult {
  const can = isOnline() || state.enrolled;
  return html`<section class="card"><h2>${state.me?.name}</h2>
    ${waiting().length ? html`<p>${t("officer.leave.waiting", { n: waiting().length })}</p>` : nothing}
    <a class="big" href="#/pin">${t(state.enrolled ? "officer.pin.change" : "officer.pin.use")}</a>
    ${can ? nothing : html`<p class="muted">${t("officer.leave.offline")}</p>`}
    <button class="big" ?disabled=${!can} @click=${leave}>${t(state.enrolled ? "officer.lock" : "officer.leave")}</button></section>`;
}

export const dutyView = (): TemplateResult => html`<div class="page">${heading(t("officer.nav.duty"))}${shiftCard()}${trackCard()}${pushCard()}
  <a class="big" href="#/aide">${t("officer.aide.title")}</a>${settings()}${person()}</div>`;
