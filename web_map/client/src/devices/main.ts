/** The page of devices: which of them can be trusted, what is wrong with the others, and who is not registered yet. */
import { html, nothing, render, type TemplateResult } from "lit";
import "../shared/theme.css";
import "../shared/desk.css";
import { markDemo } from "../shared/demo";
import { deskBar } from "../shared/desk";
import { onLanguage, t } from "../shared/i18n";
import { loginForm } from "../shared/login";
import { may, me, resume } from "../shared/session";
import { onTheme } from "../shared/theme";
import { loadLists, loadRanking, loadStrangers, onChange, pick, show } from "./actions";
import { panel } from "./panel";
import { filters, ranking, totals } from "./ranking";
import { openSheet, sheet } from "./sheets";
import { HERE, state } from "./state";
import { strangers } from "./strangers";
import "./devices.css";

const root = document.getElementById("app") as HTMLElement;
const STRANGERS_MS = 10_000;
const RANKING_MS = 30_000;
let frame = 0;
let shownId: string | undefined;

function redraw(): void {
  frame ||= requestAnimationFrame(() => {
    frame = 0;
    draw();
  });
}

function page(): TemplateResult {
  return html`${deskBar(HERE, t("trust.title"))}<main class="devices ${state.picked ? "with-panel" : ""}">
    <section class="top"><div class="controls">${filters()}
      ${may("devices.write") ? html`<button class="button primary" @click=${() => show({ kind: "register", protocol: "http", busy: false, fault: "" })}>${t("device.register")}</button>` : nothing}</div>
      ${totals()}<p class="hidden-label" role="status">${state.said}</p></section>
    ${strangers(redraw)}${ranking()}${panel()}</main>${sheet(redraw)}`;
}

function draw(): void {
  if (!me()) render(loginForm(() => void start(), redraw), root);
  else if (!may("devices.read")) render(html`${deskBar(HERE, t("trust.title"))}<main class="devices"><p>${t("not_here")}</p></main>`, root);
  else {
    render(page(), root);
    openSheet(root);
    if (state.picked?.id !== shownId) root.querySelector(".panel")?.scrollIntoView({ block: "nearest" });
    shownId = state.picked?.id;
  }
}

function every(ms: number, work: () => Promise<unknown>): void {
  setInterval(() => {
    if (!document.hidden && !state.sheet) void work().catch(() => undefined);
  }, ms);
}

async function start(): Promise<void> {
  draw();
  if (!may("devices.read")) return;
  await Promise.all([loadLists(), loadRanking(), loadStrangers()]);
  every(STRANGERS_MS, loadStrangers);
  every(RANKING_MS, () => Promise.all([loadRanking(), state.picked ? pick(state.picked.id) : null]));
}

onChange(redraw);
onLanguage(redraw);
onTheme(redraw);
markDemo();
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && state.picked && !state.sheet) void pick(null);
});
resume().then(
  (person) => (person ? start() : draw()),
  () => render(html`<main class="sign-in"><p class="fault" role="alert">${t("error.unreachable")}</p></main>`, root),
);
