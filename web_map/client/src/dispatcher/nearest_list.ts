/** The units nearest to a task, to be given it or to be sent in its support: by a click, or by their numbers. */
import { html, nothing, type TemplateResult } from "lit";
import { ageText } from "../shared/age";
import { code, distance, span, t } from "../shared/i18n";
import { may } from "../shared/session";
import { groupOf } from "../shared/status";
import type { Nearest, Task, TaskStatus } from "../shared/types";
import { askSupport, assign, leaveSupport, meetingPlace, support } from "./actions";
import { codesOf, option } from "./compose_panel";
import { shape } from "./parts";
import { store, ui } from "./state";
import { hasTask, serverNow } from "./store";

const NEEDS_UNIT = new Set<TaskStatus>(["draft", "unacknowledged", "declined", "paused"]);
/** Tasks that a unit has. */
const SUPPORTABLE = new Set<TaskStatus>(["issued", "delivered", "unacknowledged", "acknowledged", "en_route", "on_scene", "paused"]);
const SHOWN = 10;

export const needsUnit = (task: Task): boolean => NEEDS_UNIT.has(task.status) && may("tasks.dispatch");
export const canSupport = (task: Task): boolean => SUPPORTABLE.has(task.status) && may("tasks.dispatch");
export const isSupporting = (task: Task): boolean => ui.supporting !== null && canSupport(task);

/** What is listed, nearest first; in support only who is on shift, of the kind asked for, and not at the task yet. */
function offered(task: Task): Nearest[] {
  const found = ui.nearest ?? [];
  const meets = (unit: Nearest, rule: string): boolean => unit.reasons.every((reason) => reason.code !== rule || reason.fits);
  const free = isSupporting(task)
    ? found.filter((unit) => !hasTask(task, unit.unit_id) && meets(unit, "on_shift") && meets(unit, "capability"))
    : found;
  return free.slice(0, SHOWN);
}

/** The list that the open task asks for; nothing when it needs no unit. */
export function nearestList(task: Task): TemplateResult | typeof nothing {
  if (isSupporting(task)) return toSupport(task);
  if (!needsUnit(task)) return nothing;
  if (!task.point) return html`<p class="hint">${t("assign.no_point")}</p>`;
  if (!ui.nearest) return html`<p class="hint">${t("loading")}</p>`;
  return html`<h3 class="group">${t("assign.title")}</h3>
    ${ui.shortfalls.length ? html`<p class="hint">${ui.shortfalls.map((name) => code("shortfall", name)).join(" · ")}</p>` : nothing}
    ${rows(task, (unit) => assign(task, unit.unit_id, unit.call_sign))}
    <p class="muted small">${t("assign.hint")}</p>`;
}

function toSupport(task: Task): TemplateResult {
  const chosen = (event: Event): void => void askSupport(task, (event.target as HTMLSelectElement).value);
  const list = (): TemplateResult => {
    if (!meetingPlace(task)) return html`<p class="hint">${t("support.no_place")}</p>`;
    if (!ui.nearest) return html`<p class="hint">${t("loading")}</p>`;
    if (!offered(task).length) return html`<p class="hint">${t("support.none")}</p>`;
    return html`${rows(task, (unit) => support(task, unit.unit_id, unit.call_sign))}<p class="muted small">${t("support.hint")}</p>`;
  };
  return html`<section class="support" aria-label=${t("support.title")}><h3 class="group">${t("support.title")}</h3>
    <label class="field"><span>${t("task.capability")}</span><select name="support_capability" @change=${chosen}><option value="">${t("task.any")}</option>
      ${codesOf("capability").map((name) => option("capability", name, ui.supporting?.capability))}</select></label>${list()}</section>`;
}

const rows = (task: Task, send: (unit: Nearest) => void): TemplateResult => html`<ol class="rows nearest">${offered(task).map((unit, i) => html`<li>
  <button class="row ${unit.fits ? "" : "unfit"}" data-assign=${unit.unit_id} ?disabled=${store.link === "lost"} @click=${() => send(unit)}>
    ${line(unit, i, isSupporting(task))}</button></li>`)}</ol>`;

function line(unit: Nearest, i: number, withKind: boolean): TemplateResult {
  const against = unit.reasons.filter((reason) => !reason.fits).map((reason) => reasonText(reason.code, reason.text));
  const kinds = withKind ? (store.units.get(unit.unit_id)?.capabilities ?? []).map((name) => code("capability", name)) : [];
  return html`<kbd>${i < 9 ? i + 1 : ""}</kbd>${shape(groupOf(unit.status), "fresh")}
    <span class="grow"><strong>${unit.call_sign}</strong> <span class="muted">${code("unit_status", unit.status)}</span>
      ${kinds.length ? html`<span class="line2 kinds">${kinds.join(", ")}</span>` : nothing}
      <span class="line2">${against.length ? against.join(" · ") : t("assign.fits")}</span></span>
    <span class="right"><strong>${distance(unit.distance_m)}</strong><span class="age">≈ ${span(unit.travel_s)} · ${ageText(unit.fix_at, serverNow(store))}</span></span>`;
}

const reasonText = (name: string, text: string): string => {
  const known = code("reason", name);
  return known === name.replaceAll("_", " ") ? text : known;
};

/** The button that opens and closes the list of units to support the task. */
export function supportButton(task: Task): TemplateResult | typeof nothing {
  if (!canSupport(task)) return nothing;
  const open = isSupporting(task);
  return html`<button class="button" data-verb="support" aria-expanded=${open} ?disabled=${ui.busy || store.link === "lost"}
    @click=${() => (open ? leaveSupport(task) : void askSupport(task))}>${t("support.send")} <kbd>s</kbd></button>`;
}

const current = (): Task | undefined => (ui.panel === "task" && ui.taskId ? store.tasks.get(ui.taskId) : undefined);

/** Send the unit numbered so, to the open task or in its support; for the keys 1 to 9. */
export function chooseNumber(n: number): boolean {
  const task = current();
  const unit = task && offered(task)[n - 1];
  if (!unit || !(isSupporting(task) || needsUnit(task))) return false;
  if (isSupporting(task)) support(task, unit.unit_id, unit.call_sign);
  else assign(task, unit.unit_id, unit.call_sign);
  return true;
}

/** List the units that can support the open task; for the key s. */
export function supportOpen(): void {
  const task = current();
  if (task && canSupport(task) && store.link !== "lost") void askSupport(task);
}
