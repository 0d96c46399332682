/** The inbox: the one task at hand, what waits, notices, what is over. */
import { html, nothing, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { dayTime, t } from "../../shared/i18n";
import { confirmCancel } from "../actions";
import type { KeptNotice, SeenTask, Task } from "../model";
import { mustConfirmNotice } from "../steps";
import { duty, myTasks, state } from "../store";
import { begunForms } from "./form";
import { chip, heading, icon, label, standingText, supportOf, wayText, windowText } from "./parts";
import { nextButton } from "./task";
import { startButtons } from "./duty";
import { pinOffer } from "./pin";

function nowCard(task: SeenTask, withStep: boolean): TemplateResult {
  return html`<article class="card now ${task.priority}">
    <a class="card-link" href="#/task/${task.id}">
      <p class="row">${chip(task.priority)}${standingText(task)}</p>
      ${supportOf(task)}<h3>${task.title}</h3>
      ${task.address ? html`<p class="with-icon">${icon("pin")}${task.address}</p>` : nothing}
      <p class="row muted">${wayText(task)}<span>${windowText(task)}</span></p>
      <p class="more">${t("officer.details")}</p></a>
    ${withStep ? nextButton(task) : nothing}</article>`;
}

const taskRow = (task: SeenTask): TemplateResult => html`<li><a class="item ${task.priority}" href="#/task/${task.id}">
  <p class="row">${chip(task.priority)}${standingText(task)}</p>${supportOf(task)}<b>${task.title}</b>
  <small>${t("officer.task", { number: task.number })} ${windowText(task)}</small></a></li>`;

/** Called off, one under the other: each is confirmed by itself, or all that stand here together. */
const toConfirm = (tasks: Task[]): TemplateResult => html`<section class="called-off"><h2>${t("officer.called_off")} <span class="count">${tasks.length}</span></h2>
  <ul>${repeat(tasks, (task) => task.id, (task) => html`<li><a href="#/task/${task.id}"><b>${task.title}</b>
      <small>${t("officer.task", { number: task.number })}</small></a>
    <button class="big" data-confirm=${task.id} aria-label=${t("officer.called_off.one", { title: task.title })}
      @click=${() => confirmCancel(task)}>${t("officer.understood")}</button></li>`)}</ul>
  ${tasks.length > 1 ? html`<button class="big" data-confirm="all" @click=${() => Promise.all(tasks.map(confirmCancel))}>${t("officer.called_off.all", { n: tasks.length })}</button>` : nothing}
</section>`;

const noticeRow = (notice: KeptNotice): TemplateResult => html`<li><a class="item ${notice.acknowledged_at && !mustConfirmNotice(notice) ? "" : "new"}"
  href="#/notice/${notice.id}"><p class="row"><span class="kind">${label("notice_kind", notice.kind)}</span>${notice.state === "sent"
    ? notice.acknowledged_at ? nothing : html`<span class="fresh">${t(notice.seen_at ? "officer.notice.open" : "officer.notice.new")}</span>`
    : html`<span>${t(`officer.notice.${notice.state}`)}</span>`}</p>
  <b>${notice.headline}</b><small>${dayTime(notice.created_at)}</small></a></li>`;

const DONE_SHOWN = 20;

function notices(): TemplateResult | typeof nothing {
  const all = [...state.kept.notices].sort((a, b) => b.created_at.localeCompare(a.created_at));
  const open = all.filter((notice) => (notice.state === "sent" && !notice.acknowledged_at) || mustConfirmNotice(notice));
  const read = all.filter((notice) => !open.includes(notice)).slice(0, DONE_SHOWN);
  if (!all.length) return nothing;
  return html`<section><h2>${t("officer.notices")}${open.length ? html` <span class="count">${open.length}</span>` : nothing}</h2>
    ${open.length ? html`<ul>${open.map(noticeRow)}</ul>` : nothing}
    ${read.length ? html`<details><summary>${t("officer.notices.read", { n: read.length })}</summary><ul>${read.map(noticeRow)}</ul></details>` : nothing}
  </section>`;
}

/** `withStep`: the next step stands in the card, because the task itself is not beside it. */
export function home(withStep: boolean): TemplateResult {
  const { now, calledOff, waiting, done } = myTasks();
  const over = done.slice(0, DONE_SHOWN);
  const off = duty() === "off";
  return html`<div class="page home"><div class="hidden-label">${heading(t("officer.nav.tasks"))}</div>
    ${off ? html`<section class="card"><h2>${t("officer.shift.off.title")}</h2><p>${t("officer.shift.off.text")}</p>${startButtons()}</section>` : nothing}
    ${now || !off ? html`<section><h2>${t("officer.now")}</h2>${now ? nowCard(now, withStep)
      : html`<p class="card empty">${icon("check")}${t("officer.now.none")}</p>`}</section>` : nothing}
    ${calledOff.length ? toConfirm(calledOff) : nothing}
    ${waiting.length ? html`<section><h2>${t("officer.waiting_tasks")} <span class="count">${waiting.length}</span></h2>
      <ul>${waiting.map(taskRow)}</ul></section>` : nothing}
    ${begunForms()}${notices()}${pinOffer()}
    ${over.length ? html`<details class="over"><summary>${t("officer.done", { n: over.length })}</summary><ul>${over.map(taskRow)}</ul></details>` : nothing}
  </div>`;
}
