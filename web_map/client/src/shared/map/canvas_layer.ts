/** A Leaflet layer drawn by hand on one canvas over the whole map, drawn again after each move and change of theme. */
import L from "leaflet";
import { onTheme } from "../theme";

export abstract class CanvasLayer extends L.Layer {
  /** How much of the map's size is drawn beyond each of its sides. */
  protected readonly pad: number = 0;
  /** The layer point of the canvas's corner. */
  protected corner = L.point(0, 0);
  private canvas?: HTMLCanvasElement;
  private stopTheme = (): void => undefined;

  /** The pane the canvas stands in. */
  protected abstract pane(map: L.Map): HTMLElement | undefined;

  /** Draw on an empty canvas, in pixels from its corner: the map's own, unless `pad` says otherwise. */
  protected abstract paint(g: CanvasRenderingContext2D, map: L.Map): void;

  override onAdd(map: L.Map): this {
    this.canvas = L.DomUtil.create("canvas", "leaflet-zoom-hide", this.pane(map));
    this.canvas.setAttribute("aria-hidden", "true");
    map.on("moveend zoomend resize", this.draw, this);
    this.stopTheme = onTheme(() => this.themed());
    this.draw();
    return this;
  }

  override onRemove(map: L.Map): this {
    map.off("moveend zoomend resize", this.draw, this);
    this.stopTheme();
    this.canvas?.remove();
    return this;
  }

  /** The theme has changed. */
  protected themed(): void {
    this.draw();
  }

  protected draw(): void {
    const map = this._map;
    const g = map && this.canvas?.getContext("2d");
    if (!map || !this.canvas || !g) return;
    const pad = map.getSize().multiplyBy(this.pad).round();
    const size = map.getSize().add(pad.multiplyBy(2));
    this.canvas.width = size.x * devicePixelRatio;
    this.canvas.height = size.y * devicePixelRatio;
    this.canvas.style.width = `${size.x}px`;
    this.canvas.style.height = `${size.y}px`;
    this.corner = map.containerPointToLayerPoint(pad.multiplyBy(-1));
    L.DomUtil.setPosition(this.canvas, this.corner);
    g.scale(devicePixelRatio, devicePixelRatio);
    this.paint(g, map);
  }
}
