/** What frames every screen: link and shift at the top, undo and the three main places at the bottom. */
import { html, nothing, type TemplateResult } from "lit";
import { code, hourMinute, t } from "../../shared/i18n";
import { readLate, undo } from "../actions";
import { hush } from "../arrivals";
import { refusedForms } from "../forms";
import { progressOf } from "../photos";
import { duty, isOnline, myTasks, refused, state, taskById, undoable, unitName, waiting } from "../store";
import { isTracking } from "../track";
import { takeOver } from "../version";
import { raised } from "./panic";
import { icon, moment } from "./parts";

function badge(): TemplateResult {
  const files = state.kept.files.filter((file) => file.state !== "draft");
  const photos = progressOf(files);
  const no = refused().length + refusedForms().length + files.filter((file) => file.state === "refused").length;
  const [left, online] = [waiting().length, isOnline()];
  const link = t(online ? "officer.online" : "officer.offline");
  const text = no ? t("officer.refused", { n: no }) : left ? t("officer.waiting", { link, n: left })
    : photos.sent < photos.all ? t("officer.badge.photos", { link, n: photos.sent, all: photos.all }) : link;
  const kind = no ? "bad" : online ? (left || photos.all ? "busy" : "good") : "away";
  return html`<span role="status"><a id="badge" class="badge ${kind}" href="#/outbox">${text}</a></span>`;
}

/** Whether positions are stored now, and until when that holds: tied to the shift, and said as such. */
function tracking(): TemplateResult {
  const always = state.units.find((unit) => unit.tracking === "always");
  const now = duty();
  const since = state.shift?.on_at ? hourMinute(state.shift.on_at) : "";
  if (now === "on" || now === "ending") {
    const by = now === "ending" ? "officer.tracking.ending" : isTracking() ? "officer.tracking.device" : "officer.tracking.shift";
    return html`<a class="tracking on" href="#/duty"><i aria-hidden="true"></i><b>${t("officer.tracking.on", { since })}</b>
      <span>${t(by)}</span></a>`;
  }
  if (now === "starting" && isTracking()) {
    return html`<a class="tracking on" href="#/duty"><i aria-hidden="true"></i><b>${t("officer.tracking.kept")}</b>
      <span>${t("officer.tracking.starting")}</span></a>`;
  }
  if (always) {
    return html`<a class="tracking on" href="#/duty"><i aria-hidden="true"></i><b>${t("officer.tracking.always")}</b>
      <span>${always.call_sign}</span></a>`;
  }
  return html`<a class="tracking" href="#/duty"><i aria-hidden="true"></i><b>${t("officer.tracking.off")}</b>
    <span>${t(now === "starting" ? "officer.tracking.starting" : "officer.tracking.no_shift")}</span></a>`;
}

/** The way to the alarm, always in the same place; it says so while one stands. */
function sos(): TemplateResult {
  const now = raised();
  return html`<a class="sos ${now ? "raised" : ""}" href="#/panic" aria-label="SOS · ${t("officer.panic")}">${now && !now.waiting ? icon("check") : nothing}SOS</a>`;
}

export const header = (): TemplateResult => html`<header class="top">
  <div class="bar"><a class="brand" href="#/" aria-label=${t("officer.home")}><img src="/static/icon.svg" alt=""></a>
    <span class="call-sign">${unitName(state.shift?.unit_id) || state.me?.name}</span>${badge()}</div>
  <div class="bar second">${tracking()}${sos()}</div></header>`;

function alarmBar(): TemplateResult | typeof nothing {
  const task = state.alarm ? taskById(state.alarm) : undefined;
  if (!task) return nothing;
  return html`<section class="alarm" role="alert"><p><b>${t("officer.alarm", { priority: task.priority })}</b> ${task.title}</p>
    <div class="pair"><a class="big urgent" href="#/task/${task.id}">${t("officer.open")}</a>
      <button class="big" @click=${hush}>${t("officer.silence")}</button></div></section>`;
}

/** Steps that came too late, one at a time: a day without a network must not push the task at hand out of sight. */
function lateBar(): TemplateResult | typeof nothing {
  const [late, ...others] = state.kept.late;
  if (!late) return nothing;
  const task = taskById(late.task_id);
  const status = code("task_status", task?.status);
  const verb = t(`officer.verb.${late.verb}`);
  return html`<section class="late ${late.result}"><p><b>${t("officer.task", { number: task?.number ?? "" })}</b>
    ${t(`officer.late.${late.result}`, { verb, status })} ${t("officer.late.at", { time: hourMinute(late.at) })}</p>
    ${others.length ? html`<p>${t("officer.late.more", { n: others.length })}</p>` : nothing}
    <button class="big" @click=${() => readLate(late.id)}>${t("officer.understood")}</button></section>`;
}

const CLOCK_OFF_MS = 120_000;

function clock(): TemplateResult | typeof nothing {
  const off = state.clockOffMs;
  if (Math.abs(off) <= CLOCK_OFF_MS) return nothing;
  return html`<section class="late conflict" role="alert"><p>${t(off > 0 ? "officer.clock.ahead" : "officer.clock.behind", { n: Math.round(Math.abs(off) / 60_000) })}</p></section>`;
}

function trouble(): TemplateResult | typeof nothing {
  if (state.storageFull) return html`<section class="late conflict" role="alert"><p>${t("officer.storage")}</p></section>`;
  if (isOnline() || !state.checkedAt) return nothing;
  return html`<p class="stale">${t("officer.as_of", { time: moment(state.checkedAt) })}</p>`;
}

const newVersion = (): TemplateResult | typeof nothing => state.newVersion
  ? html`<button class="big notice-bar" @click=${takeOver}>${t("officer.new_version")}</button>` : nothing;

export const banners = (): TemplateResult => html`${alarmBar()}${lateBar()}${clock()}${trouble()}${newVersion()}`;

/** What was done last, while it can still be taken back. */
export function undoBar(): TemplateResult | typeof nothing {
  const entry = undoable();
  if (!entry) return nothing;
  const left = Math.max(1, Math.ceil((entry.hold_until - Date.now()) / 1_000));
  return html`<div class="undo"><p>${t(`officer.verb.${entry.about.verb}`)}<small>${t(isOnline() ? "officer.undo.in" : "officer.undo.until", { n: left })}</small></p>
    <button class="big" @click=${() => undo(entry)}>${icon("undo")}${t("officer.undo")}</button></div>`;
}

export function nav(): TemplateResult {
  const { view } = state.route;
  const { now, calledOff, waiting: others } = myTasks();
  const unread = state.kept.notices.filter((notice) => !notice.seen_at && notice.state === "sent").length;
  const open = (now ? 1 : 0) + calledOff.length + others.length + unread;
  const item = (href: string, name: "tasks" | "report" | "duty", current: boolean, n = 0): TemplateResult =>
    html`<a href=${href} aria-current=${current ? "page" : "false"}>${icon(name)}<span>${t(`officer.nav.${name}`)}</span>${n
      ? html`<b class="count">${n}</b>` : nothing}</a>`;
  return html`<nav aria-label=${t("officer.nav")}>${item("#/", "tasks", view === "home", open)}
    ${item("#/report", "report", view === "report")}${item("#/duty", "duty", view === "duty")}</nav>`;
}
