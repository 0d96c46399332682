/** One notice, read, acknowledged and answered. */
import { html, nothing, type TemplateResult } from "lit";
import { dayTime, hourMinute, t } from "../../shared/i18n";
import { acknowledgeNotice, confirmNotice, replyToNotice } from "../actions";
import type { KeptNotice } from "../model";
import { mustConfirmNotice } from "../steps";
import { state } from "../store";
import { backBar, chip, label, missing, sends } from "./parts";

export function noticeView(id: string): TemplateResult {
  const notice = state.kept.notices.find((one) => one.id === id);
  if (!notice) return missing();
  return html`<div class="page one">${backBar("#/", t("officer.notice", { number: notice.number }))}
    <article class="sheet"><p class="row">${chip(notice.priority)}<span class="kind">${label("notice_kind", notice.kind)}</span>
      ${notice.state === "sent" ? nothing : html`<b class="fault">${t(`officer.notice.${notice.state}`)}</b>`}</p>
      <h2>${notice.headline}</h2>
      ${notice.superseded_by ? html`<a class="big" href="#/notice/${notice.superseded_by}">${t("officer.notice.successor")}</a>` : nothing}
      ${notice.instruction ? html`<p class="instruction">${notice.instruction}</p>` : nothing}
      ${notice.body ? html`<p class="body">${notice.body}</p>` : nothing}
      <p class="muted">${dayTime(notice.created_at)}${notice.valid_to
        ? html` · ${t("officer.notice.valid", { time: dayTime(notice.valid_to) })}` : nothing}</p></article>
    ${reply(notice)}${receipt(notice)}</div>`;
}

/** The one thing to confirm: that it was read, or that its cancel was. */
function receipt(notice: KeptNotice): TemplateResult | typeof nothing {
  const button = (verb: string, text: string, act: (notice: KeptNotice) => Promise<void>): TemplateResult =>
    html`<div class="steps"><button class="next" data-verb=${verb} @click=${() => act(notice)}>${t(text)}</button></div>`;
  if (mustConfirmNotice(notice)) return button("notice_confirm", "officer.notice.confirm", confirmNotice);
  if (notice.acknowledged_at) {
    return html`<p class="muted steps">${t("officer.notice.acknowledged", { time: hourMinute(notice.acknowledged_at) })}</p>`;
  }
  return notice.state === "sent" ? button("notice_acknowledge", "officer.notice.acknowledge", acknowledgeNotice) : nothing;
}

function reply(notice: KeptNotice): TemplateResult {
  return html`<form class="reply" @submit=${sends((text) => void replyToNotice(notice, text))}><label class="field"><span>${t("officer.notice.reply")}</span>
    <textarea name="text" rows="2" maxlength="2000" required></textarea></label>
    <button class="big">${t("officer.notice.reply.send")}</button></form>`;
}
