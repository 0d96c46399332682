/** One task: its times as a line, the units nearest to it, what may be done with it, and its history. */
import { html, nothing, type TemplateResult } from "lit";
import { clock, code, dayTime, hourMinute, span, t } from "../shared/i18n";
import { may } from "../shared/session";
import type { Task, TaskEvent, TaskStatus } from "../shared/types";
import { act, resolve } from "./actions";
import { alertOf, askToClose, closable, closeButton, fate, takeButton } from "./alerts";
import { crews } from "./crews";
import { nearestList, supportButton } from "./nearest_list";
import { callSign, priority, reasonOf, statusBadge } from "./parts";
import { set, setAndFocus, store, ui } from "./state";
import { awaitsConfirmation, serverNow } from "./store";

const STEPS = ["issued_at", "delivered_at", "seen_at", "acknowledged_at", "en_route_at", "on_scene_at", "completed_at"] as const;
/** Tasks whose acknowledgement is still to come. */
const WAITING = new Set<TaskStatus>(["issued", "delivered", "unacknowledged"]);
const AT_WORK: readonly TaskStatus[] = ["acknowledged", "en_route", "on_scene"];
const CANCELLABLE: readonly TaskStatus[] = ["issued", "delivered", "unacknowledged", "declined", "paused", ...AT_WORK];

/** The dispatcher's verbs that a status allows (the server's table decides; this one only shows buttons). */
export function verbsOf(status: TaskStatus): string[] {
  const verbs: [string, readonly TaskStatus[]][] = [
    ["pause", AT_WORK], ["resume", ["paused"]], ["close", ["completed", "failed"]], ["return", ["completed"]],
    ["discard", ["draft"]], ["cancel", CANCELLABLE],
  ];
  return verbs.filter(([, from]) => from.includes(status)).map(([verb]) => verb);
}

export function taskPanel(show: (at: [number, number]) => void): TemplateResult {
  const task = ui.taskId ? store.tasks.get(ui.taskId) : undefined;
  if (!task) return html`<p class="empty">${t("loading")}</p>`;
  return html`<div class="scroll task-detail">
    <button class="button back" @click=${() => set({ panel: "queue", taskId: null })}>← ${t("tab.queue")}</button>
    <h2>${priority(task.priority)} #${task.number} ${statusBadge(task.status)}${awaitsConfirmation(task) ? html`<span class="badge unacknowledged">${t("task.cancel_unconfirmed")}</span>` : nothing}</h2>
    <h3>${task.title}</h3>
    <p class="muted">${code("task_kind", task.kind)} · ${code("control_reason", task.reason_code)}${task.unit_id ? html` · <strong>${callSign(task.unit_id)}</strong>` : nothing}${task.exercise ? ` · ${t("task.exercise")}` : ""}</p>
    ${task.instruction ? html`<p class="instruction">${task.instruction}</p>` : nothing}
    ${overruled(task)}${alarm(task)}${conflict(task)}
    ${place(task, show)}${timeline(task)}${crews(task)}
    ${nearestList(task)}
    ${may("tasks.dispatch") ? verbs(task) : nothing}
    ${history(task, ui.events)}</div>`;
}

/** What was refused because another dispatcher was first: who did what when, until it is read. */
function overruled(task: Task): TemplateResult | typeof nothing {
  const other = ui.overruled;
  if (other?.taskId !== task.id) return nothing;
  return html`<div class="notice-box" role="alert"><p>${t("conflict.overruled", { who: other.who, at: clock(other.at), verb: code("verb", other.verb) })}</p>
    <button class="icon" aria-label=${t("close")} @click=${() => set({ overruled: null })}>✕</button></div>`;
}

function alarm(task: Task): TemplateResult | typeof nothing {
  const alert = alertOf(task.id);
  if (!alert) return nothing;
  return html`<div class="notice-box ${alert.taken_at ? "" : "urgent"}"><p><b>${t(`alert.${alert.kind}`)}</b> ${hourMinute(alert.raised_at)} ${fate(alert)}</p>${closeButton(alert)}${takeButton(alert)}</div>`;
}

/** What the crew did against the cancel, by its own time, and what a dispatcher says of it. */
function conflict(task: Task): TemplateResult | typeof nothing {
  if (!task.conflict) return nothing;
  if (task.conflict !== "open") return html`<div class="notice-box"><p>${t(`conflict.${task.conflict}`)}</p></div>`;
  const steps = ui.events.filter((event) => event.result === "conflict");
  return html`<form class="ask conflict-form" @submit=${(event: SubmitEvent) => {
    event.preventDefault();
    const outcome = (event.submitter as HTMLButtonElement).value as "cancel_stands" | "work_counts";
    void resolve(task, outcome, String(new FormData(event.target as HTMLFormElement).get("reason")));
  }}><p><b>${t("conflict.title")}</b></p>
    <ul>${steps.map((step) => html`<li>${code("verb", step.verb)}${step.reason_code ? ` (${reasonOf(step.reason_code)})` : ""} · ${t("conflict.done", { at: clock(step.at), received: clock(step.received_at) })}</li>`)}</ul>
    ${may("tasks.dispatch") ? html`<label class="field"><span>${t("conflict.reason")}</span><input name="reason" required maxlength="200"></label>
      <div class="verbs"><button class="button" value="cancel_stands">${t("conflict.do.cancel_stands")}</button>
        <button class="button primary" value="work_counts">${t("conflict.do.work_counts")}</button></div>` : nothing}</form>`;
}

