/** One notice, read and acknowledged. */
import { html, nothing, type TemplateResult } from "lit";
import { dayTime, hourMinute, t } from "../../shared/i18n";
import { acknowledgeNotice } from "../app";
import { state } from "../store";
import { backBar, chip, label } from "./parts";

export function noticeView(id: string): TemplateResult {
  const notice = state.kept.notices.find((one) => one.id === id);
  if (!notice) return html`<div class="page">${backBar("#/", t("officer.gone.title"))}<p>${t("officer.gone")}</p></div>`;
  return html`<div class="page one">${backBar("#/", t("officer.notice", { number: notice.number }))}
    <article class="sheet"><p class="row">${chip(notice.priority)}<span class="kind">${label("notice_kind", notice.kind)}</span>
      ${notice.state === "sent" ? nothing : html`<b class="fault">${t(`officer.notice.${notice.state}`)}</b>`}</p>
      <h2>${notice.headline}</h2>
      ${notice.instruction ? html`<p class="instruction">${notice.instruction}</p>` : nothing}
      ${notice.body ? html`<p class="body">${notice.body}</p>` : nothing}
      <p class="muted">${dayTime(notice.created_at)}${notice.valid_to
        ? html` · ${t("officer.notice.valid", { time: dayTime(notice.valid_to) })}` : nothing}</p></article>
    ${notice.acknowledged_at
      ? html`<p class="muted steps">${t("officer.notice.acknowledged", { time: hourMinute(notice.acknowledged_at) })}</p>`
      : notice.state === "sent"
        ? html`<div class="steps"><button class="next" data-verb="notice_acknowledge" @click=${() => acknowledgeNotice(notice)}>
            ${t("officer.notice.acknowledge")}</button></div>`
        : nothing}</div>`;
}
