/** Where the officer is, asked of the device only after a tap; distance and direction to a point. */
import type { Place } from "./model";

const EARTH_M = 6_371_000;
const rad = (degrees: number): number => (degrees * Math.PI) / 180;

export interface Spot {
  lon: number;
  lat: number;
}

/** Great-circle distance in metres (haversine) and initial bearing in degrees from north. */
export function towards(from: Spot, to: Spot): { distance_m: number; bearing_deg: number } {
  const [a, b, across] = [rad(from.lat), rad(to.lat), rad(to.lon - from.lon)];
  const h = Math.sin((b - a) / 2) ** 2 + Math.cos(a) * Math.cos(b) * Math.sin(across / 2) ** 2;
  const y = Math.sin(across) * Math.cos(b);
  const x = Math.cos(a) * Math.sin(b) - Math.sin(a) * Math.cos(b) * Math.cos(across);
  return {
    distance_m: 2 * EARTH_M * Math.asin(Math.min(1, Math.sqrt(h))),
    bearing_deg: ((Math.atan2(y, x) * 180) / Math.PI + 360) % 360,
  };
}

const POINTS = ["n", "ne", "e", "se", "s", "sw", "w", "nw"] as const;
export const compassPoint = (bearing_deg: number): string => POINTS[Math.round(bearing_deg / 45) % 8] ?? "n";

/** A place may be sent along with a step while it is at most this old. */
export const FRESH_MS = 60_000;
/** A worse accuracy than this asks for a pin on the map. */
export const ROUGH_M = 100;

const ASKED = { enableHighAccuracy: true, timeout: 30_000 } as const;

export type PlaceState = "unasked" | "asking" | "known" | "denied" | "unavailable";

/** Follows the device's own position from the first `start()` on. */
export class Follower {
  private watch: number | null = null;

  constructor(private readonly changed: (state: PlaceState, place: Place | null) => void) {}

  start(): void {
    if (this.watch !== null) return;
    if (!("geolocation" in navigator)) return this.changed("unavailable", null);
    this.changed("asking", null);
    this.watch = navigator.geolocation.watchPosition(this.found, this.failed, { ...ASKED, maximumAge: 5_000 });
  }

  /** Where it is now, also when it has not moved; for a follower that was started. */
  again(): void {
    if (this.watch !== null) navigator.geolocation.getCurrentPosition(this.found, this.failed, { ...ASKED, maximumAge: 0 });
  }

  private readonly found = ({ coords, timestamp }: GeolocationPosition): void =>
    this.changed("known", {
      lon: coords.longitude,
      lat: coords.latitude,
      accuracy_m: Number.isFinite(coords.accuracy) ? Math.round(coords.accuracy) : null,
      at: new Date(timestamp).toISOString(),
    });

  private readonly failed = (error: GeolocationPositionError): void => {
    if (error.code === error.PERMISSION_DENIED) this.stop();
    this.changed(error.code === error.PERMISSION_DENIED ? "denied" : "unavailable", null);
  };

  stop(): void {
    if (this.watch !== null) navigator.geolocation.clearWatch(this.watch);
    this.watch = null;
  }
}
