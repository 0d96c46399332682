/** A small offline map: a task's place with the officer's own, or a pin that is set by moving the map under it. */
import L from "leaflet";
import { t } from "../shared/i18n";
import { addBasemap, HOME_BOUNDS } from "../shared/map/basemap";
import type { Place, Task } from "./model";
import type { Spot } from "./place";

/** A point shown with a pin is as exact as a finger on this scale. */
const FINGER_PX = 12;
const EQUATOR_M_PER_PX = 156_543;

const NEAR_ZOOM = 12;
const PIN_ZOOM = 13;
const FIT = { padding: [44, 44], maxZoom: NEAR_ZOOM } as const;

const dot = (className: string): L.DivIcon => L.divIcon({ className, iconSize: [26, 26] });

/** `<officer-map>`: set `task` and `own` to show them, or `pin` to let the officer point. */
export class OfficerMap extends HTMLElement {
  private map: L.Map | null = null;
  private readonly shown = L.featureGroup();
  private readonly ownLayer = L.featureGroup();
  private fittedFor = "";
  private shownTask: Task | null = null;
  private shownOwn: Place | null = null;
  private shownTrail: readonly Spot[] = [];
  private start: Spot | null = null;
  private settling = false;

  /** Called with the point under the pin, and how exact it is, whenever the officer has moved the map. */
  pointed: ((spot: Spot, accuracy_m: number) => void) | null = null;

  set task(task: Task | null) {
    this.shownTask = task;
    this.show();
  }

  set own(own: Place | null) {
    this.shownOwn = own;
    this.show();
  }

  /** Where the unit was, in order. */
  set trail(trail: readonly Spot[]) {
    this.shownTrail = trail;
    this.show();
  }

  /** Where the pin is to be; null = where the officer moved it. */
  set pin(spot: Spot | null) {
    this.start = spot;
    this.settle();
  }

  connectedCallback(): void {
    this.setAttribute("role", "application");
    this.setAttribute("aria-label", t(this.pointed ? "officer.map.pin" : "officer.map.task"));
    // Leaflet ends a zoom's animation by a timer, also when the map was taken off the page meanwhile, and fails then.
    const map = L.map(this, { zoomControl: false, maxZoom: 16, minZoom: 6, zoomSnap: 0.5, zoomAnimation: false });
    this.map = map;
    L.control.zoom({ position: "topright", zoomInTitle: t("officer.map.in"), zoomOutTitle: t("officer.map.out") }).addTo(map);
    map.fitBounds(HOME_BOUNDS);
    void addBasemap(map).catch(() => undefined); // without it the places still show; or the map is gone by now
    this.shown.addTo(map);
    this.ownLayer.addTo(map);
    if (this.pointed) {
      this.settle();
      map.on("moveend", this.moved);
    }
    this.show();
  }

  disconnectedCallback(): void {
    this.map?.remove();
    this.map = null;
    this.fittedFor = "";
  }

  private settle(): void {
    const key = this.start ? `${this.start.lon},${this.start.lat}` : "";
    if (!this.map || !this.start || key === this.fittedFor) return;
    this.fittedFor = key;
    this.settling = true;
    this.map.setView([this.start.lat, this.start.lon], PIN_ZOOM, { animate: false });
    this.settling = false;
  }

  private readonly moved = (): void => {
    if (!this.map || this.settling) return;
    const { lat, lng } = this.map.getCenter();
    const scale = (EQUATOR_M_PER_PX * Math.cos((lat * Math.PI) / 180)) / 2 ** this.map.getZoom();
    this.pointed?.({ lon: +lng.toFixed(6), lat: +lat.toFixed(6) }, Math.round(FINGER_PX * scale));
  };

  private show(): void {
    if (!this.map || this.pointed) return;
    this.shown.clearLayers();
    this.ownLayer.clearLayers();
    const task = this.shownTask;
    const style = { className: "task-area", weight: 3, fillOpacity: 0.18 };
    if (task?.area) this.shown.addLayer(L.geoJSON(task.area as GeoJSON.Polygon, { style: () => style, interactive: false }));
    if (task?.point) {
      const [lon, lat] = task.point.coordinates;
      this.shown.addLayer(L.marker([lat, lon], { icon: dot("spot"), interactive: false, keyboard: false }));
    }
    if (this.shownTrail.length) {
      const points = this.shownTrail.map(({ lat, lon }): [number, number] => [lat, lon]);
      this.shown.addLayer(L.polyline(points, { className: "trail", weight: 4, interactive: false }));
    }
    if (this.shownOwn) {
      const { lon, lat } = this.shownOwn;
      this.ownLayer.addLayer(L.marker([lat, lon], { icon: dot("own-spot"), interactive: false, keyboard: false }));
    }
    this.fit(`${task?.id ?? ""}${this.shownOwn ? "+own" : ""}${this.shownTrail.length ? "+trail" : ""}`);
  }

  /** Show both places once; after that the map moves only by the officer's hand. */
  private fit(key: string): void {
    if (key === this.fittedFor) return;
    this.fittedFor = key;
    const bounds = L.featureGroup([this.shown, this.ownLayer]).getBounds();
    if (bounds.isValid()) this.map?.fitBounds(bounds, { ...FIT, padding: [...FIT.padding] });
  }
}

customElements.define("officer-map", OfficerMap);
