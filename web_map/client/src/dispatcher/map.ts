/** The console's map: basemap, heat, tasks, units, the selected unit's track; it never moves by itself. */
import L from "leaflet";
import { ageText } from "../shared/age";
import { t } from "../shared/i18n";
import { addBasemap, HOME_BOUNDS } from "../shared/map/basemap";
import { CellLayer } from "../shared/map/cells";
import { UnitLayer, type Placed } from "../shared/map/unit_layer";
import type { LonLat, Task } from "../shared/types";
import { loadHeat, openTask, track } from "./actions";
import { set, store, toast, ui } from "./state";
import { isOpen, serverNow, shown } from "./store";

const TRACK_HOURS = 3;
const latLng = ([lon, lat]: LonLat): L.LatLngTuple => [lat, lon];

export class ConsoleMap {
  readonly map: L.Map;
  private readonly units = new UnitLayer();
  private readonly cells = new CellLayer();
  private readonly tasks = L.layerGroup();
  private readonly trackLine = L.polyline([], { color: "#6cc3f2", weight: 3, opacity: 0.85, interactive: false });
  private readonly pin = L.circleMarker([0, 0], { radius: 9, color: "#ffd166", weight: 3, fillOpacity: 0.2, interactive: false });
  private drawnTasks = "";

  constructor(element: HTMLElement, private readonly viewed: (bbox: number[]) => void) {
    this.map = L.map(element, { zoomControl: false, minZoom: 5, maxZoom: 18, preferCanvas: true, zoomSnap: 0.5, keyboard: true });
    L.control.zoom({ position: "bottomright" }).addTo(this.map);
    L.control.scale({ imperial: false, position: "bottomleft" }).addTo(this.map);
    this.map.fitBounds(HOME_BOUNDS);
    void addBasemap(this.map).catch(() => toast(t("map.no_basemap"), true));
    element.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !ui.picking) return;
      const middle = this.map.getCenter();
      set({ point: [round(middle.lng), round(middle.lat)], picking: false });
    });
    for (const layer of [this.trackLine, this.tasks, this.units]) layer.addTo(this.map);
    this.map.on("click", (event) => this.clicked(event));
    this.map.on("moveend", () => this.moved());
    this.map.on("mousemove", (event) => {
      const over = !ui.picking && this.units.unitAt(event.layerPoint);
      element.style.cursor = ui.picking ? "crosshair" : over ? "pointer" : "";
    });
  }

  bbox(): number[] {
    const b = this.map.getBounds();
    return [Math.max(-180, b.getWest()), Math.max(-90, b.getSouth()), Math.min(180, b.getEast()), Math.min(90, b.getNorth())];
  }

  private clicked(event: L.LeafletMouseEvent): void {
    if (ui.picking) {
      set({ point: [round(event.latlng.lng), round(event.latlng.lat)], picking: false });
      return;
    }
    const unitId = this.units.unitAt(event.layerPoint);
    if (unitId) this.select(unitId);
    else set({ unitId: null });
    if (!unitId) this.trackLine.setLatLngs([]);
  }

  /** Select a unit and draw where it was in the last hours. */
  select(unitId: string): void {
    set({ unitId });
    this.trackLine.setLatLngs([]);
    track(unitId, TRACK_HOURS).then(
      (points) => { if (ui.unitId === unitId) this.trackLine.setLatLngs(points.map(latLng)); },
      () => undefined, // a person without the right to tracks sees none
    );
  }

  /** Bring a place into view because somebody asked for it. */
  show(at: LonLat): void {
    this.map.setView(latLng(at), Math.max(this.map.getZoom(), 10));
  }

  private moved(): void {
    this.viewed(this.bbox());
    this.refreshHeat();
  }

  refreshHeat(): void {
    if (!ui.heat.on) {
      this.cells.remove();
      return;
    }
    this.cells.addTo(this.map);
    void loadHeat(this.bbox().map((value) => value.toFixed(5)).join(","), Math.round(this.map.getZoom()));
  }

  /** Bring the layers up to date with the store; cheap enough for every frame. */
  draw(): void {
    const now = serverNow(store);
    const placed: Placed[] = [];
    for (const unit of store.units.values()) {
      const { mark, group, fresh } = shown(store, unit, now);
      if (!mark || fresh === "none") continue;
      placed.push({
        id: unit.id, lon: mark.lon, lat: mark.lat, heading_deg: mark.heading_deg, group, fresh,
        label: unit.call_sign, ageText: ageText(mark.fix_at, now),
      });
    }
    this.units.set(placed, ui.unitId);
    if (ui.heat.on && ui.heatData) this.cells.set(ui.heatData.cells, ui.heatData.cell_m, heatTop(this.map.getZoom()));
    if (ui.point) this.pin.setLatLng(latLng(ui.point)).addTo(this.map);
    else this.pin.remove();
    this.drawTasks();
    this.map.getContainer().classList.toggle("lost", store.link === "lost");
  }

  private drawTasks(): void {
    const open = [...store.tasks.values()].filter((task) => isOpen(task) && task.point);
    const key = `${ui.taskId} ${open.map((task) => `${task.id}${task.version}`).join()}`;
    if (key === this.drawnTasks) return;
    this.drawnTasks = key;
    this.tasks.clearLayers();
    for (const task of open) this.tasks.addLayer(taskMarker(task));
  }
}

function taskMarker(task: Task): L.Layer {
  const mine = task.id === ui.taskId;
  const colour = task.priority === "P1" ? "#ff7a5c" : "#ffd166";
  const marker = L.circleMarker(latLng(task.point?.coordinates ?? [0, 0]), {
    radius: mine ? 11 : 7, color: colour, weight: mine ? 4 : 2.5, fillColor: colour, fillOpacity: mine ? 0.35 : 0.15,
    bubblingMouseEvents: false,
  });
  const label = document.createElement("span");
  label.textContent = `#${task.number} ${task.title}`;
  return marker.bindTooltip(label, { direction: "top" }).on("click", () => void openTask(task.id));
}

/** The end of the colour scale: fixed per zoom, so that colours do not jump while the map is panned. */
export const heatTop = (zoom: number): number => Math.max(8, Math.round(4 ** ((13 - Math.min(13, zoom)) * 0.55) * 8));

const round = (degrees: number): number => Math.round(degrees * 1e6) / 1e6;
