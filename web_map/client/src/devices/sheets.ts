/** What is asked above the page: a new device, another unit, a new key, an end; and the key, shown this once. */
import { html, nothing, type TemplateResult } from "lit";
import { code, t } from "../shared/i18n";
import { closeSheet, entered, secretField, sheetAround, sheetFoot } from "../shared/sheet";
import { assign, register, revoke, rotate, show, shownOnce, submit } from "./actions";
import { BY_IDENTIFIER, PROTOCOLS, state, type Sheet, type Trust } from "./state";
import { unitOptions } from "./strangers";
import { nameOf } from "./words";

const OVERLAP_S = 86_400;

/** The sheet that is open. */
export function sheet(redraw: () => void): TemplateResult | typeof nothing {
  const open = state.sheet;
  if (!open) return nothing;
  const held = (): boolean => open.kind === "key" && !!open.device.key && !open.copied;
  return sheetAround(body(open, redraw), () => show(null), held);
}

function body(open: Sheet, redraw: () => void): TemplateResult {
  switch (open.kind) {
    case "register": return registering(open, redraw);
    case "key": return keyShown(open, redraw);
    case "assign": return assigning(open);
    case "rotate": return rotating(open);
    case "revoke": return revoking(open);
  }
}

function registering(open: Sheet & { kind: "register" }, redraw: () => void): TemplateResult {
  const named = BY_IDENTIFIER.has(open.protocol);
  const send = (event: SubmitEvent): void => {
    const data = entered(event);
    const text = (name: string): string | null => String(data.get(name) ?? "").trim() || null;
    const interval = Number(data.get("interval_s"));
    const body = {
      unit_id: text("unit_id"), protocol: open.protocol, identifier: text("identifier"), interval_s: interval || null,
      ...(data.has("speed_unit") ? { speed_unit: data.get("speed_unit") } : {}),
      ...(open.protocol === "traccar" ? { forwards_for: data.getAll("forwards_for") } : {}),
    };
    void submit(open, () => register(body), shownOnce);
  };
  return html`<form @submit=${send}><h2 id="sheet-title">${t("device.register")}</h2><p class="muted">${t("device.register_lead")}</p>
    <label class="field"><span>${t("device.unit")}</span><select name="unit_id" required autofocus>${unitOptions()}</select></label>
    <label class="field"><span>${t("trust.protocol")}</span><select name="protocol" @change=${(e: Event) => { open.protocol = (e.target as HTMLSelectElement).value; redraw(); }}>
      ${PROTOCOLS.map((name) => html`<option value=${name} ?selected=${name === open.protocol}>${code("device_protocol", name)}</option>`)}</select></label>
    <label class="field"><span>${t(named ? "device.identifier" : "device.identifier_optional")}</span><input name="identifier" maxlength="200" ?required=${named} autocomplete="off" spellcheck="false"></label>
    <label class="field"><span>${t("device.interval")}</span><input name="interval_s" type="number" min="1" max="86400" inputmode="numeric"></label>
    ${open.protocol === "osmand" ? html`<label class="field"><span>${t("device.speed_unit")}</span><select name="speed_unit">
      <option value="knots">${t("device.knots")}</option><option value="mps">m/s</option><option value="kmh">km/h</option></select></label>` : nothing}
    ${open.protocol === "traccar" ? html`<label class="field"><span>${t("device.forwards_for")}</span><select name="forwards_for" multiple size="6">
      ${(state.ranking?.items ?? []).filter((one) => one.identifier).map((one) => html`<option value=${one.id}>${one.identifier} · ${one.call_sign ?? ""}</option>`)}</select></label>` : nothing}
    ${sheetFoot(open, t("device.register_now"))}</form>`;
}

function keyShown(open: Sheet & { kind: "key" }, redraw: () => void): TemplateResult {
  const { device } = open;
  const named = BY_IDENTIFIER.has(device.protocol);
  return html`<h2 id="sheet-title">${t(named ? "device.known_now" : "device.key")}</h2>
    ${named ? html`<p>${t("device.by_identifier", { name: device.identifier ?? "" })}</p>` : html`<p>${t("device.key_lead")}</p>
      ${secretField("key", t("device.key"), device.key ?? "", open, redraw)}`}
    <p class="buttons"><button class="button ${named ? "primary" : ""}" @click=${closeSheet}>${t(named ? "close" : "device.key_kept")}</button></p>`;
}

function assigning(open: Extract<Sheet, { busy: boolean; device: Trust }>): TemplateResult {
  const send = (event: SubmitEvent): void => {
    const unit = String(entered(event).get("unit_id"));
    void submit(open, () => assign(open.device.id, unit), () => null);
  };
  return html`<form @submit=${send}><h2 id="sheet-title">${t("device.assign")}</h2><p>${t("device.assign_lead", { name: nameOf(open.device) })}</p>
    <label class="field"><span>${t("device.unit")}</span><select name="unit_id" required autofocus>${unitOptions(open.device.unit_id ?? "")}</select></label>
    ${sheetFoot(open, t("device.assign_now"))}</form>`;
}

function rotating(open: Extract<Sheet, { busy: boolean; device: Trust }>): TemplateResult {
  const send = (event: SubmitEvent): void => {
    const overlap = entered(event).has("overlap") ? OVERLAP_S : 0;
    void submit(open, () => rotate(open.device.id, overlap), shownOnce);
  };
  return html`<form @submit=${send}><h2 id="sheet-title">${t("device.rotate")}</h2><p>${t("device.rotate_lead", { name: nameOf(open.device) })}</p>
    <label class="check"><input type="checkbox" name="overlap" checked autofocus> ${t("device.overlap")}</label>
    ${sheetFoot(open, t("device.rotate_now"))}</form>`;
}

function revoking(open: Extract<Sheet, { busy: boolean; device: Trust }>): TemplateResult {
  const send = (event: SubmitEvent): void => {
    entered(event);
    void submit(open, () => revoke(open.device.id), () => null);
  };
  return html`<form @submit=${send}><h2 id="sheet-title">${t("device.revoke")}</h2>
    <p>${t("device.revoke_lead", { name: nameOf(open.device), unit: open.device.call_sign ?? t("trust.no_unit") })}</p>
    ${sheetFoot(open, t("device.revoke_now"), true)}</form>`;
}
