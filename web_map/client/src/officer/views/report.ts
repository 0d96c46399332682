/** What can be recorded: a stop or control, a violation; and what was begun and not sent. */
import { html, type TemplateResult } from "lit";
import { t } from "../../shared/i18n";
import { begunForms } from "./form";
import { heading, icon } from "./parts";

export const reportView = (taskId: string | null): TemplateResult => html`<div class="page">${heading(t("officer.report.what"))}
  <div class="stack"><a class="choice tall" href="#/begin/stop${taskId ? `/${taskId}` : ""}">${icon("form")}${t("officer.form.stop")}<small>${t("officer.form.stop.about")}</small></a>
    <a class="choice tall" href="#/begin/violation${taskId ? `/${taskId}` : ""}">${icon("report")}${t("officer.form.violation")}<small>${t("officer.form.violation.about")}</small></a></div>
  ${begunForms()}</div>`;
