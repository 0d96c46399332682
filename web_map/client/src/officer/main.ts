/** The officer's page: one task on the screen, one next step, everything kept on the device until it is told. */
import { html, nothing, render, type TemplateResult } from "lit";
import "../shared/theme.css";
import { markDemo } from "../shared/demo";
import { onLanguage, t } from "../shared/i18n";
import { loginForm } from "../shared/login";
import { onTheme } from "../shared/theme";
import { noticeOpened, opened } from "./actions";
import { holdScreen } from "./awake";
import { begin, enterByPassword, leave, usePin } from "./presence";
import { follow, goInstead } from "./routes";
import { drawWith, isOnline, myTasks, redraw, state, taskById, undoable, waiting } from "./store";
import { aidesView, aideView } from "./views/aide";
import { dutyView } from "./views/duty";
import { home } from "./views/home";
import { noticeView } from "./views/notice";
import { panicView } from "./views/panic";
import { formView, resumed, stepShown } from "./views/form";
import { outboxView } from "./views/outbox";
import { followPushes } from "./push";
import { closePhone, phoneView } from "./views/phone";
import { closePin, goneText, lockView, pinView } from "./views/pin";
import { reportView } from "./views/report";
import { begin as beginForm } from "./forms";
import { forgetPictures } from "./photos";
import { fetchThread, openThread, preparePanic } from "./talk";
import { keepPage } from "./version";
import { banners, header, nav, undoBar } from "./views/shell";
import { shiftView } from "./views/shift";
import { supportView, threadView } from "./views/talk";
import { choose, taskView } from "./views/task";
import { openTrack, trackView } from "./views/track";
import "./officer.css"; // last, so that it comes after the map's own style
import "./forms.css";

const app = document.getElementById("app") as HTMLElement;

function screen(): TemplateResult {
  const { route } = state;
  switch (route.view) {
    case "task": return taskView(route.id);
    case "choose": return choose(route.id, route.verb);
    case "thread": return threadView(route.id);
    case "support": return supportView(route.id, redraw);
    case "panic": return panicView();
    case "notice": return noticeView(route.id);
    case "report": return reportView(route.taskId);
    case "begin": return html``;
    case "form": return formView(route.id, route.step);
    case "duty": return dutyView();
    case "pin": return pinView();
    case "shift": return shiftView(route.what);
    case "track": return trackView();
    case "phone": return phoneView();
    case "aides": return aidesView();
    case "aide": return aideView(route.code);
    case "outbox": return outboxView();
    case "home": {
      const { now } = myTasks();
      return now ? taskView(now.id) : html`<p class="nothing">${t("officer.pane.empty")}</p>`;
    }
  }
}

/** On a phone one screen at a time; where there is room the inbox stays beside it. */
const wide = matchMedia("(min-width: 900px)");

/** Screens that are reached from the bottom bar; the others have a way back and leave its room to their buttons. */
const PLACES = new Set(["home", "report", "duty"]);

function ready(): TemplateResult {
  const atHome = state.route.view === "home";
  return html`${header()}
    <main class=${wide.matches ? "panes" : ""}>
      ${wide.matches || atHome ? html`<div class="left">${banners()}${home(!wide.matches)}</div>` : nothing}
      ${wide.matches || !atHome ? html`<div class="right">${wide.matches ? nothing : banners()}${screen()}</div>` : nothing}</main>
    <p class="said" role="status" aria-live="polite">${state.said}</p>
    <footer>${undoBar()}${wide.matches || PLACES.has(state.route.view) ? nav() : nothing}</footer>`;
}

/** A session ended with actions unsent: they are safe, and wait for the same person. */
const kept = (): TemplateResult | typeof nothing => waiting().length
  ? html`<p class="stale" role="status">${t("officer.kept", { n: waiting().length })}</p>` : nothing;

function page(): TemplateResult {
  switch (state.phase) {
    case "ready": return ready();
    case "locked": return lockView();
    case "signed_out": return html`${kept()}${goneText()}${loginForm((me) => void enterByPassword(me), redraw)}${state.people.length
      ? html`<div class="page"><button class="big" @click=${usePin}>${t("officer.pin.back")}</button></div>` : nothing}`;
    case "not_officer": return html`<main class="page"><h1>${t("officer.not_officer")}</h1>
      <button class="next" @click=${leave}>${t("officer.leave")}</button></main>`;
    case "unreachable": return html`<main class="page"><h1>${t("officer.unreachable")}</h1><p>${t("error.unreachable")}</p></main>`;
    case "loading": return html`<main class="page" aria-busy="true"></main>`;
  }
}

/** What is on the screen counts as seen. */
function seen(): void {
  const { route } = state;
  if (state.phase !== "ready" || document.hidden) return;
  const task = route.view === "task" ? taskById(route.id) : undefined;
  const notice = route.view === "notice" ? state.kept.notices.find((one) => one.id === route.id) : undefined;
  if (task) void opened(task);
  if (notice) void noticeOpened(notice);
  if (route.view === "thread") void openThread(route.id);
}

let beginning = false;

/** An address that begins a form becomes that of the form, so that "back" does not begin another. */
function toForm(): void {
  const { route } = state;
  if (route.view !== "begin" || state.phase !== "ready" || beginning) return;
  beginning = true;
  void beginForm(route.kind, route.taskId).then((form) => goInstead(`#/form/${form.id}/${resumed(form)}`)).finally(() => { beginning = false; });
}

/** What a screen needs is asked for when it is come to, and when the page is opened on it. */
function come(): void {
  stepShown();
  if (state.route.view === "panic") preparePanic();
  if (state.route.view === "thread") void fetchThread(state.route.id);
  if (state.route.view === "track") void openTrack();
  if (state.route.view !== "phone") closePhone();
  if (state.route.view !== "pin") closePin();
}

let standing = "";

/** Somebody's store is open, or the server was read as well: what was not to be had before may be now. */
function openedOn(): void {
  const before = standing;
  standing = `${state.me?.id} ${state.phase} ${state.caughtUp}`;
  if (standing !== before && state.phase === "ready") queueMicrotask(come);
}

drawWith(() => {
  document.title = t("officer.title");
  render(page(), app);
  seen();
  openedOn();
  toForm();
  forgetPictures(state.kept.files);
  void holdScreen();
});
document.addEventListener("visibilitychange", () => void holdScreen());
follow(() => queueMicrotask(() => {
  come();
  for (const pane of app.querySelectorAll("main, .right")) pane.scrollTop = 0;
  app.querySelector<HTMLElement>(".right h1, .left h1")?.focus();
}));
wide.addEventListener("change", redraw);
onLanguage(redraw);
onTheme(redraw);
addEventListener("online", redraw);
addEventListener("offline", redraw);
setInterval(() => {
  if (undoable() || !isOnline()) redraw();
}, 1_000);
markDemo();
redraw();
void begin();
void keepPage();
followPushes();
