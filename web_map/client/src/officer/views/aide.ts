/** Aide-memoires: what to go through for a kind of task or goods, kept on the device. */
import { html, nothing, type TemplateResult } from "lit";
import type { Texts } from "../../shared/contract";
import { currentLanguage, t } from "../../shared/i18n";
import type { AideMemoire, Task } from "../model";
import { state } from "../store";
import { backBar, missing } from "./parts";

const inOwn = (texts: Texts): string => texts[currentLanguage()];

const link = (aide: AideMemoire): TemplateResult => html`<a class="big" href="#/aide/${aide.code}">${inOwn(aide.title)}</a>`;

/** Ways to those that belong to a task. */
export function aidesFor(task: Task): TemplateResult | typeof nothing {
  const found = state.aides.filter((aide) => aide.task_kinds.includes(task.kind));
  return found.length ? html`<section><h3>${t("officer.aide.title")}</h3>${found.map(link)}</section>` : nothing;
}

export function aidesView(): TemplateResult {
  return html`<div class="page">${backBar("#/duty", t("officer.aide.title"))}
    ${state.aides.length ? html`<div class="stack">${state.aides.map(link)}</div>` : html`<p class="card empty">${t("officer.aide.none")}</p>`}</div>`;
}

export function aideView(code: string): TemplateResult {
  const aide = state.aides.find((one) => one.code === code);
  if (!aide) return missing();
  return html`<div class="page">${backBar("#/aide", inOwn(aide.title))}
    ${aide.warning ? html`<section class="late conflict"><p><b>${inOwn(aide.warning)}</b></p></section>` : nothing}
    <ol class="numbered">${aide.steps.map((step) => html`<li>${inOwn(step)}</li>`)}</ol>
    <p class="muted">${t("officer.aide.version", { n: aide.version, date: aide.issued_on })}</p></div>`;
}
