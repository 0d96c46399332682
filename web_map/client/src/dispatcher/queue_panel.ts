/** The work queue: what needs a decision first, then what runs; and the notices that were sent. */
import { html, nothing, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { code, dayTime, t } from "../shared/i18n";
import { may } from "../shared/session";
import type { LonLat, NoticeSummary, Task } from "../shared/types";
import { openNotice, openTask } from "./actions";
import { alertOf, alertRows, fate } from "./alerts";
import { handoverButton } from "./handover_panel";
import { writeNotice } from "./notice_form";
import { callSign, priority, since, statusBadge } from "./parts";
import { set, store, ui } from "./state";
import { awaitsConfirmation, queue, serverNow, urgency } from "./store";

export function tabs(): TemplateResult {
  const tab = (name: "queue" | "alerts" | "notices", n: number): TemplateResult => html`<button role="tab"
    aria-selected=${ui.panel === name} class=${ui.panel === name ? "on" : ""} @click=${() => set({ panel: name })}>${t(`tab.${name}`)} <span class="count">${n}</span></button>`;
  return html`<div class="tabs big" role="tablist">${tab("queue", queue(store).length)}${tab("alerts", store.alerts.size)}${tab("notices", store.notices.size)}</div>`;
}

export function queuePanel(): TemplateResult {
  const tasks = queue(store);
  const now = serverNow(store);
  const needs = tasks.filter((task) => urgency(task, now) <= 3);
  const runs = tasks.filter((task) => urgency(task, now) > 3);
  return html`${tabs()}<div class="scroll">
    <div class="starts">${may("tasks.draft") ? html`<button class="button primary" id="new-task" @click=${() => set({ panel: "compose", picking: true, point: null })}>${t("task.new")}</button>` : nothing}${handoverButton()}</div>
    ${group("queue.needs", needs)}${group("queue.runs", runs)}
    ${tasks.length ? nothing : html`<p class="empty">${t("queue.none")}</p>`}</div>`;
}

function group(title: string, tasks: Task[]): TemplateResult | typeof nothing {
  if (!tasks.length) return nothing;
  return html`<h3 class="group">${t(title)} <span class="count">${tasks.length}</span></h3>
    <ul class="rows">${repeat(tasks, (task) => task.id, taskRow)}</ul>`;
}

function taskRow(task: Task): TemplateResult {
  const late = urgency(task, serverNow(store)) <= 1;
  const alert = alertOf(task.id);
  return html`<li><button class="row task ${late ? "late" : ""} ${task.id === ui.taskId ? "on" : ""}" data-task=${task.id} @click=${() => void openTask(task.id)}>
    ${priority(task.priority)}
    <span class="grow"><strong>${task.title}</strong>
      <span class="line2">#${task.number} · ${code("task_kind", task.kind)}${task.unit_id ? ` · ${[callSign(task.unit_id), ...task.supports.map((one) => one.call_sign)].join(" + ")}` : ""}${task.exercise ? ` · ${t("task.exercise")}` : ""}</span>
      ${alert ? html`<span class="line2">${fate(alert)}</span>` : nothing}</span>
    <span class="right">${taskBadge(task)}<span class="age">${since(task.issued_at ?? task.created_at)}</span></span></button></li>`;
}

export const alertsPanel = (show: (at: LonLat) => void): TemplateResult => html`${tabs()}<div class="scroll">${alertRows(show)}</div>`;

export function noticesPanel(): TemplateResult {
  const notices = [...store.notices.values()].sort((a, b) => b.number - a.number);
  return html`${tabs()}<div class="scroll">
    ${may("notices.send") ? html`<button class="button primary wide" @click=${() => writeNotice()}>${t("notice.new")}</button>` : nothing}
    <ul class="rows">${repeat(notices, (notice) => notice.id, noticeRow)}</ul>
    ${notices.length ? nothing : html`<p class="empty">${t("notice.none")}</p>`}</div>`;
}

function noticeRow(notice: NoticeSummary): TemplateResult {
  return html`<li><button class="row" data-notice=${notice.id} @click=${() => void openNotice(notice.id)}>${priority(notice.priority)}
    <span class="grow"><strong>${notice.headline}</strong>
      <span class="line2">#${notice.number} · ${code("notice_kind", notice.kind)} · ${dayTime(notice.created_at)}</span></span>
    <span class="right">${noticeBadge(notice)}
      <span class="age" title=${t("step.acknowledged_at")}>${notice.replied ? html`<span class="answers">${t("notice.answers", { n: notice.replied })}</span> · ` : nothing}✓ ${notice.acknowledged}/${notice.recipients}</span></span></button></li>`;
}

/** How a task stands, or what of it waits for an answer. */
function taskBadge(task: Task): TemplateResult {
  if (task.conflict === "open") return html`<span class="badge conflict">${t("conflict.open")}</span>`;
  if (awaitsConfirmation(task)) return html`<span class="badge unacknowledged">${t("task.cancel_unconfirmed")}</span>`;
  return statusBadge(task.status);
}

function noticeBadge(notice: NoticeSummary): TemplateResult | typeof nothing {
  if (notice.state === "sent") return nothing;
  return notice.unconfirmed ? html`<span class="badge unacknowledged">${t("notice.unconfirmed", { n: notice.unconfirmed })}</span>`
    : html`<span class="badge">${code("notice_state", notice.state)}</span>`;
}
