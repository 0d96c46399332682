/** The console's map: basemap, heat, tasks, units, the selected unit's track; it never moves by itself. */
import L from "leaflet";
import { ageText } from "../shared/age";
import { currentLanguage, t } from "../shared/i18n";
import { addBasemap, HOME_BOUNDS } from "../shared/map/basemap";
import { CellLayer } from "../shared/map/cells";
import { UnitLayer, type Placed } from "../shared/map/unit_layer";
import type { Alert, Area, LonLat, Task } from "../shared/types";
import { loadHeat, openTask, track } from "./actions";
import { InterferenceLayer } from "./interference";
import { callSign } from "./parts";
import { set, setAndFocus, store, toast, ui } from "./state";
import { isOpen, serverNow, shown } from "./store";

const TRACK_HOURS = 3;
const latLng = ([lon, lat]: LonLat): L.LatLngTuple => [lat, lon];
/** What a label above an area needs. */
const LABEL_PX = 48;

export class ConsoleMap {
  readonly map: L.Map;
  private readonly units = new UnitLayer();
  private readonly cells = new CellLayer();
  private readonly tasks = L.layerGroup();
  private readonly alerts = L.layerGroup();
  private readonly trackLine = L.polyline([], { color: "#6cc3f2", weight: 3, opacity: 0.85, interactive: false });
  private readonly pastLine = L.polyline([], { color: "#f0a6ff", weight: 3, opacity: 0.9, dashArray: "2 6", interactive: false });
  private readonly pin = L.circleMarker([0, 0], { radius: 9, color: "#ffd166", weight: 3, fillOpacity: 0.2, interactive: false });
  private readonly area = L.polygon([], { color: "#ffd166", weight: 2, dashArray: "6 5", fillOpacity: 0.1, interactive: false });
  private readonly cornerDots = L.layerGroup();
  private readonly interference: InterferenceLayer;
  private drawnTasks = "";
  private drawnAlerts = "";
  private drawnArea = "";

