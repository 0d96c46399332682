/** A Leaflet layer drawn by hand on one canvas over the whole map, drawn again after each move and change of theme. */
import L from "leaflet";
import { onTheme } from "../theme";

export abstract class CanvasLayer extends L.Layer {
  private canvas?: HTMLCanvasElement;
  private stopTheme = (): void => undefined;

  /** The pane the canvas stands in. */
  protected abstract pane(map: L.Map): HTMLElement | undefined;

  /** Draw in container pixels of the map, on an empty canvas. */
  protected abstract paint(g: CanvasRenderingContext2D, map: L.Map): void;

  override onAdd(map: L.Map): this {
    this.canvas = L.DomUtil.create("canvas", "leaflet-zoom-hide", this.pane(map));
    this.canvas.setAttribute("aria-hidden", "true");
    map.on("moveend zoomend resize", this.draw, this);
    this.stopTheme = onTheme(() => this.draw());
    this.draw();
    return this;
  }

  override onRemove(map: L.Map): this {
    map.off("moveend zoomend resize", this.draw, this);
    this.stopTheme();
    this.canvas?.remove();
    return this;
  }

  protected draw(): void {
    const map = this._map;
    const g = map && this.canvas?.getContext("2d");
    if (!map || !this.canvas || !g) return;
    const size = map.getSize();
    this.canvas.width = size.x * devicePixelRatio;
    this.canvas.height = size.y * devicePixelRatio;
    this.canvas.style.width = `${size.x}px`;
    this.canvas.style.height = `${size.y}px`;
    L.DomUtil.setPosition(this.canvas, map.containerPointToLayerPoint([0, 0]));
    g.scale(devicePixelRatio, devicePixelRatio);
    this.paint(g, map);
  }
}
