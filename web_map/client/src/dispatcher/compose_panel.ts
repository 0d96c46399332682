/** Writing a new task for a place on the map. */
import { html, type TemplateResult } from "lit";
import { code, t } from "../shared/i18n";
import type { CodeLists } from "../shared/types";
import { atWallTime } from "../shared/wall_time";
import { createTask } from "./actions";
import { set, store, toast, ui } from "./state";

const ACK = { P1: "60 s", P2: "3 min", P3: "15 min", P4: "" } as const;
let codes: CodeLists = {};

export const codesOf = (list: string): string[] => codes[list] ?? [];

export const setCodes = (lists: CodeLists): void => { codes = lists; };

export const option = (list: string, value: string, chosen?: string): TemplateResult => html`<option value=${value} ?selected=${value === chosen}>${code(list, value)}</option>`;

/** A date and time of a form's field, by clocks in Lithuania, as ISO 8601; nothing for nothing. */
export const moment = (value: FormDataEntryValue | null): string | undefined => (value ? atWallTime(String(value)) : undefined);

export function priorities(chosen: string): TemplateResult {
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
    <label class="field"><span>${t("task.kind")}</span><select name="kind" required>${codesOf("task_kind").map((kind) => option("task_kind", kind))}</select></label>
    <label class="field"><span>${t("task.reason_code")}</span><select name="reason_code" required>${codesOf("control_reason").map((reason) => option("control_reason", reason))}</select></label>
    <label class="field"><span>${t("task.title")}</span><input name="title" required maxlength="200" autocomplete="off"></label>
    <label class="field"><span>${t("task.instruction")}</span><textarea name="instruction" rows="4" maxlength="10000"></textarea></label>
    <label class="field"><span>${t("task.address")}</span><input name="address" maxlength="200"></label>
    <div class="pair"><label class="field"><span>${t("task.window_from")}</span><input type="datetime-local" name="window_from"></label>
      <label class="field"><span>${t("task.window_to")}</span><input type="datetime-local" name="window_to"></label></div>
    <label class="field"><span>${t("task.capability")}</span><select name="capability"><option value="">${t("task.any")}</option>${codesOf("capability").map((name) => option("capability", name))}</select></label>
    <label class="check"><input type="checkbox" name="exercise"> ${t("task.exercise")}</label>
    <button class="button primary wide" ?disabled=${ui.busy || store.link === "lost"}>${t("task.create")}</button></form>`;
}
