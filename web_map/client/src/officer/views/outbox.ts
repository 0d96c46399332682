/** What waits on this device, and what the server refused: nothing is dropped without the officer's word. */
import { html, nothing, type TemplateResult } from "lit";
import { hourMinute, t } from "../../shared/i18n";
import { refusedFor } from "../../shared/refusal";
import { discard, retry, sendNow } from "../actions";
import type { Entry } from "../model";
import { isOnline, redraw, refused, state, taskById, waiting } from "../store";
import { backBar, moment } from "./parts";

function about({ about: { kind, id } }: Entry): string {
  const task = kind === "task" || kind === "violation" || kind === "talk" ? taskById(id) : undefined;
  if (task) return `${t("officer.task", { number: task.number })} · ${task.title}`;
  return state.kept.notices.find((notice) => notice.id === id)?.headline ?? "";
}

/** The refused entry that is to be removed, once that is confirmed: it cannot be had back. */
let leaving: string | null = null;

function ask(id: string | null): void {
  leaving = id;
  redraw();
}

const removal = (entry: Entry): TemplateResult => leaving === entry.id
  ? html`<p><b>${t("officer.outbox.remove.sure")}</b></p><div class="pair">
      <button class="big urgent" @click=${() => discard(entry)}>${t("officer.outbox.remove.yes")}</button>
      <button class="big" @click=${() => ask(null)}>${t("officer.outbox.remove.no")}</button></div>`
  : html`<div class="pair"><button class="big" @click=${() => retry(entry)}>${t("officer.outbox.retry")}</button>
      <button class="big" @click=${() => ask(entry.id)}>${t("officer.outbox.remove")}</button></div>`;

const row = (entry: Entry): TemplateResult => html`<li class="item"><b>${t(`officer.verb.${entry.about.verb}`)}</b>
  <span>${about(entry)}</span><small>${hourMinute(entry.made_at)}${entry.attempts > 1 && !entry.refused
    ? html` · ${t("officer.outbox.tries", { n: entry.attempts })}` : nothing}</small>
  ${entry.refused ? html`<p class="fault">${t("officer.outbox.refused")} ${refusedFor(entry.refused.code, entry.refused.detail)}</p>
    ${removal(entry)}` : nothing}</li>`;

export function outboxView(): TemplateResult {
  const [no, left] = [refused(), waiting()];
  return html`<div class="page">${backBar("#/", t("officer.outbox"))}
    <p>${t(isOnline() ? "officer.outbox.online" : "officer.outbox.offline")}
      ${state.checkedAt ? t("officer.outbox.checked", { time: moment(state.checkedAt) }) : nothing}</p>
    ${no.length ? html`<section><h2 class="fault">${t("officer.outbox.refused.title")}</h2><ul>${no.map(row)}</ul></section>` : nothing}
    ${left.length ? html`<section><h2>${t("officer.outbox.waiting.title")}</h2><ul>${left.map(row)}</ul>
      <button class="big" @click=${sendNow}>${t("officer.outbox.now")}</button></section>` : nothing}
    ${no.length + left.length ? nothing : html`<p class="card empty">${t("officer.outbox.empty")}</p>`}</div>`;
}
