/** Alarms: over the map until somebody takes them, and the list of all that stand, with who took each and when. */
import { html, nothing, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { clock, dayTime, hourMinute, t } from "../shared/i18n";
import { may, me } from "../shared/session";
import type { Alert, LonLat } from "../shared/types";
import { closeAlert, openTask, takeAlert } from "./actions";
import { disturbed } from "./interference";
import { callSign, since } from "./parts";
import { set, setAndFocus, store, ui } from "./state";
import { serverNow } from "./store";

const SHOWN = 3;
const RANK = [
  "panic", "support_requested", "task_unacknowledged", "task_conflict", "task_declined", "crash", "fall", "panic_late",
  "tow", "tamper", "power_cut", "jamming", "interference", "unit_silent", "tracker_doubled", "tracker_apart", "tracker_silent", "tracker_frozen", "low_battery",
];
const rank = (alert: Alert): number => RANK.indexOf(alert.kind);
/** Alerts that only a dispatcher ends, with a reason (the server's list decides; this one only shows buttons). */
const CLOSED_BY_HAND = new Set(["interference", "panic", "panic_late", "crash", "fall", "tow", "tamper", "power_cut", "jamming", "low_battery"]);
const DAY_MS = 20 * 3_600_000;

export const closable = (alert: Alert): boolean => CLOSED_BY_HAND.has(alert.kind) && may("tasks.dispatch");

/** Alerts that stand: what nobody has taken first, then by what they are about, the oldest first. */
export const standing = (): Alert[] => [...store.alerts.values()].sort((a, b) =>
  Number(a.taken_at !== null) - Number(b.taken_at !== null) || rank(a) - rank(b) || a.raised_at.localeCompare(b.raised_at));

export const untaken = (): Alert[] => standing().filter((alert) => !alert.taken_at);

/** Whether an alert sounds here: what is about a task at every dispatcher's, and at a supervisor's once they are called. */
export const sounds = (alert: Alert): boolean =>
  !alert.taken_at && alert.task_id !== null && (may("tasks.dispatch") || alert.called.includes(me()?.id ?? ""));

/** The alert about a task; what nobody has taken comes first. */
export function alertOf(taskId: string): Alert | undefined {
  let found: Alert | undefined;
  for (const alert of store.alerts.values()) if (alert.task_id === taskId && (!found || found.taken_at)) found = alert;
  return found;
}

function words(alert: Alert): string {
  const task = alert.task_id ? store.tasks.get(alert.task_id) : undefined;
  if (alert.task_id && !task) return alert.text;
  const at = alert.since ? (serverNow(store) - Date.parse(alert.since) > DAY_MS ? dayTime : hourMinute)(alert.since) : "–";
  return t(`alert.${alert.kind}.text`, { number: task?.number ?? "", title: task?.title ?? "", unit: callSign(alert.unit_id) || alert.whose, at, n: alert.units.length });
}

function open(alert: Alert): void {
  if (alert.task_id) void openTask(alert.task_id);
  else if (alert.area) set({ panel: "alerts", bringIntoView: alert.area });
  else set({ unitId: alert.unit_id });
}

/** Ask why the alert is over, in the list where it stands. */
export const askToClose = (alert: Alert): void => setAndFocus({ panel: "alerts", closing: alert.id }, ".close-alert input");

export const closeButton = (alert: Alert): TemplateResult | typeof nothing => closable(alert)
  ? html`<button class="button" aria-expanded=${ui.closing === alert.id} @click=${() => askToClose(alert)}>${t("alert.close")}</button>` : nothing;

function closeForm(alert: Alert): TemplateResult | typeof nothing {
  if (ui.closing !== alert.id) return nothing;
  return html`<form class="ask close-alert" @submit=${(event: SubmitEvent) => {
    event.preventDefault();
    void closeAlert(alert, String(new FormData(event.target as HTMLFormElement).get("reason")).trim());
  }}><label class="field"><span>${t("alert.why_over")}</span><input name="reason" required maxlength="200" pattern=".*\\S.*"></label>
    <div class="verbs"><button class="button primary" ?disabled=${ui.busy}>${t("alert.close_now")}</button>
      <button type="button" class="button" @click=${() => set({ closing: null })}>${t("alert.keep")}</button></div></form>`;
}

/** Where it was, to be brought into view. */
function place(alert: Alert, show: (at: LonLat) => void): TemplateResult | typeof nothing {
  const at = alert.point?.coordinates;
  return at ? html`<button class="link place" title=${t("unit.show")} @click=${() => show(at)}>${at[1].toFixed(5)}, ${at[0].toFixed(5)}</button>` : nothing;
}

/** How far it went, and who has it. */
export function fate(alert: Alert): TemplateResult {
  return html`${alert.reached === "dispatchers" ? nothing : html`<span class="reached">${t(`alert.reached.${alert.reached}`)}</span>`}
    ${alert.withdrawn_at ? html`<span class="reached">${t("alert.withdrawn", { at: clock(alert.withdrawn_at) })}</span>` : nothing}
    ${alert.taken_at ? html`<span class="taken">${t("alert.taken", { who: alert.taken_by_name ?? "?", at: clock(alert.taken_at) })}</span>` : nothing}`;
}

export const takeButton = (alert: Alert): TemplateResult | typeof nothing => alert.taken_at ? nothing
  : html`<button class="button take" @click=${() => void takeAlert(alert.id)}>${t("alert.take")}</button>`;

/** What nobody has taken yet, above everything; what is about tasks comes first. */
export function alarms(): TemplateResult | typeof nothing {
  const all = untaken();
  if (!all.length) return nothing;
  return html`<div class="alerts" role="alert">${repeat(all.slice(0, SHOWN), (alert) => alert.id, (alert) => html`<div class="alert ${alert.task_id ? "" : "quiet"}" data-alert=${alert.id}>
      <button class="what" @click=${() => open(alert)}><b>${t(`alert.${alert.kind}`)}</b> ${words(alert)} ${fate(alert)}</button>
      <span class="age">${since(alert.raised_at)}</span>${takeButton(alert)}</div>`)}
    ${all.length > SHOWN ? html`<button class="alert more" @click=${() => set({ panel: "alerts" })}>${t("alert.more", { n: all.length - SHOWN })}</button>` : nothing}</div>`;
}

export function alertRows(show: (at: LonLat) => void): TemplateResult {
  const all = standing();
  return html`<ul class="rows">${repeat(all, (alert) => alert.id, (alert) => html`<li class="alert-row ${alert.taken_at ? "taken" : ""} ${alert.task_id ? "" : "quiet"}" data-listed=${alert.id}>
    <button class="row" @click=${() => open(alert)}><span class="grow"><strong>${t(`alert.${alert.kind}`)}</strong>
      <span class="line2">${words(alert)}</span><span class="line2">${fate(alert)}</span></span>
      <span class="age">${hourMinute(alert.raised_at)}</span></button>
    <div class="alert-acts">${place(alert, show)}<span class="grow"></span>${closeButton(alert)}${takeButton(alert)}</div>${disturbed(alert)}${closeForm(alert)}</li>`)}</ul>
    ${all.length ? nothing : html`<p class="empty">${t("alert.none")}</p>`}`;
}
