/** One notice and who has got, seen and acknowledged it. */
import { html, nothing, type TemplateResult } from "lit";
import { clock, code, dayTime, t } from "../shared/i18n";
import { may } from "../shared/session";
import type { Receipt } from "../shared/types";
import { cancelNotice } from "./actions";
import { callSign, priority } from "./parts";
import { set, store, ui } from "./state";

const STAGES = ["delivered_at", "seen_at", "acknowledged_at"] as const;

export function noticePanel(): TemplateResult {
  const notice = ui.noticeId ? store.notices.get(ui.noticeId) : undefined;
  if (!notice) return html`<p class="empty">${t("loading")}</p>`;
  const receipts = ui.receipts;
  return html`<div class="scroll task-detail">
    <button class="button back" @click=${() => set({ panel: "notices", noticeId: null })}>← ${t("tab.notices")}</button>
    <h2>${priority(notice.priority)} #${notice.number}</h2>
    <h3>${notice.headline}</h3>
    <p class="muted">${code("notice_kind", notice.kind)} · ${dayTime(notice.created_at)}${notice.valid_to ? ` · ${t("notice.until", { at: dayTime(notice.valid_to) })}` : ""}</p>
    ${notice.body ? html`<p class="instruction">${notice.body}</p>` : nothing}
    ${notice.instruction ? html`<p class="instruction"><b>${notice.instruction}</b></p>` : nothing}
    ${receipts.length ? html`<div class="reach">${STAGES.map((stage) => bar(stage, receipts))}</div>
    <table class="receipts"><thead><tr><th>${t("notice.who")}</th>${STAGES.map((stage) => html`<th>${t(`step.${stage}`)}</th>`)}</tr></thead>
      <tbody>${receipts.map((receipt) => html`<tr><td>${callSign(receipt.unit_id) || "–"}</td>${STAGES.map((stage) => html`<td>${receipt[stage] ? clock(receipt[stage]) : "–"}</td>`)}</tr>`)}</tbody></table>` : nothing}
    ${may("notices.cancel") && notice.state === "sent" ? html`<div class="verbs"><button class="button danger" @click=${() => cancelNotice(notice)}>${t("verb.cancel")}</button></div>` : nothing}</div>`;
}

function bar(stage: (typeof STAGES)[number], receipts: Receipt[]): TemplateResult {
  const n = receipts.filter((receipt) => receipt[stage]).length;
  return html`<div class="bar"><span>${t(`step.${stage}`)}</span><progress max=${receipts.length} value=${n}></progress><span>${n} / ${receipts.length}</span></div>`;
}
