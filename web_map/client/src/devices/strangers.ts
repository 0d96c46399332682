/** Trackers that knock at the gateway and are not registered: one click registers one for a unit. */
import { html, nothing, type TemplateResult } from "lit";
import { ageText } from "../shared/age";
import { code, dayTime, number, t } from "../shared/i18n";
import { may } from "../shared/session";
import { keyOf, loadStrangers, putAside, welcome } from "./actions";
import { state, type Arrival, type Stranger } from "./state";

const chosen = new Map<string, string>();

export function unitOptions(picked = ""): TemplateResult {
  return html`<option value="" ?selected=${!picked}>${t("device.choose_unit")}</option>${state.units.map((unit) => html`<option value=${unit.id} ?selected=${unit.id === picked}>${unit.call_sign}</option>`)}`;
}

function steps(name: string, arrival: Arrival, redraw: () => void): TemplateResult {
  const done = !!arrival.seenAt;
  return html`<li class="arrival"><div class="who"><b>${name}</b></div>
    <ol class="steps"><li class=${arrival.deviceId ? "done" : "now"}>${t(arrival.deviceId ? "strangers.registered" : "strangers.registering")}</li>
      <li class=${done ? "done" : arrival.deviceId ? "now" : ""}>${done ? t("strangers.heard", { at: dayTime(arrival.seenAt ?? "") }) : t("strangers.waiting")}</li></ol>
    ${arrival.fault ? html`<p class="fault" role="alert">${arrival.fault}</p>` : arrival.deviceId && !done ? html`<progress aria-label=${t("strangers.waiting")}></progress>` : nothing}
    ${done || arrival.fault ? html`<button class="button" @click=${() => { state.arrivals.delete(name); redraw(); }}>${t("close")}</button>` : nothing}</li>`;
}

function stranger(one: Stranger, redraw: () => void): TemplateResult {
  const key = keyOf(one);
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    void welcome(one, chosen.get(key) ?? "").then(loadStrangers);
  };
  return html`<li><div class="who"><b>${one.identifier}</b><span>${code("device_protocol", one.protocol)}</span>
      <span class="muted">${t("strangers.knocked", { n: number(one.n), ago: ageText(one.last_seen), first: dayTime(one.first_seen), address: one.address })}</span></div>
    ${may("devices.write") ? html`<form @submit=${submit}>
      <label class="field"><span class="hidden-label">${t("strangers.unit", { name: one.identifier })}</span><select required @change=${(e: Event) => { chosen.set(key, (e.target as HTMLSelectElement).value); redraw(); }}>${unitOptions(chosen.get(key))}</select></label>
      <button class="button primary" ?disabled=${!chosen.get(key)}>${t("strangers.register")}</button>
      <button type="button" class="button" title=${t("strangers.forget_lead")} @click=${() => void putAside(one, "forget")}>${t(state.ignored ? "strangers.heed" : "strangers.forget")}</button>
      ${state.ignored ? nothing : html`<button type="button" class="button" title=${t("strangers.ignore_lead")} @click=${() => void putAside(one, "ignore")}>${t("strangers.ignore")}</button>`}</form>` : nothing}</li>`;
}

export function strangers(redraw: () => void): TemplateResult {
  const open = state.strangers.filter((one) => !state.arrivals.has(keyOf(one)));
  const toggle = (event: Event): void => {
    state.ignored = (event.target as HTMLInputElement).checked;
    void loadStrangers();
  };
  return html`<section class="card knocking strangers"><div class="head"><h2>${t("strangers.title")}</h2>
      <label class="check"><input type="checkbox" .checked=${state.ignored} @change=${toggle}> ${t("strangers.show_ignored")}</label></div>
    <p class="muted">${t("strangers.lead")}</p>
    <ul role="list" aria-live="polite">${[...state.arrivals].map(([name, arrival]) => steps(name, arrival, redraw))}${open.map((one) => stranger(one, redraw))}</ul>
    ${open.length || state.arrivals.size ? nothing : html`<p class="muted">${t(state.ignored ? "strangers.none_ignored" : "strangers.none")}</p>`}</section>`;
}
