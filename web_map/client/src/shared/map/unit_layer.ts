/** Every unit on one canvas: an atlas of sprites (heading x status x age), so that thousands are plain copies. */
import type L from "leaflet";
import type { Freshness } from "../age";
import { COLOURS, GROUPS, SHAPES, type StatusGroup } from "../status";
import { currentTheme } from "../theme";
import { CanvasLayer } from "./canvas_layer";

export interface Placed {
  id: string;
  lon: number;
  lat: number;
  heading_deg: number | null;
  group: StatusGroup;
  fresh: Freshness;
  label: string;
  ageText: string;
}

const SIZE = 34;
const TURNS = 32;
const PAD = 0.15; // painted beyond each edge, so that a pan shows no gap
const REACH_PX = 18;
const LABEL_ZOOM = 9;
const AGES: readonly Freshness[] = ["fresh", "stale", "lost"];

/** Sprites by row (group, age) and column (heading; a unit without heading uses the first). */
function atlas(): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  const night = currentTheme() === "night";
  canvas.width = TURNS * SIZE * devicePixelRatio;
  canvas.height = GROUPS.length * AGES.length * SIZE * devicePixelRatio;
  const g = canvas.getContext("2d");
  if (!g) return canvas;
  GROUPS.forEach((group, row) => AGES.forEach((age, part) => {
    const path = new Path2D(SHAPES[group]);
    for (let turn = 0; turn < TURNS; turn++) {
      const y = (row * AGES.length + part + 0.5) * SIZE * devicePixelRatio;
      g.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, (turn + 0.5) * SIZE * devicePixelRatio, y);
      if (turns(group)) g.rotate((turn / TURNS) * 2 * Math.PI);
      g.translate(-12, -12);
      sprite(g, path, COLOURS[group], age, night);
    }
  }));
  return canvas;
}

/** Shapes with a direction turn with the heading; the others stay upright so that they stay readable. */
const turns = (group: StatusGroup): boolean => group === "available" || group === "committed";

function sprite(g: CanvasRenderingContext2D, path: Path2D, colour: string, age: Freshness, night: boolean): void {
  const ink = night ? "#06121d" : "#15202b";
  g.lineJoin = "round";
  if (age === "fresh") {
    g.lineWidth = 3;
    g.strokeStyle = ink;
    g.stroke(path);
    g.fillStyle = colour;
    g.fill(path);
    return;
  }
  g.fillStyle = night ? "#0b1420" : "#f4f6f8";
  g.fill(path);
  if (!night) {
    g.lineWidth = 4;
    g.strokeStyle = ink;
    g.stroke(path);
  }
  g.lineWidth = 2;
  g.strokeStyle = colour;
  g.setLineDash(age === "stale" ? [3, 2.5] : [1.5, 3]);
  g.stroke(path);
  g.setLineDash([]);
  if (age !== "lost") return;
  g.lineWidth = 2.5;
  g.beginPath();
  g.moveTo(6, 6);
  g.lineTo(18, 18);
  g.moveTo(18, 6);
  g.lineTo(6, 18);
  g.stroke();
}

/** For who cannot see it the list of units stands beside. */
export class UnitLayer extends CanvasLayer {
  protected override readonly pad = PAD;
  private sprites = atlas();
  private units: readonly Placed[] = [];
  private selected: string | null = null;
  private frame = 0;
  private hits: { x: number; y: number; id: string }[] = [];

  protected override pane(map: L.Map): HTMLElement {
    return map.getPanes().overlayPane;
  }

  protected override themed(): void {
    this.sprites = atlas();
    this.draw();
  }

  set(units: readonly Placed[], selected: string | null): void {
    [this.units, this.selected] = [units, selected];
    this.draw();
  }

  /** The unit nearest to a place on the map, within reach of a pointer. */
  unitAt(layerPoint: L.Point): string | undefined {
    const p = layerPoint.subtract(this.corner);
    let [best, least]: [string | undefined, number] = [undefined, REACH_PX ** 2];
    for (const hit of this.hits) {
      const d = (hit.x - p.x) ** 2 + (hit.y - p.y) ** 2;
      if (d < least) [best, least] = [hit.id, d];
    }
    return best;
  }

  /** Once in a frame, however often it is asked for. */
  protected override draw(): void {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      super.draw();
    });
  }

  protected override paint(g: CanvasRenderingContext2D, map: L.Map): void {
    const [w, h] = [g.canvas.width / devicePixelRatio, g.canvas.height / devicePixelRatio];
    const origin = map.getPixelOrigin().add(this.corner);
    const scale = 256 * 2 ** map.getZoom();
    this.hits = [];
    g.font = '600 11.5px system-ui, "DejaVu Sans", sans-serif';
    for (const unit of this.units) { // Web Mercator by hand: nothing is allocated for a unit
      const s = Math.sin((unit.lat * Math.PI) / 180);
      const x = (unit.lon / 360 + 0.5) * scale - origin.x;
      const y = (0.5 - Math.log((1 + s) / (1 - s)) / (4 * Math.PI)) * scale - origin.y;
      if (x < 0 || y < 0 || x > w || y > h) continue;
      this.place(g, unit, x, y, map.getZoom());
      this.hits.push({ x, y, id: unit.id });
    }
  }

  private place(g: CanvasRenderingContext2D, unit: Placed, x: number, y: number, zoom: number): void {
    const turn = (Math.round(((unit.heading_deg ?? 0) / 360) * TURNS) + TURNS) % TURNS;
    const row = GROUPS.indexOf(unit.group) * AGES.length + AGES.indexOf(unit.fresh);
    const cell = SIZE * devicePixelRatio;
    if (unit.id === this.selected) {
      g.beginPath();
      g.arc(x, y, SIZE / 2 + 3, 0, 7);
      g.lineWidth = 3;
      g.strokeStyle = currentTheme() === "night" ? "#ffd166" : "#a04a00";
      g.stroke();
    }
    g.drawImage(this.sprites, turn * cell, row * cell, cell, cell, x - SIZE / 2, y - SIZE / 2, SIZE, SIZE);
    const aged = unit.fresh !== "fresh";
    if (zoom < LABEL_ZOOM && unit.id !== this.selected && !aged) return;
    const text = zoom >= LABEL_ZOOM || unit.id === this.selected ? `${unit.label}${aged ? ` · ${unit.ageText}` : ""}` : unit.ageText;
    const night = currentTheme() === "night";
    g.lineWidth = 3.5;
    g.lineJoin = "round";
    g.strokeStyle = night ? "#0b1420" : "#ffffff";
    const beside = x + (unit.id === this.selected ? SIZE / 2 + 8 : 14);
    g.strokeText(text, beside, y + 4);
    g.fillStyle = night ? "#e6edf5" : "#15202b";
    g.fillText(text, beside, y + 4);
  }
}
