/** Squares of a forecast on one canvas: outlined, the better the stronger, never too small to be seen. */
import type L from "leaflet";
import { CanvasLayer } from "./canvas_layer";

export interface Square {
  rank: number;
  west: number;
  south: number;
  east: number;
  north: number;
}

const LEAST_PX = 9;
const NAMED_FROM_PX = 18;
const LINE = "#ff5fa8"; // neither the heat's ramp nor the colours of units and tasks
const PICKED = "#6cc3f2";

export class SquareLayer extends CanvasLayer {
  private squares: readonly Square[] = [];
  private picked = 0;

  /** Show these, the best first. */
  set(squares: readonly Square[]): void {
    [this.squares, this.picked] = [squares, 0];
    this.draw();
  }

  /** Ring the one of this rank; 0 rings none. */
  pick(rank: number): void {
    this.picked = rank;
    this.draw();
  }

  protected override pane(map: L.Map): HTMLElement {
    const pane = map.getPane("squares") ?? map.createPane("squares");
    pane.style.zIndex = "360"; // above the heat
    pane.style.pointerEvents = "none";
    return pane;
  }

  protected override paint(g: CanvasRenderingContext2D, map: L.Map): void {
    g.font = "600 11px system-ui, sans-serif";
    g.textAlign = "center";
    g.textBaseline = "middle";
    for (const square of [...this.squares].reverse()) this.one(g, map, square);
  }

  private one(g: CanvasRenderingContext2D, map: L.Map, square: Square): void {
    const a = map.latLngToContainerPoint([square.north, square.west]);
    const b = map.latLngToContainerPoint([square.south, square.east]);
    const [x, y] = [(a.x + b.x) / 2, (a.y + b.y) / 2];
    const side = Math.max(b.x - a.x, LEAST_PX);
    g.fillStyle = LINE;
    g.globalAlpha = 0.16 + 0.3 * (1 - (square.rank - 1) / this.squares.length);
    g.fillRect(x - side / 2, y - side / 2, side, side);
    g.globalAlpha = 1;
    g.strokeStyle = LINE;
    g.lineWidth = 2;
    g.strokeRect(x - side / 2, y - side / 2, side, side);
    if (side >= NAMED_FROM_PX) {
      g.lineWidth = 3;
      g.strokeStyle = "#101820";
      g.strokeText(String(square.rank), x, y);
      g.fillStyle = "#ffffff";
      g.fillText(String(square.rank), x, y);
    }
    if (square.rank !== this.picked) return;
    g.strokeStyle = PICKED;
    g.lineWidth = 3;
    g.strokeRect(x - side / 2 - 4, y - side / 2 - 4, side + 8, side + 8);
  }
}
