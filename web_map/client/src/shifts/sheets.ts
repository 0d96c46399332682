/** What is asked above the page: a new shift or another time and crew, when one began or ended, that it is not to be. */
import { html, nothing, type TemplateResult } from "lit";
import { dayTime, number, t } from "../shared/i18n";
import { closeSheet, entered, faultAt, sheetAround, sheetFoot } from "../shared/sheet";
import { atWallTime, wallTime } from "../shared/wall_time";
import { beginOrEnd, cancel, change, chooseUnit, entering, plan, show, usual } from "./actions";
import { crewField } from "./crew";
import { callSign, state, type Cancelling, type Planning, type Sheet, type Timing } from "./state";
import { HOUR_MS, movedAlong } from "./times";

const MAX_DAYS = 30;
const LONG_H = 16;

/** The sheet that is open. */
export function sheet(redraw: () => void): TemplateResult | typeof nothing {
  const open = state.sheet;
  return open ? sheetAround(body(open, redraw), () => show(null)) : nothing;
}

function body(open: Sheet, redraw: () => void): TemplateResult {
  switch (open.kind) {
    case "plan": return open.outcomes.length ? outcomes(open) : planning(open, redraw);
    case "change": return planning(open, redraw);
    case "cancel": return cancelling(open);
    default: return timing(open, redraw);
  }
}

function planning(open: Planning, redraw: () => void): TemplateResult {
  const { draft, shift } = open;
  const send = (event: SubmitEvent): void => {
    entered(event);
    void (open.kind === "change" ? change(open) : plan(open));
  };
  const unit = shift ? html`<p class="muted">${callSign(draft.unitId)}</p>` : html`<label class="field"><span>${t("shifts.unit")}</span>
    <select name="unit_id" required ?autofocus=${!draft.unitId} aria-invalid=${!!open.faults.unit_id} aria-describedby="fault-unit_id" @change=${(e: Event) => { chooseUnit(open, (e.target as HTMLSelectElement).value); redraw(); }}>
      <option value="">–</option>${(state.units ?? []).map((one) => html`<option value=${one.id} ?selected=${one.id === draft.unitId}>${one.call_sign}</option>`)}</select></label>${faultAt(open.faults, "unit_id")}`;
  return html`<form @submit=${send}><h2 id="sheet-title">${t(shift ? "shifts.change_title" : "shifts.plan")}</h2>${unit}
    ${times(open)}${shift ? nothing : repeat(open)}${crewField(open, redraw)}${sheetFoot(open, t(shift ? "shifts.save" : "shifts.plan_now"))}</form>`;
}

function times(open: Planning): TemplateResult {
  const { draft, shift } = open;
  const began = !!shift?.on_at;
  const given = (event: Event): string => (event.target as HTMLInputElement).value; // empty while it is half entered
  const from = (event: Event): void => { if (given(event)) entering(open, { from: given(event), ...(draft.to ? { to: movedAlong(draft.from, draft.to, given(event)) } : {}) }); };
  const to = (event: Event): void => { if (given(event)) entering(open, { to: given(event) }); };
  const choose = (which: "day" | "night") => (): void => entering(open, usual(which, draft.from.slice(0, 10)));
  const field = (name: "from" | "to", put: (event: Event) => void, closed = false): TemplateResult => html`<label class="field"><span>${t(`shifts.${name}`)}</span>
    <input type="datetime-local" name=${name} ?required=${!began} ?disabled=${closed} ?autofocus=${name === "from" && !closed && !!draft.unitId} max="2199-12-31T00:00" .value=${draft[name]} aria-invalid=${!!open.faults[name]} aria-describedby=${`fault-${name}`} @input=${put}></label>`;
  return html`${began ? nothing : html`<p class="buttons quick">${(["day", "night"] as const).map((which) => html`<button type="button" class="button" @click=${choose(which)}>${t(`shifts.usual.${which}`)}</button>`)}
      <span class="muted" role="status">${lasts(open)}</span></p>`}
    <div class="pair">${field("from", from, began)}${field("to", to)}</div>${faultAt(open.faults, "from")}${faultAt(open.faults, "to")}`;
}

