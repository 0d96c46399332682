/** The heat layer's filter and legend, on the map. */
import { html, nothing, type TemplateResult } from "lit";
import { code, number, t } from "../shared/i18n";
import { heatLegend } from "../shared/map/heat_scale";
import { set, ui } from "./state";
import type { HeatFilter } from "./ui";

export function heatPanel(changed: () => void): TemplateResult | typeof nothing {
  if (!ui.heat.on) return nothing;
  const change = (fields: Partial<HeatFilter>): void => {
    set({ heat: { ...ui.heat, ...fields } });
    changed();
  };
  const value = (event: Event): string => (event.target as HTMLInputElement).value;
  const data = ui.heatData;
  return html`<section class="heat" aria-label=${t("heat.title")}>
    <h3>${t("heat.title")} <button class="icon" aria-label=${t("close")} @click=${() => change({ on: false })}>✕</button></h3>
    <div class="pair"><label class="field"><span>${t("heat.from")}</span><input type="date" .value=${ui.heat.from} @change=${(e: Event) => change({ from: value(e) })}></label>
      <label class="field"><span>${t("heat.to")}</span><input type="date" .value=${ui.heat.to} @change=${(e: Event) => change({ to: value(e) })}></label></div>
    <label class="field"><span>${t("heat.category")}</span><select .value=${ui.heat.category} @change=${(e: Event) => change({ category: value(e) })}>
      <option value="">${t("heat.all")}</option>${ui.categories.map(({ category, n }) => html`<option value=${category}>${code("violation_category", category)} (${number(n)})</option>`)}</select></label>
    ${data ? html`${heatLegend(data.top, true)}<p class="muted small">${t("heat.total", { n: number(data.total) })}${data.left_out.accuracy + data.left_out.office ? html`<br>${t("heat.left_out", { accuracy: data.left_out.accuracy, office: data.left_out.office })}` : nothing}</p>` : html`<p class="muted small">${t("loading")}</p>`}</section>`;
}
