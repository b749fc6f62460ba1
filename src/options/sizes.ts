/** Sizes as people write them. */
import { MinmaxqError } from "../base/errors.ts";

const UNITS: Readonly<Record<string, number>> = {
  "": 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KIB: 2 ** 10,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
};

/** Bytes of "1048576", "100MB" or "1.5GiB". Throws MinmaxqError. */
export function parseSize(text: string): number {
  const [, digits, unit] = text.match(/^(\d+(?:\.\d+)?)\s*([KMG]i?B)?$/i) ?? [];
  if (digits === undefined) throw new MinmaxqError(`"${text}" is no size; write it like 100MB or 1GiB`);
  return Math.round(Number(digits) * UNITS[(unit ?? "").toUpperCase()]!);
}
