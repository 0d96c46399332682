/** The page of shifts: who is on when, where there are gaps, and what a dispatcher plans. */
import { html, nothing, type TemplateResult } from "lit";
import { deskPage, every } from "../shared/desk_page";
import { number, t } from "../shared/i18n";
import { may } from "../shared/session";
import { askPlan, load, loadOffices, look, lookOn, onChange, pick } from "./actions";
import { panel } from "./panel";
import { picture, shownUnits } from "./picture";
import { sheet as asked } from "./sheets";
import { HERE, picked, state } from "./state";
import { dayOf, standing } from "./times";
import "./shifts.css";

const RELOAD_MS = 30_000;
let shownId: string | null = null;

function filters(): TemplateResult {
  const choose = (field: "text" | "office") => (event: Event): void => {
    state[field] = (event.target as HTMLInputElement).value;
    redraw();
  };
  const toDay = (event: Event): void => {
    const { value } = event.target as HTMLInputElement;
    if (value > "2000" && value < "2200") look(value);
  };
  return html`<form class="filters" role="search" @submit=${(event: Event) => event.preventDefault()}>
    <div class="buttons" role="group" aria-label=${t("shifts.day")}><button type="button" class="button" aria-label=${t("shifts.earlier")} title=${t("shifts.earlier")} @click=${() => lookOn(-1)}>‹</button>
      <button type="button" class="button" @click=${() => look(dayOf(Date.now()))}>${t("shifts.today")}</button>
      <button type="button" class="button" aria-label=${t("shifts.later")} title=${t("shifts.later")} @click=${() => lookOn(1)}>›</button></div>
    <label class="field date"><span>${t("shifts.day")}</span><input type="date" name="day" required .value=${state.day} @change=${toDay}></label>
    <div class="buttons" role="group" aria-label=${t("shifts.scale")}>${(["day", "week"] as const).map((one) => html`<button type="button" class="button" aria-pressed=${one === state.scale} @click=${() => look(state.day, one)}>${t(`shifts.scale.${one}`)}</button>`)}</div>
    <label class="field grow"><span>${t("shifts.search")}</span><input type="search" name="text" maxlength="100" .value=${state.text} @input=${choose("text")}></label>
    ${state.offices.length > 1 ? html`<label class="field"><span>${t("shifts.office")}</span><select name="office" @change=${choose("office")}>
      <option value="">${t("shifts.all_offices")}</option>${state.offices.map((office) => html`<option value=${office.id} ?selected=${office.id === state.office}>${office.name}</option>`)}</select></label>` : nothing}
    <label class="check"><input type="checkbox" name="cancelled" .checked=${state.withCancelled} @change=${(event: Event) => { state.withCancelled = (event.target as HTMLInputElement).checked; redraw(); }}> ${t("shifts.with_cancelled")}</label></form>`;
}

/** How it stands now, in a line. */
function summary(): TemplateResult | typeof nothing {
  if (!state.units?.length) return nothing;
  const units = new Set(shownUnits().map((unit) => unit.id));
  const shifts = state.shifts.filter((shift) => units.has(shift.unit_id) && !shift.cancelled_at);
  const late = shifts.filter((shift) => standing(shift, Date.now()) === "late").length;
  const without = [...units].filter((id) => !shifts.some((shift) => shift.unit_id === id)).length;
  const on = shownUnits().filter((unit) => unit.shift).length;
  return html`<p class="summary"><span><b>${number(on)}</b> ${t("shifts.on_now")}</span><span class=${late ? "warned" : ""}><b>${number(late)}</b> ${t("shifts.late_now")}</span><span><b>${number(without)}</b> ${t("shifts.without")}</span></p>`;
}

function page(): TemplateResult {
  return html`<main class="listing ${picked() ? "with-panel" : ""}">
    <section class="top"><div class="controls">${filters()}
      ${may("shifts.plan") && state.units?.length ? html`<button class="button primary" @click=${() => askPlan()}>${t("shifts.plan")}</button>` : nothing}</div>
      ${state.fault ? html`<p class="fault" role="alert">${state.fault}</p>` : nothing}
      ${summary()}<p class=${state.said ? "said" : "hidden-label"} role="status">${state.said}</p></section>
    ${picture(redraw)}${panel()}</main>${asked(redraw)}`;
}

function drawn(root: HTMLElement): void {
  if (state.pickedId !== shownId) root.querySelector(".panel")?.scrollIntoView({ block: "nearest" });
  shownId = state.pickedId;
  returned(root);
}

/** After something was done the focus is on its bar, or on the unit of one that is not drawn any more. */
function returned(root: HTMLElement): void {
  const { returnTo, sheet, loading } = state;
  if (!returnTo || sheet || loading) return;
  const at = (key: string): HTMLElement | null => root.querySelector<HTMLElement>(`.picture [data-key="${key}"]`);
  if (document.activeElement === document.body) (at(returnTo.id) ?? at(returnTo.unit_id))?.focus();
  state.returnTo = null;
}

async function start(): Promise<void> {
  await Promise.all([load(), loadOffices()]);
  every(RELOAD_MS, () => false, load); // what is being entered is in the sheet's draft
  addEventListener("focus", () => void load());
}

const redraw = deskPage({ here: HERE, title: "shifts.title", right: "shifts.read", body: page, start, drawn });
onChange(redraw);
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && state.pickedId && !state.sheet) pick(null);
});
