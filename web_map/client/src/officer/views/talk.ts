/** The thread of a task, and the call for support. */
import { html, nothing, type TemplateResult } from "lit";
import { code, hourMinute, t } from "../../shared/i18n";
import type { KeptMessage, Priority, Task } from "../model";
import { go } from "../routes";
import { codesOf, state, taskById } from "../store";
import { callSupport, sendMessage } from "../talk";
import { backBar, label, missing, moment, sends } from "./parts";

export const threadOf = (taskId: string): KeptMessage[] =>
  state.kept.messages.filter((message) => message.task_id === taskId).sort((a, b) => a.received_at.localeCompare(b.received_at));

function bubble(message: KeptMessage): TemplateResult {
  const mine = message.by === state.me?.id;
  const who = message.from_centre ? t("officer.thread.centre", { name: message.by_name }) : message.by_name;
  return html`<li class="bubble ${mine ? "mine" : ""}"><small>${mine ? nothing : html`<b>${who}</b> · `}${moment(message.received_at)}</small>
    ${message.kind === "support" ? html`<b>${t("officer.thread.support")}</b>` : nothing}<p>${message.text}</p></li>`;
}

/** What was written here and is not with the centre yet. */
const unsent = (taskId: string): TemplateResult[] => state.kept.outbox
  .filter(({ about }) => about.kind === "talk" && about.id === taskId)
  .map((entry) => html`<li class="bubble mine"><small>${hourMinute(entry.made_at)} · <span class="unsent">${t("officer.unsent")}</span></small>
    ${entry.about.verb === "support" ? html`<b>${t("officer.thread.support")}</b>` : nothing}<p>${String(entry.body.text ?? "")}</p></li>`);

export function threadView(id: string): TemplateResult {
  const task = taskById(id);
  if (!task) return missing();
  const said = threadOf(id);
  return html`<div class="page one">${backBar(`#/task/${id}`, t("officer.thread"))}
    <p class="muted">${t("officer.task", { number: task.number })} · ${task.title}</p>
    ${said.length ? nothing : html`<p class="muted">${t("officer.thread.empty")}</p>`}
    <ul class="thread">${said.map(bubble)}${unsent(id)}</ul>
    <form class="steps write" @submit=${sends((text) => void sendMessage(task, text))}><label class="field"><span class="hidden-label">${t("officer.thread.write")}</span>
      <textarea name="text" rows="2" maxlength="2000" required placeholder=${t("officer.thread.write")}></textarea></label>
      <button class="next" data-verb="message">${t("officer.thread.send")}</button></form></div>`;
}

const PRIORITIES: readonly Priority[] = ["P1", "P2", "P3"];
let asked: { task: string; capability: string | null; priority: Priority } = { task: "", capability: null, priority: "P2" };

export function supportView(id: string, redraw: () => void): TemplateResult {
  const task = taskById(id);
  if (!task) return missing();
  if (asked.task !== id) asked = { task: id, capability: null, priority: "P2" };
  const pick = (fields: Partial<typeof asked>): void => {
    asked = { ...asked, ...fields };
    redraw();
  };
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    const text = String(new FormData(event.target as HTMLFormElement).get("text")).trim();
    void callSupport(task, asked.capability, asked.priority, text).then(() => go(`#/task/${id}/messages`));
  };
  const option = (value: string | null): TemplateResult => html`<button type="button" class="choice" data-code=${value ?? "any"}
    aria-pressed=${asked.capability === value} @click=${() => pick({ capability: value })}>${value ? label("capability", value) : t("officer.support.any")}</button>`;
  return html`<form class="page one" @submit=${submit}>${backBar(`#/task/${id}`, t("officer.support"))}
    <p class="muted">${t("officer.task", { number: task.number })} · ${task.title}</p>
    <h2>${t("officer.support.what")}</h2><div class="choices-grid two">${[null, ...codesOf("capability")].map(option)}</div>
    <h2>${t("officer.support.how_soon")}</h2><div class="choices-grid two">${PRIORITIES.map((value) => html`<button type="button" class="choice"
      data-code=${value} aria-pressed=${asked.priority === value} @click=${() => pick({ priority: value })}>${value}<small>${code("task_priority", value)}</small></button>`)}</div>
    <label class="field"><span>${t("officer.support.text")}</span><textarea name="text" rows="2" maxlength="2000"></textarea></label>
    <div class="steps"><button class="next" data-verb="support">${t("officer.support.send")}</button></div></form>`;
}

/** The ways from a task to its thread and to a call for support. */
export function talkLinks(task: Task): TemplateResult {
  const fresh = state.kept.messages.filter((message) => message.task_id === task.id && message.unread).length;
  return html`<div class="pair"><a class="big" href="#/task/${task.id}/messages">${t("officer.thread")}${fresh
    ? html` <b class="count">${fresh}</b>` : nothing}</a><a class="big" href="#/task/${task.id}/support">${t("officer.support")}</a></div>`;
}
