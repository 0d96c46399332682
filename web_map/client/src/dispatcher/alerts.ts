/** Alarms: over the map until somebody takes them, and the list of all that stand, with who took each and when. */
import { html, nothing, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { clock, hourMinute, t } from "../shared/i18n";
import { may, me } from "../shared/session";
import type { Alert } from "../shared/types";
import { openTask, takeAlert } from "./actions";
import { callSign, since } from "./parts";
import { set, store } from "./state";

const SHOWN = 3;
const RANK: Record<string, number> = { panic: -2, support_requested: -1, task_unacknowledged: 0, task_conflict: 1, task_declined: 2, unit_silent: 3, tracker_silent: 4, tracker_doubled: 3, tracker_frozen: 4 };
const rank = (alert: Alert): number => RANK[alert.kind] ?? 0;

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
  const at = alert.since ? hourMinute(alert.since) : "–";
  return t(`alert.${alert.kind}.text`, { number: task?.number ?? "", title: task?.title ?? "", unit: callSign(alert.unit_id), at });
}

function open(alert: Alert): void {
  if (alert.task_id) void openTask(alert.task_id);
  else set({ unitId: alert.unit_id });
}

/** How far it went, and who has it. */
export function fate(alert: Alert): TemplateResult {
  return html`${alert.reached === "dispatchers" ? nothing : html`<span class="reached">${t(`alert.reached.${alert.reached}`)}</span>`}
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

export function alertRows(): TemplateResult {
  const all = standing();
  return html`<ul class="rows">${repeat(all, (alert) => alert.id, (alert) => html`<li class="alert-row ${alert.taken_at ? "taken" : ""}">
    <button class="row" @click=${() => open(alert)}><span class="grow"><strong>${t(`alert.${alert.kind}`)}</strong>
      <span class="line2">${words(alert)}</span><span class="line2">${fate(alert)}</span></span>
      <span class="age">${hourMinute(alert.raised_at)}</span></button>${takeButton(alert)}</li>`)}</ul>
    ${all.length ? nothing : html`<p class="empty">${t("alert.none")}</p>`}`;
}
