/** A form in steps: one group of questions on the screen, dots for how far it is, and a last step that shows all before it is sent. */
import { html, nothing, type TemplateResult } from "lit";
import { hourMinute, t } from "../../shared/i18n";
import { doubtText, fieldName, needText, refusalLines } from "../faults";
import { doubts, needs } from "../form_rules";
import { drop, edit, fillIn, formById, forms, isKept, noteStep, recordedForms, send } from "../forms";
import type { Form, FormKind } from "../model";
import { goInstead } from "../routes";
import { redraw, state, taskById } from "../store";
import { heading, icon, missing } from "./parts";
import { STOP_STEPS } from "./stop_form";
import { VIOLATION_STEPS } from "./violation";

export interface FormStep {
  name: string;
  /** The fields it asks for, by the beginnings of their paths. */
  fields: readonly string[];
  draw: (form: Form) => TemplateResult;
  /** What was said, in a line. */
  summary: (form: Form) => string;
}

/** The last step, of every form. */
const CHECK = "check";
const STEPS: Record<FormKind, readonly FormStep[]> = { stop: STOP_STEPS, violation: VIOLATION_STEPS };

const has = (step: FormStep, path: string): boolean => step.fields.some((field) => path === field || path.startsWith(`${field}.`));

/** The step that asks for a field; the last one for what belongs to none. */
export const stepOf = (form: Form, path: string): string => STEPS[form.kind].find((step) => has(step, path))?.name ?? CHECK;

/** The fields at fault lead to where they are asked for. */
export const firstFault = (form: Form): string => {
  const field = form.refused?.errors?.[0]?.field;
  return field === undefined ? CHECK : stepOf(form, field);
};

/** A form in a few words. */
export function formTitle(form: Form): string {
  const { vehicle, plate } = form.fields;
  return [t(`officer.form.${form.kind}`), vehicle?.plate || plate].filter(Boolean).join(" · ");
}

/** The step to go on with. */
export const resumed = (form: Form): string => form.step || STEPS[form.kind][0]?.name || CHECK;

export const formLink = (form: Form): TemplateResult => html`<li><a class="item new" href="#/form/${form.id}/${form.refused ? firstFault(form) : resumed(form)}" data-form=${form.id}>
  <b>${formTitle(form)}</b><small>${form.task_id && taskById(form.task_id) ? `${t("officer.task", { number: taskById(form.task_id)?.number ?? "" })} · ` : ""}${t("officer.form.begun", { time: hourMinute(form.begun_at) })}</small>
  ${form.refused ? html`<span class="fault">${t("officer.form.refused")}</span>` : nothing}</a></li>`;

/** Forms that were begun and not sent, to go on with; those of a task, or all. */
export function begunForms(taskId?: string): TemplateResult | typeof nothing {
  const begun = forms().filter((form) => taskId === undefined || form.task_id === taskId);
  return begun.length ? html`<section><h2>${t("officer.form.begun.title")}</h2><ul>${begun.map(formLink)}</ul></section>` : nothing;
}

/** What was finished here for a task, and whether the server has it. */
function finished(taskId: string): TemplateResult | typeof nothing {
  const all = recordedForms(taskId);
  const unsent = new Map(state.kept.outbox.map((entry) => [entry.id, entry]));
  const how = (id: string): TemplateResult => {
    const entry = unsent.get(id);
    if (!entry) return html`<small class="with-icon">${icon("check")}${t("officer.photos.sent")}</small>`;
    return html`<small class=${entry.refused ? "fault" : "unsent"}>${t(entry.refused ? "officer.outbox.refused.title" : "officer.unsent")}</small>`;
  };
  return all.length ? html`<section><h2>${t("officer.form.finished")}</h2><ul>${all.map(({ id, kind, at, plate }) => html`<li class="item" data-recorded=${id}>
    <b>${[t(`officer.form.${kind}`), plate, hourMinute(at)].filter(Boolean).join(" · ")}</b>${how(id)}</li>`)}</ul></section>` : nothing;
}

/** The forms of a task: to be begun, to go on with, and those that are done. */
export const formsOfTask = (taskId: string): TemplateResult => html`${formLinks(taskId)}${begunForms(taskId)}${finished(taskId)}`;

/** Before a task is completed: whether a stop was recorded for it here. */
export const stopFirst = (taskId: string): TemplateResult | typeof nothing => recordedForms(taskId).some(({ kind }) => kind === "stop") ? nothing
  : html`<a class="big quiet" href="#/begin/stop/${taskId}">${icon("form")}${t("officer.form.first")}</a>`;

const formLinks = (taskId: string): TemplateResult => html`<div class="pair">
  <a class="big" href="#/begin/stop/${taskId}">${icon("form")}${t("officer.form.stop")}</a>
  <a class="big" href="#/begin/violation/${taskId}">${icon("report")}${t("officer.form.violation")}</a></div>`;

const dots = (at: number, all: number): TemplateResult => html`<p class="dots" role="img" aria-label=${t("officer.form.step", { n: at + 1, all })}>
  ${Array.from({ length: all }, (_, n) => html`<i class=${n === at ? "here" : n < at ? "past" : ""}></i>`)}</p>`;

