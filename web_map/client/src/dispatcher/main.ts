/** The dispatcher's console: sign in, open the live socket, draw. */
import { html, nothing, render } from "lit";
import "../shared/theme.css";
import { all, api, ApiError } from "../shared/api";
import { markDemo } from "../shared/demo";
import { pageLinks } from "../shared/desk";
import { onLanguage, t } from "../shared/i18n";
import { Live, TOO_MANY_OPEN } from "../shared/live";
import { loginForm } from "../shared/login";
import { may, me, resume, settled, signOut } from "../shared/session";
import { onTheme } from "../shared/theme";
import type { CodeLists, LonLat, Office, ServerMessage, Unit } from "../shared/types";
import { noticeChanged, openTask, refreshEvents, releaseHeld, undoHeld } from "./actions";
import { composePanel, setCodes } from "./compose_panel";
import { handoverChanged, handoverPanel, handoverWaits } from "./handover_panel";
import { heatPanel } from "./heat_panel";
import { listenToKeys } from "./keys";
import { ConsoleMap } from "./map";
import { noticeForm } from "./notice_form";
import { noticePanel } from "./notice_panel";
import { alertsPanel, noticesPanel, queuePanel } from "./queue_panel";
import { armSound, soundAlerts } from "./sound";
import { onDraw, redraw, set, store, ui } from "./state";
import { apply } from "./store";
import { taskPanel } from "./task_panel";
import { banners, help, linkBanner, topbar } from "./topbar";
import { unitsPanel } from "./units_panel";
import "./console.css"; // last, so that it comes after the map's own style

const root = document.getElementById("app") as HTMLElement;
let view: ConsoleMap | undefined;
let live: Live | undefined;
let heatKey = "";

function side(): unknown {
  switch (ui.panel) {
    case "task": return taskPanel((at: LonLat) => view?.show(at));
    case "compose": return composePanel();
    case "alerts": return alertsPanel((at: LonLat) => view?.show(at));
    case "notices": return noticesPanel();
    case "notice": return noticePanel();
    case "handover": return handoverPanel();
    case "write_notice": return noticeForm(() => view?.bbox());
    default: return queuePanel();
  }
}

function page(): unknown {
  return html`${topbar(() => void logOut())}${linkBanner()}
    <div class="console">
      ${unitsPanel((id) => view?.select(id), showUnit, (points) => view?.drawPast(points), (at) => view?.show(at))}
      <main class="stage"><div id="map" role="application" aria-label=${t("map.title")}></div>
        ${heatPanel(() => view?.refreshHeat())}</main>
      <aside class="side" aria-label=${t("tab.queue")}>${handoverWaits()}${side()}</aside>
    </div>${banners(undoHeld)}${help()}`;
}

function draw(): void {
  if (!me()) {
    render(loginForm(() => void start(), redraw), root);
    return;
  }
  if (!may("live.watch")) {
    render(html`<main class="sign-in"><div class="elsewhere"><p>${t("not_here")}</p><p>
      ${may("inbox.own") ? html`<a class="button primary" href="/officer">${t("nav.officer")}</a>` : nothing}
      ${pageLinks("/", "button primary")}
      <button class="button" @click=${() => void logOut()}>${t("log_out")}</button></p></div></main>`, root);
    return;
  }
  render(page(), root);
  const key = JSON.stringify(ui.heat);
  if (view && key !== heatKey) {
    heatKey = key;
    view.refreshHeat();
  }
  view?.draw();
}

function showUnit(id: string): void {
  const mark = store.marks.get(id);
  if (mark) view?.show([mark.lon, mark.lat]);
}

async function logOut(): Promise<void> {
  releaseHeld();
  live?.close();
  await signOut().catch(() => undefined);
  location.reload();
}

async function loadLists(): Promise<void> {
  const [units, offices, codes, categories] = await Promise.all([
    all<Unit>("/units"),
    all<Office>("/offices"),
    api.get<CodeLists>("/code-lists"),
    api.get<{ items: { category: string; n: number }[] } | { category: string; n: number }[]>("/violations/categories"),
  ]);
  store.units = new Map(units.map((unit) => [unit.id, unit]));
  store.offices = new Map(offices.map((office) => [office.id, office]));
  setCodes(codes);
  set({ categories: Array.isArray(categories) ? categories : categories.items });
}

/** Units that are new or changed since the list was read; asked for when the socket names one we do not know. */
async function refreshUnits(): Promise<void> {
  const units = await all<Unit>("/units");
  store.units = new Map(units.map((unit) => [unit.id, unit]));
  redraw();
}

function heard(message: ServerMessage): void {
  const before = message.kind === "notice" ? store.notices.get(message.notice.id) : undefined;
  apply(store, message);
  if ((message.kind === "units" || message.kind === "snapshot") && [...store.marks.keys()].some((id) => !store.units.has(id))) void refreshUnits();
  if (ui.taskId && (message.kind === "snapshot" || (message.kind === "task" && message.task.id === ui.taskId))) void refreshEvents(ui.taskId).catch(() => undefined);
  if (message.kind === "notice") noticeChanged(message.notice, before);
  handoverChanged(message.kind);
  redraw();
}

/** Open the task that the address names, as links in e-mails and SMS do. */
function openLinked(): void {
  const id = /^#task\/([0-9a-f-]{36})$/.exec(location.hash)?.[1];
  if (!id) return;
  history.replaceState(null, "", location.pathname);
  void openTask(id);
}

async function start(): Promise<void> {
  draw();
  if (!may("live.watch")) return;
  view = new ConsoleMap(document.getElementById("map") as HTMLElement);
  listenToKeys({
    focusMap: () => document.getElementById("map")?.focus(),
    show: showUnit,
    newTask: () => { if (may("tasks.draft")) set({ panel: "compose", picking: true, point: null }); },
  });
  await loadLists();
  live = new Live({
    path: "/api/v1/live",
    hello: () => ({}), // of all units, wherever the map is: the list tells how each of them is
    message: heard,
    state: (state, code) => {
      store.crowded = state === "lost" ? code === TOO_MANY_OPEN : store.crowded && state !== "up";
      store.link = state === "connecting" && (store.asOf || store.crowded) ? "lost" : state;
      redraw();
    },
    signedOut: () => void settled().then(() => location.reload()),
  });
  openLinked();
  addEventListener("hashchange", openLinked);
  setInterval(() => { soundAlerts(); redraw(); }, 1_000);
  setInterval(() => void refreshUnits().catch(() => undefined), 60_000);
  redraw();
}

onDraw(draw);
onLanguage(redraw);
onTheme(redraw);
markDemo();
armSound();
resume().then(
  (person) => (person ? start() : draw()),
  (error: unknown) => {
    if (!(error instanceof ApiError)) throw error;
    render(html`<main class="sign-in"><p class="fault" role="alert">${t("error.unreachable")}</p></main>`, root);
    setTimeout(() => location.reload(), 5_000);
  },
);
addEventListener("pagehide", releaseHeld);
