/** The page of people: who may sign in, with which roles, and what waits for a second administrator. */
import { html, nothing, type TemplateResult } from "lit";
import { deskPage, every } from "../shared/desk_page";
import { t } from "../shared/i18n";
import { may } from "../shared/session";
import { load, loadProposals, onChange, pick, show } from "./actions";
import { filters, list, totals } from "./list";
import { panel } from "./panel";
import { sheet } from "./sheets";
import { HERE, picked, state } from "./state";
import { waiting } from "./waiting";
import "./people.css";

const PROPOSALS_MS = 60_000;
let shownId: string | null = null;

function page(): TemplateResult {
  return html`<main class="listing ${picked() ? "with-panel" : ""}">
    <section class="top"><div class="controls">${filters(redraw)}
      ${may("people.write") ? html`<button class="button primary" @click=${() => show({ kind: "make", busy: false, fault: "" })}>${t("people.make")}</button>` : nothing}</div>
      ${totals()}<p class=${state.said ? "said" : "hidden-label"} role="status">${state.said}</p></section>
    ${waiting()}${list(redraw)}${panel()}</main>${sheet(redraw)}`;
}

function drawn(root: HTMLElement): void {
  if (state.pickedId !== shownId) root.querySelector(".panel")?.scrollIntoView({ block: "nearest" });
  shownId = state.pickedId;
}

async function start(): Promise<void> {
  await load();
  every(PROPOSALS_MS, () => !!state.sheet, loadProposals);
}

const redraw = deskPage({ here: HERE, title: "people.title", right: "people.read", body: page, start, drawn });
onChange(redraw);
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && state.pickedId && !state.sheet) pick(null);
});
