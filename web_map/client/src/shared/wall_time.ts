/** Times as clocks in Lithuania show them, whatever the zone of the device: what is shown and what is typed are the same. */

export const ZONE = "Europe/Vilnius";

const asUtc = (wallTime: string): number => Date.parse(`${wallTime}Z`);

/** A moment as clocks in Lithuania show it, whatever this device's zone, as fields for a time want it: `2026-11-30T14:05`. */
export const wallTime = (moment: string | number): string =>
  new Date(moment).toLocaleString("sv-SE", { timeZone: ZONE }).replace(" ", "T").slice(0, 16);

/** The moment at which clocks in Lithuania show this, in ISO 8601. */
export function atWallTime(shown: string): string {
  let guess = asUtc(shown);
  for (let n = 0; n < 2; n++) guess += asUtc(shown) - asUtc(wallTime(guess)); // once more where the clocks are changed between
  return new Date(guess).toISOString();
}

/** The moment a local day of Lithuania begins (`plus` days later), in ISO 8601; empty stays empty. */
export function startOfDay(localDay: string, plus = 0): string {
  if (!localDay) return "";
  const day_ = new Date(`${localDay}T00:00Z`);
  day_.setUTCDate(day_.getUTCDate() + plus);
  return atWallTime(day_.toISOString().slice(0, 16));
}
