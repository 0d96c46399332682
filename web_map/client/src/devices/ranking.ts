/** The table of devices, the most troubled first, with its filter and totals. */
import { html, nothing, type TemplateResult } from "lit";
import { ageText } from "../shared/age";
import { byArrows } from "../shared/desk_page";
import { code, number, t } from "../shared/i18n";
import { loadMore, loadRanking, pick } from "./actions";
import { dayChart, dayLegend, gapChart } from "./charts";
import { PROTOCOLS, state, type Trust } from "./state";
import { nameOf, reasonText, standing } from "./words";

const SHOWN_REASONS = 3;
const TYPING_MS = 300;
let typing = 0;

function choose(field: "protocol" | "office" | "text", event: Event): void {
  state[field] = (event.target as HTMLInputElement).value;
  clearTimeout(typing);
  typing = window.setTimeout(() => void loadRanking(), field === "text" ? TYPING_MS : 0);
}

export function filters(): TemplateResult {
  return html`<form class="filters" role="search" @submit=${(event: Event) => event.preventDefault()}>
    <label class="field grow"><span>${t("trust.search")}</span><input type="search" name="text" maxlength="100" .value=${state.text} @input=${(e: Event) => choose("text", e)}></label>
    <label class="field"><span>${t("trust.protocol")}</span><select name="protocol" @change=${(e: Event) => choose("protocol", e)}>
      <option value="">${t("trust.all_protocols")}</option>${PROTOCOLS.map((name) => html`<option value=${name} ?selected=${name === state.protocol}>${code("device_protocol", name)}</option>`)}</select></label>
    <label class="field"><span>${t("trust.office")}</span><select name="office" @change=${(e: Event) => choose("office", e)}>
      <option value="">${t("trust.all_offices")}</option>${state.offices.map((office) => html`<option value=${office.id} ?selected=${office.id === state.office}>${office.name}</option>`)}</select></label>
    <progress class=${state.loading ? "" : "idle"} aria-label=${t("loading")}></progress></form>
    ${state.fault ? html`<p class="fault" role="alert">${state.fault}</p>` : nothing}`;
}

export function totals(): TemplateResult | typeof nothing {
  const totals = state.ranking?.totals;
  if (!totals) return nothing;
  const tile = (n: number, key: string, warn = false): TemplateResult => html`<div class=${warn && n ? "warn" : ""}><b>${number(n)}</b><span>${t(key)}</span></div>`;
  return html`<div class="totals" role="status">${tile(totals.devices, "trust.devices")}${tile(totals.troubled, "trust.troubled", true)}
    ${tile(totals.unheard, "trust.unheard", true)}${tile(totals.unscored, "trust.unscored")}</div>`;
}

export const badge = (score: number | null): TemplateResult =>
  html`<span class="score ${standing(score)}"><span class="hidden-label">${t("trust.score")} </span>${score ?? "–"}</span>`;

function row(device: Trust, bounds: number[]): TemplateResult {
  const on = state.picked?.id === device.id;
  const battery = device.battery_pct;
  return html`<tr class=${on ? "on" : ""}>
    <td>${badge(device.score)}</td>
    <td><button class="link pick" aria-pressed=${on} @click=${() => void pick(on ? null : device.id)}>${device.call_sign ?? t("trust.no_unit")}</button>
      <div class="muted">${code("device_protocol", device.protocol)} · ${nameOf(device)}${device.office ? html` · ${device.office}` : nothing}</div></td>
    <td class="reasons">${device.reasons.length ? device.reasons.slice(0, SHOWN_REASONS).map((reason) => html`<span class="reason ${reason.points >= 10 ? "heavy" : ""}">${reasonText(reason, device)}</span>`) : html`<span class="muted">${t("trust.fine")}</span>`}</td>
    <td>${gapChart(device.gaps, bounds)}</td><td>${dayChart(device.days)}</td>
    <td class="n">${device.seen_at ? ageText(device.seen_at) : "–"}</td>
    <td class="n ${battery !== null && battery < 20 ? "low" : ""}">${battery === null ? "–" : `${number(battery)} %`}</td></tr>`;
}

export function ranking(): TemplateResult {
  const found = state.ranking;
  return html`<section class="card entries ranked" aria-busy=${state.loading}><div class="head"><h2>${t("trust.ranking")}</h2>${dayLegend()}</div>
    ${!found ? html`<p class="muted">${t("loading")}</p>` : !found.items.length ? html`<p class="muted">${t("trust.nobody")}</p>` : html`
    <div class="table" tabindex="-1" @keydown=${byArrows}><table><caption class="hidden-label">${t("trust.ranking")}</caption>
      <thead><tr><th title=${t("trust.score_lead")}>${t("trust.score")}</th><th>${t("trust.device")}</th><th>${t("trust.why")}</th><th>${t("trust.gaps")}</th><th>${t("trust.days")}</th><th class="n">${t("trust.seen")}</th><th class="n">${t("trust.battery")}</th></tr></thead>
      <tbody>${found.items.map((device) => row(device, found.gap_bounds_s))}</tbody></table></div>
    ${found.next ? html`<p class="buttons"><button class="button" @click=${() => void loadMore()}>${t("trust.more")}</button></p>` : nothing}`}</section>`;
}
