/** Writing a notice: to units, offices, an area of the map or everyone; or one that takes the place of another. */
import { html, nothing, type TemplateResult } from "lit";
import { t } from "../shared/i18n";
import type { Area, LonLat, NoticeSummary, NoticeTo } from "../shared/types";
import { sendNotice } from "./actions";
import { codesOf, moment, option, priorities } from "./compose_panel";
import { set, setAndFocus, store, toast, ui } from "./state";

const LEAST_CORNERS = 3;

export const writeNotice = (replacing: string | null = null): void =>
  setAndFocus({ panel: "write_notice", replacing, corners: [], drawing: false }, ".compose [name=headline]");

export const leaveNotice = (): void => {
  const back = ui.replacing ? ({ panel: "notice", noticeId: ui.replacing } as const) : ({ panel: "notices" } as const);
  set({ ...back, replacing: null, corners: [], drawing: false });
};

/** A ring that ends where it began. */
const areaOf = (corners: LonLat[]): Area => ({ type: "Polygon", coordinates: [[...corners, corners[0] as LonLat]] });

const ring = (box: number[]): LonLat[] => {
  const [west, south, east, north] = box.map((value) => Math.round(value * 1e5) / 1e5) as [number, number, number, number];
  return [[west, south], [east, south], [east, north], [west, north]];
};

/** Whom the form names; null, with the reason said, when it names nobody. `same` leaves it to the notice replaced. */
function addressees(data: FormData): NoticeTo | undefined | null {
  const [units, offices] = [data.getAll("units").map(String), data.getAll("offices").map(String)];
  switch (data.get("to")) {
    case "same": return undefined;
    case "everyone": return { everyone: true };
    case "units": return units.length ? { units } : refuse("notice.choose_units");
    case "offices": return offices.length ? { offices } : refuse("notice.choose_offices");
    default: return ui.corners.length >= LEAST_CORNERS ? { area: areaOf(ui.corners) } : refuse("notice.choose_area");
  }
}

function refuse(key: string): null {
  toast(t(key), true);
  return null;
}

export function noticeForm(view: () => number[] | undefined): TemplateResult {
  const old = ui.replacing ? store.notices.get(ui.replacing) : undefined;
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    const data = new FormData(event.target as HTMLFormElement);
    const text = (name: string): string => String(data.get(name) ?? "").trim();
    const to = addressees(data);
    if (to === null) return;
    sendNotice({
      kind: text("kind"), priority: text("priority"), headline: text("headline"), body: text("body"),
      ...(text("instruction") ? { instruction: text("instruction") } : {}),
      ...(data.get("valid_to") ? { valid_to: moment(data.get("valid_to")) } : {}),
      ...(old ? { supersedes: old.id } : {}),
      ...(to ? { to } : {}),
    }, text("priority") === "P1");
  };
  return html`<form class="scroll compose" @submit=${submit}>
    <button type="button" class="button back" @click=${leaveNotice}>← ${t("tab.notices")}</button>
    <h2>${old ? t("notice.replaces", { number: old.number }) : t("notice.new")}</h2>
    ${priorities(old?.priority ?? "P3")}
    <label class="field"><span>${t("notice.kind")}</span><select name="kind">${codesOf("notice_kind").map((kind) => option("notice_kind", kind, old?.kind))}</select></label>
    <label class="field"><span>${t("notice.headline")}</span><input name="headline" required maxlength="200" autocomplete="off" value=${old?.headline ?? ""}></label>
    <label class="field"><span>${t("notice.body")}</span><textarea name="body" rows="4" maxlength="10000" .defaultValue=${old?.body ?? ""}></textarea></label>
    <label class="field"><span>${t("task.instruction")}</span><input name="instruction" maxlength="200" value=${old?.instruction ?? ""}></label>
    <label class="field"><span>${t("notice.valid_to")}</span><input type="datetime-local" name="valid_to"></label>
    ${to(old, view)}
    <button class="button primary wide" ?disabled=${ui.busy || store.link === "lost"}>${t(old ? "notice.replace" : "notice.send")}</button></form>`;
}

function to(old: NoticeSummary | undefined, view: () => number[] | undefined): TemplateResult {
  const units = [...store.units.values()].sort((a, b) => a.call_sign.localeCompare(b.call_sign));
  const offices = [...store.offices.values()].sort((a, b) => a.code.localeCompare(b.code));
  const way = (value: string, chosen: boolean): TemplateResult => html`<label class="check"><input type="radio" name="to" value=${value}
    ?checked=${chosen} @change=${() => set({ drawing: value === "area" })}> ${t(`notice.${value}`)}</label>`;
  return html`<fieldset class="to"><legend>${t("notice.to")}</legend>
    ${old ? way("same", true) : nothing}${way("everyone", !old)}
    ${way("area", false)}${areaPicker(view)}
    ${offices.length ? html`${way("offices", false)}<div class="unit-picks wide-picks">${offices.map((office) => pick("offices", office.id, `${office.code} · ${office.name}`))}</div>` : nothing}
    ${way("units", false)}<div class="unit-picks">${units.map((unit) => pick("units", unit.id, unit.call_sign))}</div></fieldset>`;
}

/** Choose the way of addressing that a part of the form belongs to. */
function choose(target: EventTarget | null, way: string): void {
  const radio = (target as HTMLElement).closest("form")?.querySelector<HTMLInputElement>(`[name=to][value=${way}]`);
  if (radio) radio.checked = true;
  set({ drawing: way === "area" });
}

const pick = (name: "units" | "offices", id: string, text: string): TemplateResult => html`<label class="check"><input type="checkbox"
  name=${name} value=${id} @change=${(event: Event) => choose(event.target, name)}> ${text}</label>`;

function areaPicker(view: () => number[] | undefined): TemplateResult {
  const draw = (event: Event, corners: LonLat[]): void => {
    choose(event.target, "area");
    set({ corners });
  };
  const box = (event: Event): void => {
    const shown = view();
    if (shown) draw(event, ring(shown));
  };
  return html`<div class="area-picks">
    <p class="muted small" aria-live="polite">${ui.corners.length ? t("notice.corners", { n: ui.corners.length }) : t("notice.area_how")}</p>
    <div class="verbs"><button type="button" class="button" @click=${(event: Event) => draw(event, ui.corners.length ? [] : ui.corners)}>${t(ui.corners.length ? "notice.area_anew" : "notice.area_draw")}</button>
      <button type="button" class="button" @click=${box}>${t("notice.area_view")}</button></div></div>`;
}
