/** Who is at a task that has supports: its lead and each of them, how they stand and since when; and withdrawing one. */
import { html, nothing, type TemplateResult } from "lit";
import { clock, hourMinute, t } from "../shared/i18n";
import type { Task, TaskStatus } from "../shared/types";
import { withdraw } from "./actions";
import { canSupport } from "./nearest_list";
import { since, statusBadge } from "./parts";
import { set, setAndFocus, store, ui } from "./state";
import { isAtTask } from "./store";

type Support = Task["supports"][number];

export function crews(task: Task): TemplateResult | typeof nothing {
  if (!task.supports.length) return nothing;
  return html`<ul class="crews" aria-label=${t("crew.title")}>
    <li data-crew=${task.unit_id ?? ""}>${line(task.unit_call_sign ?? "", "lead", task.status, leadSince(task))}</li>
    ${task.supports.map((one) => html`<li data-crew=${one.unit_id}>${line(one.call_sign, "support", one.status, one.since)}
      ${canSupport(task) && isAtTask(one) ? withdrawal(task, one) : nothing}</li>`)}</ul>`;
}

const line = (name: string, role: "lead" | "support", status: TaskStatus, at: string | undefined): TemplateResult => html`
  <span class="grow"><strong>${name}</strong> <span class="muted">${t(`crew.${role}`)}</span></span>${statusBadge(status)}
  <span class="age">${at ? html`<time datetime=${at} title=${clock(at)}>${t("crew.since", { at: hourMinute(at), span: since(at) })}</time>` : nothing}</span>`;

/** When the lead came to stand as it does, by the task's history. */
const leadSince = (task: Task): string | undefined => ui.events.findLast((event) => event.result === "applied"
  && event.to_status === task.status && event.from_status !== task.status && (event.unit_id ?? task.unit_id) === task.unit_id)?.at;

function withdrawal(task: Task, one: Support): TemplateResult {
  const asking = ui.withdrawing === one.unit_id;
  const name = t("support.withdraw_unit", { unit: one.call_sign });
  const toggle = (): void => (asking ? set({ withdrawing: null }) : setAndFocus({ withdrawing: one.unit_id, asking: null }, ".withdraw [name=reason]"));
  return html`<button class="icon" title=${name} aria-label=${name} aria-expanded=${asking} ?disabled=${ui.busy || store.link === "lost"} @click=${toggle}>✕</button>
    ${asking ? html`<form class="ask withdraw" @submit=${(event: SubmitEvent) => {
      event.preventDefault();
      withdraw(task, one.unit_id, one.call_sign, String(new FormData(event.target as HTMLFormElement).get("reason")));
    }}><label class="field"><span>${t("support.withdraw_reason", { unit: one.call_sign })}</span><input name="reason" required maxlength="200"></label>
      <button class="button primary">${t("support.withdraw")}</button></form>` : nothing}`;
}
