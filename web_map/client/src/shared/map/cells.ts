/** Heat cells on one canvas, on a scale that the caller gives. */
import type L from "leaflet";
import { CanvasLayer } from "./canvas_layer";
import { heatColour } from "./heat_scale";

export type Cell = [lon: number, lat: number, n: number];

export class CellLayer extends CanvasLayer {
  private cells: readonly Cell[] = [];
  private cellM = 1;
  private top = 1;
  private picked: Cell | null = null;

  /** Show these cells (places are their middles); `cellM` is their side in Web-Mercator metres, `top` the scale's end. */
  set(cells: readonly Cell[], cellM: number, top: number): void {
    [this.cells, this.cellM, this.top] = [cells, cellM, top];
    this.draw();
  }

  /** Ring one cell, or none. */
  pick(cell: Cell | null): void {
    this.picked = cell;
    this.draw();
  }

  protected override pane(map: L.Map): HTMLElement {
    const pane = map.getPane("cells") ?? map.createPane("cells");
    pane.style.zIndex = "350"; // above the land, below units and tasks
    pane.style.pointerEvents = "none";
    return pane;
  }

  protected override paint(g: CanvasRenderingContext2D, map: L.Map): void {
    const side = Math.max(3, (this.cellM / 40_075_016.686) * 256 * 2 ** map.getZoom());
    g.globalAlpha = 0.78;
    for (const [lon, lat, n] of this.cells) {
      const { x, y } = map.latLngToContainerPoint([lat, lon]);
      g.fillStyle = heatColour(n, this.top);
      g.fillRect(x - side / 2, y - side / 2, side, side);
    }
    if (!this.picked) return;
    const { x, y } = map.latLngToContainerPoint([this.picked[1], this.picked[0]]);
    g.globalAlpha = 1;
    g.strokeStyle = "#6cc3f2";
    g.lineWidth = 3;
    g.strokeRect(x - side / 2 - 4, y - side / 2 - 4, side + 8, side + 8);
  }
}
