/** Sizes as people write them. */
import { MinmaxqError } from "../base/errors.ts";
import { sizeText } from "../base/text.ts";

const UNITS: Readonly<Record<string, number>> = {
  "": 1,
  K: 1e3,
  M: 1e6,
  G: 1e9,
  KI: 2 ** 10,
  MI: 2 ** 20,
  GI: 2 ** 30,
};

/** Numbers without a unit: below the first they are GB, from the second on bytes; between them they may be anything. */
const GIGABYTES = 1000;
const BYTES = 1e6;

/**
 * Bytes of "1048576", "100MB", "1.5GiB", "2G" or "2": a number without a unit is one of GB below 1000, one of bytes from a million on, and
 * refused between. Throws MinmaxqError.
 */
export function parseSize(text: string): number {
  const [, digits, unit = ""] = text.match(/^(\d+(?:\.\d+)?|\.\d+)\s*([KMG]i?)?B?$/i) ?? [];
  if (digits === undefined || /^[\d.]+\s*B$/i.test(text))
    throw new MinmaxqError(`"${text}" is no size; write it like 100MB or 1GiB`);
  const number = Number(digits);
  if (unit !== "" || number >= BYTES) return Math.round(number * UNITS[unit.toUpperCase()]!);
  if (number >= GIGABYTES)
    throw new MinmaxqError(`"${text}" needs a unit (bytes, MB or GB?); write it like ${digits}MB`);
  return Math.round(number * 1e9);
}

/** What is to be said of a size that was written without a unit: `2 is taken as 2.0 GB`. */
export function sizeRemark(text: string): string | undefined {
  return /^[\d.]+$/.test(text.trim()) && Number(text) < GIGABYTES
    ? `${text} is taken as ${sizeText(parseSize(text.trim()))}`
    : undefined;
}
