/** Small pieces the panels share: status shapes, priorities, ages, times. */
import { html, svg, type TemplateResult } from "lit";
import { ageText } from "../shared/age";
import { code, span, t } from "../shared/i18n";
import { groupOf, SHAPES, type StatusGroup } from "../shared/status";
import { store } from "./state";
import { serverNow, type Shown } from "./store";

export const shape = (group: StatusGroup, age: string): TemplateResult => html`<svg class="shape ${group} ${age}" viewBox="0 0 24 24"
  aria-hidden="true">${svg`<path d=${SHAPES[group]}></path>`}${age === "lost" ? svg`<path d="M6 6 18 18M18 6 6 18"></path>` : ""}</svg>`;

export const priority = (level: string): TemplateResult => html`<span class="priority ${level}">${level}</span>`;

export const statusBadge = (status: string): TemplateResult =>
  html`<span class="badge ${status}">${code("task_status", status)}</span>`;

export function unitLine({ unit, mark, status, group, fresh }: Shown): TemplateResult {
  const age = mark ? ageText(mark.fix_at, serverNow(store)) : t("age.never");
  return html`${shape(group, fresh)}
    <span class="grow"><strong>${unit.call_sign}</strong> <span class="muted">${code("unit_kind", unit.kind)}</span>
      <span class="line2">${code("unit_status", status)}</span></span>
    <span class="age ${fresh}">${age}</span>`;
}

export const callSign = (unitId: string | null): string => (unitId && store.units.get(unitId)?.call_sign) || "";
export const since = (moment: string): string => span((serverNow(store) - Date.parse(moment)) / 1000);
export const unitGroup = (status: string): StatusGroup => groupOf(status);

/** A coded reason, or the result that a step reported. */
export function reasonOf(value: string): string {
  const text = code("reason_code", value);
  return text === value.replaceAll("_", " ") ? code("task_result", value) : text;
}
