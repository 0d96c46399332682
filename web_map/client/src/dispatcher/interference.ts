/** Interference with satellite navigation: its area on the map, hatched and named, and its units in the list of alarms. */
import { html, nothing, type TemplateResult } from "lit";
import L from "leaflet";
import { hourMinute, t } from "../shared/i18n";
import type { Alert } from "../shared/types";
import { callSign } from "./parts";
import { set, store } from "./state";

const PANE = "interference";
const HATCH = `<svg class="hatches" aria-hidden="true" width="0" height="0"><defs><pattern id="interference-hatch" width="10" height="10"
  patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><line x1="0" y1="0" x2="0" y2="10"></line></pattern></defs></svg>`;

export class InterferenceLayer {
  private readonly group = L.layerGroup();
  private readonly renderer: L.SVG;
  private drawn = "";

  constructor(map: L.Map) {
    const pane = map.createPane(PANE);
    pane.style.zIndex = "360"; // above heat, below units and tasks
    pane.style.pointerEvents = "none";
    this.renderer = L.svg({ pane: PANE, padding: 0.5 });
    map.getContainer().insertAdjacentHTML("beforeend", HATCH);
    this.group.addTo(map);
  }

  /** Show the areas of those that stand. */
  draw(): void {
    const standing = [...store.alerts.values()].filter((alert) => alert.area);
    const key = standing.map((alert) => `${alert.id} ${alert.units.length} ${t("interference.label")} ${JSON.stringify(alert.area)}`).join();
    if (key === this.drawn) return;
    this.drawn = key;
    this.group.clearLayers();
    for (const alert of standing) this.add(alert);
  }

  /** The area, with its name on its northern edge: in the middle are units. */
  private add(alert: Alert): void {
    const rings = (alert.area?.coordinates ?? []).map((ring) => ring.map(([lon, lat]): L.LatLngTuple => [lat, lon]));
    const label = document.createElement("span");
    label.textContent = t("interference.label", { n: alert.units.length });
    const area = L.polygon(rings, { pane: PANE, renderer: this.renderer, className: "interference-area", interactive: false });
    const bounds = area.getBounds();
    const name = L.tooltip([bounds.getNorth(), bounds.getCenter().lng], { permanent: true, direction: "top", className: "interference-label", content: label });
    this.group.addLayer(area).addLayer(name);
  }
}

const unitRow = ({ unit_id: id, sign, since }: Alert["units"][number]): TemplateResult => html`<li>
  <button class="link" @click=${() => set({ unitId: id })}>${callSign(id)}</button>
  <span class="muted">${t(`interference.${sign}`, { at: hourMinute(since) })}</span></li>`;

/** The units of an interference, and what happened to each. */
export function disturbed(alert: Alert): TemplateResult | typeof nothing {
  if (!alert.area) return nothing;
  return html`<details class="disturbed"><summary>${t("interference.units", { n: alert.units.length })}</summary>
    <ul>${alert.units.map(unitRow)}</ul></details>`;
}