  constructor(element: HTMLElement) {
    this.map = L.map(element, { zoomControl: false, minZoom: 5, maxZoom: 18, preferCanvas: true, zoomSnap: 0.5, keyboard: true });
    L.control.zoom({ position: "bottomright" }).addTo(this.map);
    L.control.scale({ imperial: false, position: "bottomleft" }).addTo(this.map);
    this.map.fitBounds(HOME_BOUNDS);
    this.interference = new InterferenceLayer(this.map);
    void addBasemap(this.map).catch(() => toast(t("map.no_basemap"), true));
    element.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.take(this.map.getCenter());
      else if (event.key === "Backspace" && ui.drawing) set({ corners: ui.corners.slice(0, -1) });
    });
    for (const layer of [this.area, this.cornerDots, this.trackLine, this.tasks, this.alerts, this.units]) layer.addTo(this.map);
    this.map.on("click", (event) => this.clicked(event));
    this.map.on("moveend", () => this.refreshHeat());
    this.map.on("mousemove", (event) => {
      const choosing = ui.picking || ui.drawing;
      const over = !choosing && this.units.unitAt(event.layerPoint);
      element.style.cursor = choosing ? "crosshair" : over ? "pointer" : "";
    });
  }

  bbox(): number[] {
    const b = this.map.getBounds();
    return [Math.max(-180, b.getWest()), Math.max(-90, b.getSouth()), Math.min(180, b.getEast()), Math.min(90, b.getNorth())];
  }

  /** Take a place that is asked for: a task's point, or the next corner of a notice's area. */
  private take({ lng, lat }: L.LatLng): boolean {
    const at: LonLat = [round(lng), round(lat)];
    if (ui.picking) setAndFocus({ point: at, picking: false }, ".compose [name=title]"); // what is typed next is the title, no shortcut
    else if (ui.drawing) set({ corners: [...ui.corners, at] });
    else return false;
    return true;
  }

  private clicked(event: L.LeafletMouseEvent): void {
    if (this.take(event.latlng)) return;
    const unitId = this.units.unitAt(event.layerPoint);
    if (unitId) this.select(unitId);
    else set({ unitId: null });
    if (!unitId) this.trackLine.setLatLngs([]);
  }

  /** Select a unit and draw where it was in the last hours. */
  select(unitId: string): void {
    set({ unitId });
    this.trackLine.setLatLngs([]);
    this.pastLine.setLatLngs([]);
    track(unitId, TRACK_HOURS).then(
      (points) => { if (ui.unitId === unitId) this.trackLine.setLatLngs(points.map(latLng)); },
      () => undefined, // a person without the right to tracks sees none
    );
  }

  /** Draw where a unit was on an earlier day and bring it into view; nothing for no points. */
  drawPast(points: LonLat[]): void {
    this.pastLine.setLatLngs(points.map(latLng));
    if (points.length) this.map.fitBounds(this.pastLine.getBounds().pad(0.1), { maxZoom: 14 });
  }

  /** Bring a place into view because somebody asked for it. */
  show(at: LonLat): void {
    this.map.setView(latLng(at), Math.max(this.map.getZoom(), 10));
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
    if (ui.heat.on && ui.heatData) this.cells.set(ui.heatData.cells, ui.heatData.cell_m, ui.heatData.top);
    if (ui.point) this.pin.setLatLng(latLng(ui.point)).addTo(this.map);
    else this.pin.remove();
    this.interference.draw();
    this.drawTasks();
    this.drawAlerts();
    this.drawArea();
    if (ui.bringIntoView) this.bringIntoView(L.geoJSON(ui.bringIntoView).getBounds());
    ui.bringIntoView = null;
    this.map.getContainer().classList.toggle("lost", store.link === "lost");
  }

  /** The area being drawn, else that of the open notice. */
  private drawArea(): void {
    const writing = ui.panel === "write_notice";
    const area: Area | undefined = ui.panel === "notice" && ui.noticeId ? store.notices.get(ui.noticeId)?.addressed?.area : undefined;
    const rings = writing ? [ui.corners] : area?.coordinates ?? [];
    const key = JSON.stringify(rings);
    if (key === this.drawnArea) return;
    this.drawnArea = key;
    this.area.setLatLngs(rings.map((ring) => ring.map(latLng)));
    this.cornerDots.clearLayers();
    if (!writing) return;
    for (const corner of ui.corners) this.cornerDots.addLayer(L.circleMarker(latLng(corner), { radius: 5, color: "#ffd166", weight: 2, fillOpacity: 0.6, interactive: false }));
  }

  /** Where devices told what has no task; a panic stands at its task's place. */
  private drawAlerts(): void {
    const placed = [...store.alerts.values()].filter((alert) => alert.point && !alert.task_id);
    const key = `${currentLanguage()} ${placed.map((alert) => alert.id).join()}`;
    if (key === this.drawnAlerts) return;
    this.drawnAlerts = key;
    this.alerts.clearLayers();
    for (const alert of placed) this.alerts.addLayer(alertMarker(alert));
  }

  /** Show a whole area and its label, below the alarms that lie over the map. */
  private bringIntoView(bounds: L.LatLngBounds): void {
    const alarms = document.querySelector(".alerts")?.getBoundingClientRect();
    const above = alarms ? Math.max(0, alarms.bottom - this.map.getContainer().getBoundingClientRect().top) : 0;
    this.map.fitBounds(bounds.pad(0.1), { maxZoom: 11, paddingTopLeft: [0, above + LABEL_PX] });
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

function alertMarker(alert: Alert): L.Layer {
  const marker = L.circleMarker(latLng(alert.point?.coordinates ?? [0, 0]), {
    radius: 10, color: "#f2b84b", weight: 2.5, dashArray: "3 4", fillOpacity: 0.12, bubblingMouseEvents: false,
  });
  const label = document.createElement("span");
  label.textContent = `${t(`alert.${alert.kind}`)} ${callSign(alert.unit_id) || alert.whose}`;
  return marker.bindTooltip(label, { direction: "top" }).on("click", () => set({ panel: "alerts", unitId: alert.unit_id }));
}

const round = (degrees: number): number => Math.round(degrees * 1e6) / 1e6;
