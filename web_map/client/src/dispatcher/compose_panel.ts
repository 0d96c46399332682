/** Writing: a new task for a place on the map, and a notice to units or everyone. */
import { html, nothing, type TemplateResult } from "lit";
import { code, t } from "../shared/i18n";
import type { CodeLists } from "../shared/types";
import { createTask, sendNotice } from "./actions";
import { set, store, toast, ui } from "./state";

const ACK = { P1: "60 s", P2: "3 min", P3: "15 min", P4: "" } as const;
let codes: CodeLists = {};

export const setCodes = (lists: CodeLists): void => { codes = lists; };

const option = (list: string, value: string): TemplateResult => html`<option value=${value}>${code(list, value)}</option>`;

/** A local date and time of the browser's form field as ISO 8601 with offset; nothing for nothing. */
const moment = (value: FormDataEntryValue | null): string | undefined => (value ? new Date(String(value)).toISOString() : undefined);

function priorities(chosen: string): TemplateResult {
  return html`<fieldset class="choices"><legend>${t("task.priority")}</legend>${Object.entries(ACK).map(([level, ack]) => html`<label class="choice ${level}">
    <input type="radio" name="priority" value=${level} ?checked=${level === chosen}><span><b>${level}</b> ${code("task_priority", level)}<small>${ack ? t("task.ack_within", { span: ack }) : t("task.ack_planned")}</small></span></label>`)}</fieldset>`;
}

export function composePanel(): TemplateResult {
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    const data = new FormData(event.target as HTMLFormElement);
    if (!ui.point) {
      set({ picking: true });
      toast(t("task.pick_point"), true);
      return;
    }
    const text = (name: string): string | undefined => String(data.get(name) ?? "").trim() || undefined;
    const capability = text("capability");
    void createTask({
      kind: text("kind"), priority: text("priority"), reason_code: text("reason_code"), title: text("title"),
      instruction: text("instruction") ?? "", address: text("address"), exercise: data.has("exercise"),
      point: { type: "Point", coordinates: ui.point },
      window_from: moment(data.get("window_from")), window_to: moment(data.get("window_to")),
      ...(capability ? { required_capabilities: [capability] } : {}),
    });
  };
  return html`<form class="scroll compose" @submit=${submit}>
    <button type="button" class="button back" @click=${() => set({ panel: "queue", picking: false, point: null })}>← ${t("tab.queue")}</button>
    <h2>${t("task.new")}</h2>
    <button type="button" class="pick ${ui.point ? "has" : ""}" aria-live="polite" @click=${() => set({ picking: true })}>
      ${ui.point ? html`<b>${ui.point[1].toFixed(5)}, ${ui.point[0].toFixed(5)}</b> <small>${t("task.pick_again")}</small>` : html`<b>${t("task.pick_point")}</b> <small>${t("task.pick_keys")}</small>`}</button>
    ${priorities("P3")}
    <label class="field"><span>${t("task.kind")}</span><select name="kind" required>${(codes.task_kind ?? []).map((kind) => option("task_kind", kind))}</select></label>
    <label class="field"><span>${t("task.reason_code")}</span><select name="reason_code" required>${(codes.control_reason ?? []).map((reason) => option("control_reason", reason))}</select></label>
    <label class="field"><span>${t("task.title")}</span><input name="title" required maxlength="200" autocomplete="off"></label>
    <label class="field"><span>${t("task.instruction")}</span><textarea name="instruction" rows="4" maxlength="10000"></textarea></label>
    <label class="field"><span>${t("task.address")}</span><input name="address" maxlength="200"></label>
    <div class="pair"><label class="field"><span>${t("task.window_from")}</span><input type="datetime-local" name="window_from"></label>
      <label class="field"><span>${t("task.window_to")}</span><input type="datetime-local" name="window_to"></label></div>
    <label class="field"><span>${t("task.capability")}</span><select name="capability"><option value="">${t("task.any")}</option>${(codes.capability ?? []).map((name) => option("capability", name))}</select></label>
    <label class="check"><input type="checkbox" name="exercise"> ${t("task.exercise")}</label>
    <button class="button primary wide" ?disabled=${ui.busy || store.link === "lost"}>${t("task.create")}</button></form>`;
}

export function noticeForm(): TemplateResult {
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    const data = new FormData(event.target as HTMLFormElement);
    const text = (name: string): string => String(data.get(name) ?? "").trim();
    const units = data.getAll("units").map(String);
    if (text("to") === "units" && !units.length) {
      toast(t("notice.choose_units"), true);
      return;
    }
    sendNotice({
      kind: text("kind"), priority: text("priority"), headline: text("headline"), body: text("body"),
      ...(text("instruction") ? { instruction: text("instruction") } : {}),
      ...(data.get("valid_to") ? { valid_to: moment(data.get("valid_to")) } : {}),
      to: text("to") === "everyone" ? { everyone: true } : { units },
    }, text("priority") === "P1");
  };
  const units = [...store.units.values()].sort((a, b) => a.call_sign.localeCompare(b.call_sign));
  return html`<form class="scroll compose" @submit=${submit}>
    <button type="button" class="button back" @click=${() => set({ panel: "notices" })}>← ${t("tab.notices")}</button>
    <h2>${t("notice.new")}</h2>
    ${priorities("P3")}
    <label class="field"><span>${t("notice.kind")}</span><select name="kind">${(codes.notice_kind ?? []).map((kind) => option("notice_kind", kind))}</select></label>
    <label class="field"><span>${t("notice.headline")}</span><input name="headline" required maxlength="200" autocomplete="off"></label>
    <label class="field"><span>${t("notice.body")}</span><textarea name="body" rows="4" maxlength="10000"></textarea></label>
    <label class="field"><span>${t("task.instruction")}</span><input name="instruction" maxlength="200"></label>
    <label class="field"><span>${t("notice.valid_to")}</span><input type="datetime-local" name="valid_to"></label>
    <fieldset class="to"><legend>${t("notice.to")}</legend>
      <label class="check"><input type="radio" name="to" value="everyone" checked> ${t("notice.everyone")}</label>
      <label class="check"><input type="radio" name="to" value="units"> ${t("notice.units")}</label>
      <div class="unit-picks">${units.length ? units.map((unit) => html`<label class="check"><input type="checkbox" name="units" value=${unit.id}
        @change=${(e: Event) => { const form = (e.target as HTMLInputElement).form; const to = form?.querySelector<HTMLInputElement>("[name=to][value=units]"); if (to) to.checked = true; }}> ${unit.call_sign}</label>`) : nothing}</div></fieldset>
    <button class="button primary wide" ?disabled=${ui.busy || store.link === "lost"}>${t("notice.send")}</button></form>`;
}
