/** Pieces that several screens share. */
import { html, nothing, svg, type TemplateResult } from "lit";
import { code, dayTime, distance, hourMinute, t } from "../../shared/i18n";
import type { Priority, SeenTask, Status, Task } from "../model";
import { compassPoint, towards } from "../place";
import { isUnsent, standing } from "../steps";
import { isOnline, state, unitIds } from "../store";

const UNANSWERED: readonly Status[] = ["issued", "delivered", "unacknowledged"];
const ICONS = {
  back: "M15 4 7 12l8 8",
  tasks: "M9 6h11M9 12h11M9 18h11M4 6h.01M4 12h.01M4 18h.01",
  report: "M12 3 2 20h20L12 3Zm0 7v5m0 2.5v.01",
  duty: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18Zm0 4v5l3.5 2",
  notice: "M4 10v4h3l6 5V5L7 10H4Zm12-1a4 4 0 0 1 0 6",
  arrow: "M12 3 19 20l-7-4-7 4Z",
  undo: "M8 5 3 10l5 5M4 10h10a6 6 0 0 1 0 12h-3",
  pin: "M12 21s-7-6.5-7-12a7 7 0 0 1 14 0c0 5.5-7 12-7 12Zm0-9.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5Z",
  check: "M4 12.5 9.5 18 20 6.5",
  close: "M6 6l12 12M18 6 6 18",
  plus: "M12 5v14M5 12h14",
  form: "M7 4h10a2 2 0 0 1 2 2v14H5V6a2 2 0 0 1 2-2Zm2-1h6v3H9ZM9 11h6M9 15h6",
  camera: "M4 8h3l2-3h6l2 3h3a1 1 0 0 1 1 1v10H3V9a1 1 0 0 1 1-1Zm8 9a4 4 0 1 0 0-8 4 4 0 0 0 0 8Z",
  file: "M6 3h8l5 5v13H6ZM14 3v5h5",
  erase: "M9 5h11v14H9l-6-7 6-7Zm3 4 5 6m0-6-5 6",
} as const;

export const icon = (name: keyof typeof ICONS, turn_deg = 0): TemplateResult => html`<svg class="icon" viewBox="0 0 24 24"
  aria-hidden="true">${svg`<path transform="rotate(${turn_deg} 12 12)" d=${ICONS[name]}></path>`}</svg>`;

/** The text of a coded value, to stand by itself. */
export function label(list: string, value: string | null | undefined): string {
  const text = code(list, value);
  return text.slice(0, 1).toLocaleUpperCase() + text.slice(1);
}

export const chip = (priority: Priority): TemplateResult =>
  html`<span class="chip ${priority}"><b>${priority}</b> ${code("task_priority", priority)}</span>`;

export const heading = (text: string): TemplateResult => html`<h1 tabindex="-1">${text}</h1>`;

/** A bar with the way back and the screen's name. */
export const backBar = (to: string, title: string): TemplateResult => html`<div class="back-bar">
  <a class="round" href=${to} aria-label=${t("officer.back")}>${icon("back")}</a>${heading(title)}</div>`;

/** What is asked for is not here; nothing is said of it while it may still come. */
export const missing = (): TemplateResult => !state.caughtUp && isOnline()
  ? html`<div class="page" aria-busy="true">${backBar("#/", "")}</div>`
  : html`<div class="page">${backBar("#/", t("officer.gone.title"))}<p>${t("officer.gone")}</p></div>`;

/** How a task stands, and whether that is still to be told to the server. */
export function standingText(task: Task): TemplateResult {
  const status: Status = standing(task, state.kept.outbox);
  const unsent = isUnsent(task, state.kept.outbox);
  const text = status === "issued" || status === "delivered" ? t("officer.standing.new") : label("task_status", status);
  return html`<span class="standing ${status}">${text}</span>${unsent
    ? html` <span class="unsent">${t("officer.unsent")}</span>` : nothing}`;
}

/** Whom a supporting unit supports; nothing for a task of the unit's own. */
export const supportOf = (task: SeenTask): TemplateResult | typeof nothing => task.lead_status
  ? html`<p class="in-support">${t("officer.in_support", { unit: task.unit_call_sign ?? "" })}</p>` : nothing;

/** The other units at the task and how they stand: the lead, and who comes in support. */
export function together(task: SeenTask): TemplateResult | typeof nothing {
  const own = unitIds();
  const lead = { unit_id: task.unit_id ?? "", call_sign: task.unit_call_sign ?? "", status: task.lead_status ?? task.status, role: "lead" };
  const others = [lead, ...task.supports.map((one) => ({ ...one, role: "support" }))].filter((one) => !own.has(one.unit_id));
  if (!others.length || !task.supports.length) return nothing;
  return html`<ul class="together" aria-label=${t("officer.with.title")}>${others.map((one) => html`<li data-unit=${one.unit_id}>
    <span><b>${one.call_sign}</b> <span class="muted">${t(`officer.with.${one.role}`)}</span></span> <span class="standing ${one.status}">${UNANSWERED.includes(one.status)
      ? t("officer.with.unanswered") : code("task_status", one.status)}</span></li>`)}</ul>`;
}

/** "07:40", with the day where it is not today. */
export const moment = (at: string): string =>
  dayTime(at).startsWith(dayTime(new Date()).slice(0, 5)) ? hourMinute(at) : dayTime(at);

/** "07:40 – 09:00", with the day where it is not today. */
export function windowText(task: Task): string {
  if (task.window_from && task.window_to) return `${moment(task.window_from)} – ${moment(task.window_to)}`;
  if (task.window_from) return t("officer.window.from", { time: moment(task.window_from) });
  return task.window_to ? t("officer.window.to", { time: moment(task.window_to) }) : "";
}

/** Distance and direction from the officer's own place, once that is known. */
export function wayText(task: Task): TemplateResult | typeof nothing {
  if (!task.point || !state.place) return nothing;
  const [lon, lat] = task.point.coordinates;
  const way = towards(state.place, { lon, lat });
  const point = t(`officer.compass.${compassPoint(way.bearing_deg)}`);
  return html`<span class="way">${icon("arrow", Math.round(way.bearing_deg))}${distance(way.distance_m)} · ${point}</span>`;
}

/** What a form of one text does when it is sent: hand the text over, unless it is empty, and begin anew. */
export const sends = (say: (text: string) => void) => (event: SubmitEvent): void => {
  event.preventDefault();
  const form = event.target as HTMLFormElement;
  const text = String(new FormData(form).get("text")).trim();
  if (!text) return;
  form.reset();
  say(text);
};