function place(task: Task, show: (at: [number, number]) => void): TemplateResult {
  const at = task.point?.coordinates;
  const window = task.window_from || task.window_to;
  return html`<p class="muted">${task.address ?? ""}
    ${at ? html`<button class="link" @click=${() => show(at)}>${at[1].toFixed(5)}, ${at[0].toFixed(5)}</button>` : nothing}
    ${window ? html`<br>${t("task.window")}: ${task.window_from ? dayTime(task.window_from) : "…"} – ${task.window_to ? dayTime(task.window_to) : "…"}` : nothing}</p>`;
}

/** The task's times as a line of dots: filled when it happened, with the time below. */
function timeline(task: Task): TemplateResult | typeof nothing {
  if (!task.issued_at) return nothing;
  const last = STEPS.reduce((found, step, i) => (task[step] ? i : found), -1);
  return html`<ol class="timeline" aria-label=${t("task.times")}>${STEPS.map((step, i) => html`<li
    class=${task[step] ? "done" : i < last ? "skipped" : "open"}><span class="dot"></span>
    <span class="what">${t(`step.${step}`)}</span>${moment(task[step])}</li>`)}</ol>
    ${task.ack_due_at && !task.acknowledged_at && WAITING.has(task.status) ? html`<p class="due">${due(task.ack_due_at)}</p>` : nothing}`;
}

/** Hours and minutes, which fit seven abreast; the seconds are in the tooltip. */
function moment(at: string | null | undefined): TemplateResult {
  return at
    ? html`<time class="when" datetime=${at} title=${clock(at)}>${hourMinute(at)}</time>`
    : html`<span class="when">–</span>`;
}

function due(at: string): string {
  const left = (Date.parse(at) - serverNow(store)) / 1000;
  return left > 0 ? t("task.due_in", { span: span(left) }) : t("task.overdue", { span: span(-left) });
}

/** Do a verb, or ask for its reason first; a panic's draft goes with its alarm, and that asks for one too. */
function begin(task: Task, verb: string): void {
  const panic = verb === "discard" ? alertOf(task.id) : undefined;
  if (panic && closable(panic)) askToClose(panic);
  else if (verb === "close" || verb === "resume" || verb === "discard") act(task, verb, "");
  else setAndFocus({ asking: verb }, ".ask [name=reason]");
}

function verbs(task: Task): TemplateResult {
  const asking = ui.asking;
  return html`<div class="verbs">${supportButton(task)}${verbsOf(task.status).map((verb) => html`<button class="button ${verb === "cancel" || verb === "discard" ? "danger" : ""}"
    aria-expanded=${asking === verb} @click=${() => begin(task, verb)}>${t(`verb.${verb}`)}</button>`)}</div>
    ${asking ? html`<form class="ask" @submit=${(event: SubmitEvent) => {
      event.preventDefault();
      act(task, asking, String(new FormData(event.target as HTMLFormElement).get("reason")));
    }}><label class="field"><span>${t("verb.reason", { verb: t(`verb.${asking}`) })}</span><input name="reason" required maxlength="200"></label>
      <button class="button primary">${t(`verb.${asking}`)}</button></form>` : nothing}`;
}

const LATE_MS = 60_000;

/** Whether a step was told long after it was taken: the device had no connection. */
const isLate = (event: TaskEvent): boolean => Math.abs(Date.parse(event.received_at) - Date.parse(event.at)) > LATE_MS;

function history(task: Task, events: TaskEvent[]): TemplateResult | typeof nothing {
  if (!events.length) return nothing;
  return html`<details class="history" open><summary>${t("task.history")} <span class="count">${events.length}</span></summary>
    <ul>${[...events].reverse().map((event) => html`<li class=${event.result}>
      <span class="when">${hourMinute(event.at)}</span>
      <span><strong>${code("verb", event.verb)}</strong> ${event.by_name.startsWith("system:") ? "Outrider" : event.by_name}${event.unit_id && event.unit_id !== task.unit_id ? ` · ${callSign(event.unit_id)}` : ""}
        ${event.result === "applied" ? nothing : html`<span class="badge ${event.result}">${code("event_result", event.result)}</span>`}
        ${event.reason_code ? html`<br>${reasonOf(event.reason_code)}` : nothing}${event.reason ? html`<br>${event.reason}` : nothing}
        ${event.clock_off_s ? html`<br><small class="fault">${t(event.clock_off_s > 0 ? "task.clock_ahead" : "task.clock_behind", { n: Math.round(Math.abs(event.clock_off_s) / 60) })}</small>` : nothing}
        ${isLate(event) ? html`<br><small>${t("task.received", { at: hourMinute(event.received_at) })}</small>` : nothing}</span></li>`)}</ul></details>`;
}
