/**
 * Plates, containers and chassis numbers: how they are compared, and what about one looks wrong. Nothing is refused.
 *
 * The same rules as casework/checks.py, which decides; here so that the officer is told at once, also without a network.
 */
import type { Vehicle } from "../shared/contract";

export interface Doubt {
  field: string;
  code: "plate_pattern" | "plate_letters" | "look_alike" | "container_pattern" | "check_digit" | "vin";
  /** What it is compared as, or the digit that would be right. */
  value: string;
}

const CYRILLIC = "АВЕКМНОРСТУХІЅЈ";
const LATIN = "ABEKMHOPCTYXISJ";
const SEPARATORS = /[\s.\-·/]+/g;
const CAR = /^[A-Z]{3}[0-9]{3}$/;
const TRAILER = /^[A-Z]{2}[0-9]{3}$/;
const UNUSED_LETTERS = /[QWX]/;
const CONTAINER = /^[A-Z]{3}[UJZ][0-9]{7}$/;
const VIN = /^[A-HJ-NPR-Z0-9]{17}$/;
const HOME = "LT";
/** A = 10 upward, without the multiples of 11. */
const LETTER_VALUES = Array.from({ length: 29 }, (_, n) => n + 10).filter((n) => n % 11);

const plain = (written: string): string => written.toUpperCase().replace(SEPARATORS, "");

/** A plate or number as it is compared: upper case, no separators, Latin letters for Cyrillic that look alike. */
export const key = (written: string): string =>
  [...plain(written)].map((letter) => LATIN[CYRILLIC.indexOf(letter)] ?? letter).join("");

const valueOf = (letter: string): number =>
  letter >= "A" ? (LETTER_VALUES[letter.charCodeAt(0) - 65] ?? 0) : Number(letter);

/** The check digit (ISO 6346) of the first ten characters of a container number in upper case. */
export const checkDigit = (container: string): number =>
  ([...container.slice(0, 10)].reduce((sum, letter, place) => sum + valueOf(letter) * 2 ** place, 0) % 11) % 10;

const folded = (field: string, written: string): Doubt[] =>
  plain(written) === key(written) ? [] : [{ field, code: "look_alike", value: key(written) }];

function plate(field: string, written: string, country: string | null | undefined, pattern: RegExp): Doubt[] {
  const found = folded(field, written);
  const value = key(written);
  if (country && country !== HOME) return found;
  if (!pattern.test(value)) found.push({ field, code: "plate_pattern", value });
  else if (UNUSED_LETTERS.test(value)) found.push({ field, code: "plate_letters", value });
  return found;
}

/** What looks wrong about a car's plate: of a Lithuanian one, or one without a country, also its form. */
export const plateDoubts = (field: string, written: string, country?: string | null): Doubt[] => plate(field, written, country, CAR);

/** What looks wrong about a container number. */
export function containerDoubts(field: string, written: string): Doubt[] {
  const found = folded(field, written);
  const value = key(written);
  if (!CONTAINER.test(value)) found.push({ field, code: "container_pattern", value });
  else if (checkDigit(value) !== Number(value[10])) found.push({ field, code: "check_digit", value: String(checkDigit(value)) });
  return found;
}

/** What looks wrong about a vehicle. */
export function vehicleDoubts(of: Vehicle): Doubt[] {
  const found: Doubt[] = [];
  if (of.plate) found.push(...plate("vehicle.plate", of.plate, of.country, CAR));
  if (of.trailer_plate) found.push(...plate("vehicle.trailer_plate", of.trailer_plate, of.country, TRAILER));
  if (of.vin && !VIN.test(key(of.vin))) found.push({ field: "vehicle.vin", code: "vin", value: of.vin });
  (of.containers ?? []).forEach((number, n) => found.push(...containerDoubts(`vehicle.containers.${n}`, number)));
  return found;
}
