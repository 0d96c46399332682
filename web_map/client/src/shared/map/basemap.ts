/** The offline basemap: land, borders and towns from one file, drawn by Leaflet on canvas, labels thinned by zoom. */
import L from "leaflet";
import "leaflet/dist/leaflet.css";
import "./map.css";
import { CanvasLayer } from "./canvas_layer";
import { currentTheme, onTheme, type Theme } from "../theme";

const URL = "/static/basemap.json";
const HOME = "440"; // Lithuania in ISO 3166-1 numeric
const ATTRIBUTION = "Natural Earth · GeoNames CC BY 4.0";
export const HOME_BOUNDS: L.LatLngBoundsExpression = [[53.85, 20.9], [56.5, 26.9]];

interface Palette { sea: string; land: string; home: string; coast: string; border: string; text: string; halo: string }
const PALETTES: Record<Theme, Palette> = {
  night: { sea: "#0b1420", land: "#141e2a", home: "#1c2938", coast: "#31445a", border: "#8296ac", text: "#a9b8c9", halo: "#0b1420" },
  day: { sea: "#cfe0ea", land: "#f1eee6", home: "#fffdf7", coast: "#9fb6c4", border: "#7d7482", text: "#38434e", halo: "#ffffff" },
};

interface Town { name: string; population: number; capital: boolean; lat: number; lon: number }
interface Feature { id?: string; properties: { kind: string } & Partial<Town>; geometry: GeoJSON.Geometry }
interface Data { bbox: [number, number, number, number]; features: Feature[] }

let loading: Promise<Data> | undefined;

/** The basemap's data, fetched once; a failed try is not kept. */
function load(): Promise<Data> {
  loading ??= fetch(URL).then((response) => {
    if (!response.ok) throw new Error(`${URL}: ${response.status}`);
    return response.json() as Promise<Data>;
  });
  loading.catch(() => { loading = undefined; });
  return loading;
}

/** The town nearest to a place, by the basemap's names. */
export async function nearestTown(lon: number, lat: number): Promise<string> {
  const narrow = Math.cos((lat * Math.PI) / 180);
  const away = (town: Town): number => ((town.lon - lon) * narrow) ** 2 + (town.lat - lat) ** 2;
  const known = towns(await load());
  return known.reduce((best, town) => (away(town) < away(best) ? town : best)).name;
}

const LEAST_POPULATION: readonly [number, number][] = [[6, 3e5], [7, 1e5], [8, 3e4], [9, 1e4], [10, 4e3], [11, 1_500]];
const leastPopulation = (zoom: number): number => LEAST_POPULATION.find(([below]) => zoom < below)?.[1] ?? 0;

/** Town names on one canvas: biggest first; a name that would overlap is left out. */
class Towns extends CanvasLayer {
  constructor(private readonly towns: readonly Town[]) {
    super();
  }

  protected override pane(map: L.Map): HTMLElement | undefined {
    return map.getPane("labels");
  }

  protected override paint(g: CanvasRenderingContext2D, map: L.Map): void {
    const palette = PALETTES[currentTheme()];
    g.lineJoin = "round";
    const taken: [number, number, number, number][] = [];
    const least = leastPopulation(map.getZoom());
    const view = map.getBounds().pad(0.05);
    for (const town of this.towns) {
      if (town.population < least) break;
      if (!view.contains([town.lat, town.lon])) continue;
      const { x, y } = map.latLngToContainerPoint([town.lat, town.lon]);
      const px = town.population > 1e5 ? 14 : town.population > 2e4 ? 12.5 : 11.5;
      g.font = `${town.capital ? 650 : 450} ${px}px system-ui, "DejaVu Sans", sans-serif`;
      const [left, top, right, bottom] = [x - 4, y - px / 2 - 2, x + 10 + g.measureText(town.name).width, y + px / 2 + 2];
      if (taken.some((b) => left < b[2] && right > b[0] && top < b[3] && bottom > b[1])) continue;
      taken.push([left, top, right, bottom]);
      g.fillStyle = palette.text;
      g.beginPath();
      g.arc(x, y, town.capital ? 3.2 : 1.8, 0, 7);
      g.fill();
      g.strokeStyle = palette.halo;
      g.lineWidth = 3;
      g.strokeText(town.name, x + 7, y + px / 3);
      g.fillText(town.name, x + 7, y + px / 3);
    }
  }
}

function towns(data: Data): Town[] {
  return data.features
    .filter((f) => f.properties.kind === "town")
    .map((f) => {
      const [lon, lat] = (f.geometry as GeoJSON.Point).coordinates as [number, number];
      return { ...(f.properties as unknown as Town), lat, lon };
    });
}

/** Put the basemap under `map`, in the colours of the theme as it changes; resolves once it is drawn. */
export async function addBasemap(map: L.Map): Promise<void> {
  for (const [name, z] of [["base", "150"], ["labels", "250"]] as const) map.createPane(name).style.zIndex = z;
  const labels = map.getPane("labels");
  if (labels) labels.style.pointerEvents = "none";
  map.attributionControl?.setPrefix(false).addAttribution(ATTRIBUTION); // no link leads out of the page
  const data = await load();
  const options = { pane: "base", renderer: L.canvas({ pane: "base", padding: 0.3 }), interactive: false };
  const of = (kind: string): GeoJSON.Feature[] => data.features.filter((f) => f.properties.kind === kind) as unknown as GeoJSON.Feature[];
  const land = L.geoJSON(of("land"), options as L.GeoJSONOptions).addTo(map);
  const borders = L.geoJSON(of("border"), options as L.GeoJSONOptions).addTo(map);
  new Towns(towns(data)).addTo(map);
  const paint = (): void => {
    const palette = PALETTES[currentTheme()];
    map.getContainer().style.background = palette.sea;
    land.setStyle((f) => ({ color: palette.coast, weight: 1, fillOpacity: 1, fillColor: f?.id === HOME ? palette.home : palette.land }));
    borders.setStyle({ color: palette.border, weight: 1.5, dashArray: "6 4" });
  };
  paint();
  map.on("unload", onTheme(paint));
  const [west, south, east, north] = data.bbox; // the cut at the box's edge stays out of sight
  map.setMaxBounds([[south + 0.2, west + 0.2], [north - 0.2, east - 0.2]]);
}
