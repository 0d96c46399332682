/** The page of devices: which of them can be trusted, what is wrong with the others, and who is not registered yet. */
import { html, nothing, type TemplateResult } from "lit";
import { deskPage, every } from "../shared/desk_page";
import { t } from "../shared/i18n";
import { may } from "../shared/session";
import { loadLists, loadRanking, loadStrangers, onChange, pick, show } from "./actions";
import { panel } from "./panel";
import { filters, ranking, totals } from "./ranking";
import { sheet } from "./sheets";
import { HERE, state } from "./state";
import { strangers } from "./strangers";
import "./devices.css";

const STRANGERS_MS = 10_000;
const RANKING_MS = 30_000;
let shownId: string | undefined;

function page(): TemplateResult {
  return html`<main class="listing ${state.picked ? "with-panel" : ""}">
    <section class="top"><div class="controls">${filters()}
      ${may("devices.write") ? html`<button class="button primary" @click=${() => show({ kind: "register", protocol: "http", busy: false, fault: "" })}>${t("device.register")}</button>` : nothing}</div>
      ${totals()}<p class="hidden-label" role="status">${state.said}</p></section>
    ${strangers(redraw)}${ranking()}${panel()}</main>${sheet(redraw)}`;
}

function drawn(root: HTMLElement): void {
  if (state.picked?.id !== shownId) root.querySelector(".panel")?.scrollIntoView({ block: "nearest" });
  shownId = state.picked?.id;
}

async function start(): Promise<void> {
  await Promise.all([loadLists(), loadRanking(), loadStrangers()]);
  const asking = (): boolean => !!state.sheet;
  every(STRANGERS_MS, asking, loadStrangers);
  every(RANKING_MS, asking, () => Promise.all([loadRanking(), state.picked ? pick(state.picked.id) : null]));
}

const redraw = deskPage({ here: HERE, title: "trust.title", right: "devices.read", body: page, start, drawn });
onChange(redraw);
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && state.picked && !state.sheet) void pick(null);
});
