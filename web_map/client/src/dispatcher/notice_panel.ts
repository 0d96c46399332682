/** One notice, who has got, seen and acknowledged it, and what they answered. */
import { html, nothing, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { clock, code, dayTime, t } from "../shared/i18n";
import { may } from "../shared/session";
import type { NoticeSummary, Receipt, Reply } from "../shared/types";
import { cancelNotice, openNotice } from "./actions";
import { writeNotice } from "./notice_form";
import { callSign, priority } from "./parts";
import { set, store, ui } from "./state";

type Stage = "delivered_at" | "seen_at" | "acknowledged_at" | "cancel_confirmed_at";
const STAGES: readonly Stage[] = ["delivered_at", "seen_at", "acknowledged_at"];

export function noticePanel(): TemplateResult {
  const notice = ui.noticeId ? store.notices.get(ui.noticeId) : undefined;
  if (!notice) return html`<p class="empty">${t("loading")}</p>`;
  return html`<div class="scroll task-detail">
    <button class="button back" @click=${() => set({ panel: "notices", noticeId: null })}>← ${t("tab.notices")}</button>
    <h2>${priority(notice.priority)} #${notice.number} ${notice.state === "sent" ? nothing : html`<span class="badge ${notice.state}">${code("notice_state", notice.state)}</span>`}</h2>
    <h3>${notice.headline}</h3>
    <p class="muted">${code("notice_kind", notice.kind)} · ${dayTime(notice.created_at)}${notice.valid_to ? ` · ${t("notice.until", { at: dayTime(notice.valid_to) })}` : ""}
      <br>${t("notice.to")}: ${addressed(notice)}</p>
    ${notice.body ? html`<p class="instruction">${notice.body}</p>` : nothing}
    ${notice.instruction ? html`<p class="instruction"><b>${notice.instruction}</b></p>` : nothing}
    ${ended(notice)}
    ${verbs(notice)}
    ${replies(ui.replies)}
    ${receipts(notice)}</div>`;
}

/** Whom it was sent to, in words. */
function addressed({ addressed: to }: NoticeSummary): string {
  const parts = [
    to.everyone ? t("notice.everyone") : "",
    to.area ? t("notice.in_area") : "",
    ...(to.offices ?? []).map((id) => store.offices.get(id)?.name ?? ""),
    ...(to.units ?? []).map(callSign),
  ];
  return parts.filter(Boolean).join(", ");
}

function link(id: string, text: string): TemplateResult {
  return html`<button class="link" @click=${() => void openNotice(id)}>${text}</button>`;
}

/** What it took the place of and what took its place; who ended it and when; who has still to confirm that. */
function ended(notice: NoticeSummary): TemplateResult | typeof nothing {
  const by = { who: notice.ended_by_name ?? "", at: notice.ended_at ? dayTime(notice.ended_at) : "" };
  return html`${notice.supersedes ? html`<p>${link(notice.supersedes, t("notice.supersedes"))}</p>` : nothing}
    ${notice.superseded_by ? html`<p class="due">${t("notice.superseded_by", by)} ${link(notice.superseded_by, t("notice.successor"))}</p>` : nothing}
    ${notice.state === "cancelled" ? html`<p class="due">${t("notice.cancelled_by", by)}
      ${notice.unconfirmed ? html`<b>${t("notice.unconfirmed", { n: notice.unconfirmed })}</b>` : nothing}</p>` : nothing}`;
}

function verbs(notice: NoticeSummary): TemplateResult | typeof nothing {
  if (notice.state !== "sent" || !may("notices.send")) return nothing;
  return html`<div class="verbs"><button class="button" @click=${() => writeNotice(notice.id)}>${t("notice.replace")}</button>
    ${may("notices.cancel") ? html`<button class="button danger" @click=${() => cancelNotice(notice)}>${t("verb.cancel")}</button>` : nothing}</div>`;
}

function replies(given: Reply[]): TemplateResult | typeof nothing {
  if (!given.length) return nothing;
  return html`<section><h3 class="group">${t("notice.replies")} <span class="count">${given.length}</span></h3>
    <ul class="replies">${[...given].reverse().map((reply) => html`<li>
      <span class="said">${reply.text}</span>
      <small><strong>${callSign(reply.unit_id)}</strong> ${reply.name} · ${dayTime(reply.at)}</small></li>`)}</ul></section>`;
}

const settled = (receipt: Receipt, cancelled: boolean): boolean =>
  cancelled ? !receipt.acknowledged_at || receipt.cancel_confirmed_at !== null : receipt.acknowledged_at !== null;

function receipts(notice: NoticeSummary): TemplateResult | typeof nothing {
  const all = ui.receipts;
  if (!all.length) return nothing;
  const cancelled = notice.state === "cancelled";
  const stages = cancelled ? [...STAGES, "cancel_confirmed_at" as const] : STAGES;
  const open = all.filter((receipt) => !settled(receipt, cancelled));
  const shown = ui.missingOnly ? open : all;
  const tab = (missing: boolean, text: string, n: number): TemplateResult => html`<button class=${ui.missingOnly === missing ? "on" : ""}
    aria-pressed=${ui.missingOnly === missing} @click=${() => set({ missingOnly: missing })}>${text} <span class="count">${n}</span></button>`;
  return html`<section><h3 class="group">${t("notice.receipts")} <span class="count">${all.length}</span></h3>
    <div class="reach">${stages.map((stage) => bar(stage, all))}</div>
    <div class="tabs" role="group" aria-label=${t("notice.receipts")}>${tab(false, t("notice.all"), all.length)}${tab(true, t("notice.missing"), open.length)}</div>
    <table class="receipts"><thead><tr><th scope="col">${t("notice.who")}</th>${stages.map((stage) => html`<th scope="col">${t(`step.${stage}`)}</th>`)}</tr></thead>
      <tbody>${repeat(shown, (receipt) => receipt.user_id + receipt.channel, (receipt) => row(receipt, stages))}</tbody></table></section>`;
}

const row = (receipt: Receipt, stages: readonly Stage[]): TemplateResult => html`<tr><th scope="row"><strong>${callSign(receipt.unit_id) || "–"}</strong> ${receipt.name}
  <small>${code("channel", receipt.channel)} · ${clock(receipt.queued_at)}</small></th>
  ${stages.map((stage) => html`<td>${receipt[stage] ? clock(receipt[stage]) : "–"}</td>`)}</tr>`;

function bar(stage: Stage, all: Receipt[]): TemplateResult {
  const of = stage === "cancel_confirmed_at" ? all.filter((receipt) => receipt.acknowledged_at) : all;
  const n = of.filter((receipt) => receipt[stage]).length;
  return html`<div class="bar"><span>${t(`step.${stage}`)}</span><progress max=${of.length || 1} value=${n} aria-label=${t(`step.${stage}`)}></progress><span>${n} / ${of.length}</span></div>`;
}