/** How long it is to last by the moments, not by the clock; a very long one is a mistyped day. */
function lasts({ draft }: Planning): TemplateResult | typeof nothing {
  if (!draft.from || !draft.to || draft.from < "2000") return nothing;
  const h = (Date.parse(atWallTime(draft.to)) - Date.parse(atWallTime(draft.from))) / HOUR_MS;
  return h <= 0 ? nothing : html`<span class=${h > LONG_H ? "warned" : ""}>${t("shifts.lasts", { h: number(h, 1) })}</span>`;
}

const repeat = (open: Planning): TemplateResult => html`<label class="field days"><span>${t("shifts.days")}</span>
  <input type="number" name="days" min="0" max=${MAX_DAYS} step="1" inputmode="numeric" .value=${String(open.draft.days)} @input=${(event: Event) => {
    const days = Number((event.target as HTMLInputElement).value);
    if (Number.isInteger(days) && days >= 0 && days <= MAX_DAYS) entering(open, { days });
  }}></label>`;

/** What became of each of several days; those that were refused can be sent again. */
function outcomes(open: Planning): TemplateResult {
  const done = open.outcomes.filter((one) => one.done).length;
  const again = (event: SubmitEvent): void => {
    entered(event);
    void plan(open);
  };
  return html`<form @submit=${again}><h2 id="sheet-title">${t("shifts.outcomes", { unit: callSign(open.draft.unitId) })}</h2>
    <p role="status">${t("shifts.outcomes_n", { n: done, of: open.outcomes.length })}</p>
    <ul class="outcomes" role="list">${open.outcomes.map((one) => html`<li class=${one.done ? "done" : one.fault ? "refused" : ""}><b>${dayTime(one.from)}</b> <span>${one.done ? t("shifts.outcome_done") : one.fault || "…"}</span></li>`)}</ul>
    <p class="buttons"><button class="button primary" ?disabled=${open.busy}>${t("shifts.again")}</button>
      <button type="button" class="button" ?disabled=${open.busy} @click=${closeSheet}>${t("close")}</button></p></form>`;
}

function timing(open: Timing, redraw: () => void): TemplateResult {
  const send = (event: SubmitEvent): void => {
    entered(event);
    void beginOrEnd(open);
  };
  const put = (event: Event): void => {
    const { value } = event.target as HTMLInputElement;
    if (!value) return;
    open.at = value;
    delete open.faults.at;
    redraw();
  };
  return html`<form @submit=${send}><h2 id="sheet-title">${t(`shifts.${open.kind}_title`, { unit: callSign(open.shift.unit_id) })}</h2>
    <p>${t(`shifts.${open.kind}_lead`)}</p>
    <label class="field"><span>${t(open.kind === "begin" ? "shifts.begun" : "shifts.ended")}</span>
      <input type="datetime-local" name="at" required autofocus max=${wallTime(Date.now())} .value=${open.at} aria-invalid=${!!open.faults.at} aria-describedby="fault-at" @input=${put}></label>${faultAt(open.faults, "at")}
    ${sheetFoot(open, t(`shifts.${open.kind}_now`))}</form>`;
}

function cancelling(open: Cancelling): TemplateResult {
  const send = (event: SubmitEvent): void => {
    entered(event);
    void cancel(open);
  };
  return html`<form @submit=${send}><h2 id="sheet-title">${t("shifts.cancel_title", { unit: callSign(open.shift.unit_id), at: open.shift.from ? dayTime(open.shift.from) : "–" })}</h2>
    <p>${t("shifts.cancel_lead")}</p>${sheetFoot(open, t("shifts.cancel_now"), true, t("shifts.cancel_not"))}</form>`;
}