/** Leaving a form keeps it; it is told where from. */
const bar = (form: Form, title: string): TemplateResult => html`<div class="back-bar">
  <a class="round" href=${form.task_id && taskById(form.task_id) ? `#/task/${form.task_id}` : "#/report"} aria-label=${t("officer.form.leave")}>${icon("close")}</a>${heading(title)}</div>`;

const note = (form: Form): TemplateResult => html`<p class="muted kept" role="status">${isKept(form) ? t("officer.report.kept") : nothing}</p>`;

function refusedNote(form: Form): TemplateResult | typeof nothing {
  if (!form.refused) return nothing;
  return html`<section class="late conflict"><p><b>${t("officer.form.refused")}</b></p>${refusalLines(form.refused).map((line) => html`<p>${line}</p>`)}</section>`;
}

export function formView(id: string, name: string): TemplateResult {
  const form = formById(id);
  if (!form) return missing();
  const steps = STEPS[form.kind];
  const all = steps.length + 1;
  const at = name === CHECK ? steps.length : Math.max(0, steps.findIndex((step) => step.name === name));
  const step = steps[at];
  const link = (n: number): string => `#/form/${id}/${steps[n]?.name ?? CHECK}`;
  const back = at > 0 ? html`<a class="big back" href=${link(at - 1)}>${t("officer.back")}</a>` : nothing;
  return html`<div class="page one form" data-form=${form.id} data-step=${step?.name ?? CHECK}>${bar(form, t(`officer.form.${form.kind}.${step?.name ?? CHECK}`))}${dots(at, all)}
    ${step ? step.draw(form) : check(form)}${note(form)}
    <div class="steps wizard">${back}${step
      ? html`<a class="next" data-verb="next" href=${link(at + 1)}>${t("officer.form.next")}</a>`
      : html`<button class="next" data-verb="send" ?disabled=${Boolean(needs(form).length || doubts(form).length)} @click=${() => sent(form)}>${t(`officer.form.${form.kind}.send`)}</button>`}</div></div>`;
}

/** After a report that was begun within a stop form, that goes on; else the task, or the inbox. */
async function sent(form: Form): Promise<void> {
  if (!(await send(form.id))) return;
  const from = forms().find(({ fields }) => fields.violation_ids?.includes(form.id));
  goInstead(from ? `#/form/${from.id}/result` : form.task_id && taskById(form.task_id) ? `#/task/${form.task_id}` : "#/");
}

let leaving: string | null = null;

function ask(id: string | null): void {
  leaving = id;
  redraw();
}

async function discard(form: Form): Promise<void> {
  leaving = null;
  const from = forms().find(({ fields }) => fields.violation_ids?.includes(form.id));
  if (from) await edit(from.id, { violation_ids: from.fields.violation_ids?.filter((id) => id !== form.id) });
  await drop(form);
  goInstead(from ? `#/form/${from.id}/result` : "#/report");
}

/** Everything that was said, what is missing, and what looks wrong: each leads to its step. */
function check(form: Form): TemplateResult {
  const row = ({ name, summary }: FormStep): TemplateResult => html`<li><a class="item" href="#/form/${form.id}/${name}">
    <small>${t(`officer.form.${form.kind}.${name}`)}</small><b>${summary(form) || "–"}</b></a></li>`;
  const problems = new Map<string, string[]>();
  const tell = (field: string, text: string): void => void problems.set(field, [...(problems.get(field) ?? []), text]);
  for (const need of needs(form)) tell(need.field, needText(need));
  for (const doubt of doubts(form)) tell(doubt.field, doubtText(doubt));
  const problem = ([field, texts]: [string, string[]]): TemplateResult => html`<li><a class="item urgent" data-problem=${field} href="#/form/${form.id}/${stepOf(form, field)}">
    <b>${fieldName(field)}</b>${texts.map((text) => html`<span>${text}</span>`)}</a></li>`;
  return html`${refusedNote(form)}${problems.size ? html`<section><h2 class="fault">${t("officer.form.problems")}</h2><ul>${[...problems].map(problem)}</ul></section>` : nothing}
    <ul class="said-so">${STEPS[form.kind].map(row)}</ul>
    ${leaving === form.id ? html`<p><b>${t("officer.form.drop.sure")}</b></p><div class="pair">
        <button class="big urgent" data-drop="yes" @click=${() => discard(form)}>${t("officer.outbox.remove.yes")}</button>
        <button class="big" @click=${() => ask(null)}>${t("officer.outbox.remove.no")}</button></div>`
      : html`<button class="big quiet" data-drop @click=${() => ask(form.id)}>${t("officer.form.drop")}</button>`}`;
}

/** The form on the screen goes on at this step when it is opened again. */
export function stepShown(): void {
  if (state.route.view !== "form" || state.phase !== "ready") return;
  if (state.route.step) void noteStep(state.route.id, state.route.step);
  fillIn();
}
