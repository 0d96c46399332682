/** The list of units and the card of the selected one: the accessible view of what the map shows. */
import { html, nothing, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { code, hourMinute, number, t } from "../shared/i18n";
import { set, store, ui } from "./state";
import { hasTask, isOpen, shown, type Shown } from "./store";
import { unitLine } from "./parts";
import { openTask } from "./actions";
import { historyButton, historyForm, isAsking } from "./history_panel";
import type { LonLat } from "../shared/types";

const FILTERS = ["all", "available", "committed", "attention"] as const;
/** Rows drawn at once: nobody scrolls through more, and thousands redrawn each second would stall the page. */
const AT_ONCE = 200;
const byName = new Intl.Collator(undefined, { numeric: true }).compare;
const ORDER = { emergency: 0, available: 1, committed: 2, on_scene: 3, unavailable: 4 };

/** The units that pass the filter, those that can be sent first. */
export function listed(): Shown[] {
  const words = ui.filter.trim().toLowerCase();
  return [...store.units.values()]
    .map((unit) => shown(store, unit))
    .filter((s) => !words || `${s.unit.call_sign} ${s.unit.kind} ${s.unit.capabilities.join(" ")}`.toLowerCase().includes(words))
    .filter((s) => passes(s))
    .sort((a, b) => ORDER[a.group] - ORDER[b.group] || byName(a.unit.call_sign, b.unit.call_sign));
}

function passes(s: Shown): boolean {
  if (ui.groups === "all") return true;
  if (ui.groups === "available") return s.group === "available";
  if (ui.groups === "committed") return s.group === "committed" || s.group === "on_scene";
  return s.group === "emergency" || (s.status !== "off_duty" && s.fresh !== "fresh");
}

export function unitsPanel(select: (id: string) => void, show: (id: string) => void, drawPast: (points: LonLat[]) => void, showPlace: (at: LonLat) => void): TemplateResult {
  const rows = listed();
  const drawn = rows.slice(0, Math.max(AT_ONCE, rows.findIndex((s) => s.unit.id === ui.unitId) + 20));
  return html`<section class="units" aria-label=${t("units.title")}>
    <div class="head">
      <h2>${t("units.title")} <span class="count">${rows.length}</span></h2>
      <input id="search" type="search" .value=${ui.filter} placeholder=${t("units.search")} aria-label=${t("units.search")}
        @input=${(e: InputEvent) => set({ filter: (e.target as HTMLInputElement).value })}>
      <div class="tabs" role="group" aria-label=${t("units.filter")}>${FILTERS.map((name) => html`<button
        class=${ui.groups === name ? "on" : ""} aria-pressed=${ui.groups === name} @click=${() => set({ groups: name })}>${t(`units.${name}`)}</button>`)}</div>
    </div>
    <ul class="rows" id="unit-rows">${repeat(drawn, (s) => s.unit.id, (s) => html`<li>
      <button class="row ${s.unit.id === ui.unitId ? "on" : ""}" aria-current=${s.unit.id === ui.unitId} data-unit=${s.unit.id}
        @click=${() => select(s.unit.id)} @dblclick=${() => show(s.unit.id)}>${unitLine(s)}</button></li>`)}
      ${rows.length ? nothing : html`<li class="empty">${t("units.none")}</li>`}
      ${rows.length > drawn.length ? html`<li class="empty">${t("units.more", { n: rows.length - drawn.length })}</li>` : nothing}</ul>
    ${card(show, drawPast, showPlace)}</section>`;
}

function card(show: (id: string) => void, drawPast: (points: LonLat[]) => void, showPlace: (at: LonLat) => void): TemplateResult | typeof nothing {
  const unit = ui.unitId ? store.units.get(ui.unitId) : undefined;
  if (!unit) return nothing;
  const { mark, status } = shown(store, unit);
  const task = [...store.tasks.values()].find((one) => hasTask(one, unit.id) && isOpen(one) && one.status !== "draft");
  const facts: [string, string][] = [
    [t("unit.status"), code("unit_status", status)],
    [t("unit.shift"), unit.shift ? t("unit.since", { at: hourMinute(unit.shift.on_at) }) : t("unit.off_shift")],
    [t("unit.speed"), mark?.speed_mps == null ? "–" : `${number(mark.speed_mps * 3.6)} km/h`],
    [t("unit.accuracy"), mark?.accuracy_m == null ? "–" : `± ${number(mark.accuracy_m)} m`],
    [t("unit.place"), mark ? `${mark.lat.toFixed(5)}, ${mark.lon.toFixed(5)}` : "–"],
    [t("unit.capabilities"), unit.capabilities.map((name) => code("capability", name)).join(", ") || "–"],
  ];
  return html`<div class="card" role="region" aria-label=${unit.call_sign}>
    <h3>${unit.call_sign} <button class="icon" title=${t("close")} aria-label=${t("close")} @click=${() => set({ unitId: null })}>✕</button></h3>
    ${isAsking(unit.id) ? historyForm(drawPast, showPlace) : html`<dl>${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
    ${task ? html`<button class="button wide" @click=${() => void openTask(task.id)}>#${task.number} ${task.title}</button>` : nothing}
    ${mark ? html`<button class="button wide" @click=${() => show(unit.id)}>${t("unit.show")}</button>` : nothing}
    <p class="muted small">${t("unit.track")}</p>${historyButton(unit)}`}</div>`;
}
