/** One task: what, where, when, why; the one next step as a big button; what else is possible beside it. */
import { html, nothing, type TemplateResult } from "lit";
import { hourMinute, t } from "../../shared/i18n";
import { confirmCancel, step } from "../actions";
import { owesStop } from "../forms";
import "../map";
import type { SeenTask, Task, Verb } from "../model";
import { showPlace } from "../position";
import { go, goInstead } from "../routes";
import { ASKS, choices, mustConfirmCancel, results, standing } from "../steps";
import { codesOf, state, taskById } from "../store";
import { aidesFor } from "./aide";
import { formsOfTask, stopFirst } from "./form";
import { backBar, chip, icon, label, missing, standingText, supportOf, together, wayText, windowText } from "./parts";
import { talkLinks } from "./talk";

/** Take a step at once, or ask first for what it needs. */
const take = (task: Task, verb: Verb): void => (ASKS[verb] ? go(`#/task/${task.id}/${verb}`) : void step(task, verb));

/** The one next step, at least 72 pixels high; nothing when the task asks for none. */
export function nextButton(task: SeenTask): TemplateResult | typeof nothing {
  if (mustConfirmCancel(task, state.kept.outbox)) {
    return html`<button class="next" data-verb="cancel_confirm" @click=${() => confirmCancel(task)}>${t("officer.confirm_cancel")}</button>`;
  }
  const verb = choices(standing(task, state.kept.outbox)).next;
  if (!verb) return nothing;
  if (verb === "complete" && owesStop(task)) {
    return html`<a class="next owed" data-verb="stop_form" href="#/begin/stop/${task.id}">${t("officer.form.first")}
      <small>${t("officer.form.owed")}</small></a>`;
  }
  return html`<button class="next" data-verb=${verb} @click=${() => take(task, verb)}>${t(`officer.verb.${verb}`)}</button>`;
}

function otherSteps(task: Task): TemplateResult | typeof nothing {
  const { others } = choices(standing(task, state.kept.outbox));
  const shown = others.map((verb) =>
    html`<button class="big" data-verb=${verb} @click=${() => take(task, verb)}>${t(`officer.verb.${verb}`)}</button>`);
  return shown.length ? html`<div class="others">${shown}</div>` : nothing;
}

const fact = (name: string, text: unknown): TemplateResult | typeof nothing =>
  text ? html`<div><dt>${t(`officer.fact.${name}`)}</dt><dd>${text}</dd></div>` : nothing;

function place(task: Task): TemplateResult | typeof nothing {
  if (!task.point && !task.area) return nothing;
  const [lon, lat] = task.point?.coordinates ?? [];
  const ask = state.placeState === "unasked" || state.placeState === "denied" || state.placeState === "unavailable";
  return html`<section class="where"><officer-map .task=${task} .own=${state.place}></officer-map>
    ${state.place ? html`<p class="distance">${wayText(task)}</p>` : nothing}
    <div class="pair">${ask ? html`<button class="big" @click=${showPlace}>${icon("pin")}${t("officer.place.show")}</button>` : nothing}
      ${state.placeState === "asking" ? html`<p>${t("officer.place.asking")}</p>` : nothing}
      ${task.point ? html`<a class="big" href="geo:${lat},${lon}?q=${lat},${lon}">${icon("arrow", 45)}${t("officer.navigate")}</a>` : nothing}</div>
    ${state.placeState === "denied" || state.placeState === "unavailable"
      ? html`<p class="fault">${t(`officer.place.${state.placeState}`)}</p>` : nothing}</section>`;
}

export function taskView(id: string): TemplateResult {
  const task = taskById(id);
  if (!task) return missing();
  const reason = [label("control_reason", task.reason_code), task.reason].filter(Boolean).join(": ");
  const steps = [nextButton(task), otherSteps(task)];
  return html`<div class="page one">${backBar("#/", t("officer.task", { number: task.number }))}
    <article class="sheet"><p class="row">${chip(task.priority)}${standingText(task)}${task.exercise
      ? html`<span class="unsent">${t("officer.exercise")}</span>` : nothing}</p>
      ${supportOf(task)}<h2>${task.title}</h2>
      ${task.address ? html`<p class="with-icon">${icon("pin")}${task.address}</p>` : nothing}
      ${windowText(task) ? html`<p class="with-icon">${icon("duty")}${windowText(task)}</p>` : nothing}
      ${together(task)}
      ${task.instruction ? html`<p class="instruction">${task.instruction}</p>` : nothing}
      ${place(task)}
      <dl>${fact("kind", label("task_kind", task.kind))}
        ${fact("reason", reason)}${fact("ack_due", task.status === "issued" && !task.lead_status && task.ack_due_at && hourMinute(task.ack_due_at))}
        ${fact("result", task.result && label("task_result", task.result))}</dl>
      ${talkLinks(task)}${aidesFor(task)}</article>${formsOfTask(task.id)}
    ${steps.some((part) => part !== nothing) ? html`<div class="steps">${steps}</div>` : nothing}</div>`;
}

/** The coded reason or result a step needs: big choices, one tap each. */
export function choose(id: string, verb: string): TemplateResult {
  const task = taskById(id);
  const ask = ASKS[verb as Verb];
  if (!task || !ask) return missing();
  const values = verb === "complete" ? results(codesOf(ask.list)) : codesOf(ask.list);
  const pick = (value: string): void => {
    void step(task, verb as Verb, { [ask.field]: value, ...(verb === "fail" ? { reason_code: value } : {}) });
    goInstead(verb === "decline" || verb === "complete" || verb === "fail" ? "#/" : `#/task/${id}`);
  };
  const top = html`${backBar(`#/task/${id}`, t(`officer.ask.${verb}`))}
    <p class="muted">${t("officer.task", { number: task.number })} · ${task.title}</p>`;
  if (verb === "complete" && owesStop(task)) return html`<div class="page">${top}${nextButton(task)}</div>`;
  return html`<div class="page">${top}
    <div class="choices-grid">${values.map((value) =>
      html`<button class="choice" data-code=${value} @click=${() => pick(value)}>${label(ask.list, value)}</button>`)}</div>
    ${verb === "complete" ? stopFirst(id) : nothing}</div>`;
}
