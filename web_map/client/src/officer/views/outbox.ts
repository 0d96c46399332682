/** What waits on this device, and what the server refused: nothing is dropped without the officer's word. */
import { html, nothing, type TemplateResult } from "lit";
import { hourMinute, t } from "../../shared/i18n";
import { discard, retry, sendNow } from "../actions";
import { refusalLines } from "../faults";
import { refusedForms, reopen } from "../forms";
import type { Entry, KeptFile } from "../model";
import { go } from "../routes";
import { isOnline, redraw, refused, state, taskById, waiting } from "../store";
import { firstFault, formLink } from "./form";
import { backBar, moment } from "./parts";
import { photosUnderWay } from "./photos";

function about({ about: { id }, body }: Entry): string {
  const plate = (body.vehicle as { plate?: string } | undefined)?.plate ?? body.plate;
  const task = taskById(id);
  const of = task ? `${t("officer.task", { number: task.number })} · ${task.title}` : state.kept.notices.find((notice) => notice.id === id)?.headline;
  return [of, plate].filter(Boolean).join(" · ");
}

/** The refused entry that is to be removed, once that is confirmed: it cannot be had back. */
let leaving: string | null = null;

function ask(id: string | null): void {
  leaving = id;
  redraw();
}

async function mend(entry: Entry): Promise<void> {
  const form = await reopen(entry);
  if (form) go(`#/form/${form.id}/${firstFault(form)}`);
}

/** How it is put right: a form is opened again, a text is changed here, anything else can only be tried once more. */
function mending(entry: Entry): TemplateResult {
  const remove = html`<button type="button" class="big" @click=${() => ask(entry.id)}>${t("officer.outbox.remove")}</button>`;
  if (entry.about.form) {
    return html`<div class="pair"><button type="button" class="big accent" data-mend @click=${() => mend(entry)}>${t("officer.outbox.mend")}</button>${remove}</div>`;
  }
  if (entry.refused?.code === "form_required") {
    return html`<a class="big accent" data-mend href="#/task/${entry.about.id}">${t("officer.outbox.form")}</a>
      <div class="pair"><button class="big" @click=${() => retry(entry)}>${t("officer.outbox.retry")}</button>${remove}</div>`;
  }
  if (typeof entry.body.text !== "string") {
    return html`<div class="pair"><button class="big" @click=${() => retry(entry)}>${t("officer.outbox.retry")}</button>${remove}</div>`;
  }
  const send = (event: SubmitEvent): void => {
    event.preventDefault();
    void retry(entry, String(new FormData(event.target as HTMLFormElement).get("text")).trim());
  };
  return html`<form class="reply" @submit=${send}><label class="field"><span>${t("officer.outbox.text")}</span>
    <textarea name="text" rows="3" maxlength="2000" .defaultValue=${entry.body.text}></textarea></label>
    <div class="pair"><button class="big accent">${t("officer.outbox.retry")}</button>${remove}</div></form>`;
}

const removal = (entry: Entry): TemplateResult => leaving === entry.id
  ? html`<p><b>${t("officer.outbox.remove.sure")}</b></p><div class="pair">
      <button class="big urgent" @click=${() => discard(entry)}>${t("officer.outbox.remove.yes")}</button>
      <button class="big" @click=${() => ask(null)}>${t("officer.outbox.remove.no")}</button></div>`
  : mending(entry);

const filesOf = (formId: string): KeptFile[] => state.kept.files.filter((file) => file.form_id === formId && file.state !== "draft");

const row = (entry: Entry): TemplateResult => html`<li class="item ${entry.refused ? "urgent" : ""}"><b>${t(`officer.verb.${entry.about.verb}`)}</b>
  <span>${about(entry)}</span><small>${hourMinute(entry.made_at)}${entry.attempts > 1 && !entry.refused
    ? html` · ${t("officer.outbox.tries", { n: entry.attempts })}` : nothing}</small>
  ${entry.about.form ? photosUnderWay(filesOf(entry.about.form.id)) : nothing}
  ${entry.refused ? html`<p class="fault">${t("officer.outbox.refused")}</p><ul class="faults">${refusalLines(entry.refused).map((line) => html`<li class="fault">${line}</li>`)}</ul>
    ${removal(entry)}` : nothing}</li>`;

/** Photos whose form has arrived, form by form. */
function photos(): TemplateResult | typeof nothing {
  const unsent = new Set(state.kept.outbox.map((entry) => entry.about.form?.id));
  const of = new Map<string, KeptFile[]>();
  for (const file of state.kept.files) if (file.state !== "draft" && !unsent.has(file.form_id)) of.set(file.form_id, [...(of.get(file.form_id) ?? []), file]);
  if (!of.size) return nothing;
  return html`<section><h2>${t("officer.outbox.photos")}</h2><ul>${[...of.values()].map((files) => html`<li class="item">
    <b>${t(`officer.form.${files[0]?.kind ?? "stop"}`)}</b>${photosUnderWay(files)}</li>`)}</ul></section>`;
}

export function outboxView(): TemplateResult {
  const [no, mended, left] = [refused(), refusedForms(), waiting()];
  const some = no.length + mended.length + left.length + state.kept.files.filter((file) => file.state !== "draft").length;
  return html`<div class="page">${backBar("#/", t("officer.outbox"))}
    <p>${t(isOnline() ? "officer.outbox.online" : "officer.outbox.offline")}
      ${state.checkedAt ? t("officer.outbox.checked", { time: moment(state.checkedAt) }) : nothing}</p>
    ${no.length + mended.length ? html`<section><h2 class="fault">${t("officer.outbox.refused.title")}</h2><ul>${no.map(row)}${mended.map(formLink)}</ul></section>` : nothing}
    ${left.length ? html`<section><h2>${t("officer.outbox.waiting.title")}</h2><ul>${left.map(row)}</ul>
      <button class="big" @click=${sendNow}>${t("officer.outbox.now")}</button></section>` : nothing}
    ${photos()}
    ${some ? nothing : html`<p class="card empty">${t("officer.outbox.empty")}</p>`}</div>`;
}
