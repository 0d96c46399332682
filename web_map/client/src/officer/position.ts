/** The device's own position, followed from the first tap that needs it. */
import type { Place } from "./model";
import { Follower, FRESH_MS } from "./place";
import { state, update } from "./store";

const listeners = new Set<(place: Place) => void>();

const follower = new Follower((placeState, place) => {
  update(place ? { placeState, place } : { placeState });
  if (place) for (const listener of listeners) listener(place);
});

export const showPlace = (): void => follower.start();
/** Ask the device anew, should it not tell by itself that it stands still. */
export const askPlace = (): void => follower.again();
export const stopFollowing = (): void => follower.stop();

/** Call `listener` with every new position. */
export const onPlace = (listener: (place: Place) => void): void => void listeners.add(listener);

/** The device's own place, if it is known and fresh. */
export const freshPlace = (): Place | null =>
  state.place && Date.now() - Date.parse(state.place.at) <= FRESH_MS ? state.place : null;

/** The same as fields of a request. */
export function placeFields(): Record<string, number> {
  const place = freshPlace();
  if (!place) return {};
  return { lon: place.lon, lat: place.lat, ...(place.accuracy_m === null ? {} : { accuracy_m: place.accuracy_m }) };
}
