/**
 * Errors of each tensor in the JSON form of ONE's visq (§8.5), as circle-mpqsolver and visq's viewer read it:
 *
 *     { "meta": { "model", "metric", "colorscheme": [9 × { "b", "e", "c" }] }, "error": [ { tensor: error } ] }
 *
 * b and e are where a colour's range begins and ends, c is the colour. Errors are rounded to 4 digits behind the point, as Python's
 * round does it: ties of the exact value go to the even digit. The ranges are those of unrounded errors: 0…1 for MPEIR, else least to most.
 */

import { basename, extname } from "node:path";
import { FileError } from "../base/errors.ts";
import { readJson } from "../base/read-text.ts";
import type { ComparedLayer } from "./compare.ts";

export const VISQ_METRICS = ["mpeir", "mse", "tae", "srmse"] as const;
export type VisqMetric = (typeof VISQ_METRICS)[number];

/** From little to much error, light to dark; made for this file. */
const COLOURS = [
  "#f2f7ee",
  "#dcecc9",
  "#c3dfa2",
  "#e9d66b",
  "#f0b63f",
  "#ea8a2f",
  "#d95b2b",
  "#b52f2f",
  "#7a1230",
] as const;

export interface VisqFile {
  readonly meta: {
    readonly model: string;
    readonly metric: string;
    readonly colorscheme: readonly { readonly b: number; readonly e: number; readonly c: string }[];
  };
  readonly error: readonly [Readonly<Record<string, number>>];
}

/**
 * The file for layers that the quantized model rounds; `model` is the float model's path. Throws MinmaxqError for errors that are no
 * numbers, and when all errors are equal, so that there is no range of colours.
 */
export function visqFile(
  model: string,
  layers: readonly Pick<ComparedLayer, "name" | "dtype" | "visq">[],
  metric: VisqMetric,
): VisqFile {
  const rounded = layers.filter(({ dtype }) => dtype !== null);
  if (rounded.length === 0)
    throw new FileError(model, "the quantized model rounds none of its tensors; there is nothing for a visq file");
  const errors = rounded.map(({ name, visq }) => [name, visq[metric] ?? Number.NaN] as const);
  const broken = errors.filter(([, error]) => !Number.isFinite(error)).map(([name]) => `"${name}"`);
  if (broken.length > 0)
    throw new FileError(model, `${metric} is no finite number for ${broken.join(", ")}; no visq file is written`);
  const values = errors.map(([, error]) => error);
  const least = metric === "mpeir" ? 0 : values.reduce((a, b) => Math.min(a, b));
  const most = metric === "mpeir" ? 1 : values.reduce((a, b) => Math.max(a, b));
  if (least >= most)
    throw new FileError(
      model,
      `${metric} is ${least} for every tensor, which gives no range of colours; no visq file is written`,
    );
  const at = (step: number) => (step === COLOURS.length ? most : least + ((most - least) * step) / COLOURS.length);
  return {
    meta: {
      model: basename(model, extname(model)),
      metric: metric.toUpperCase(),
      colorscheme: COLOURS.map((c, i) => ({ b: at(i), e: at(i + 1), c })),
    },
    error: [Object.fromEntries(errors.map(([name, error]) => [name, fourDigits(error)]))],
  };
}

/** Errors by tensor from a file of visq: the one table of its `error`. Throws FileError. */
export function readVisqErrors(path: string): Map<string, number> {
  const value = readJson(path, { most: 1024, what: "cannot be read", remedy: "give a JSON file that visq wrote" });
  const table = (value as { error?: unknown[] } | null)?.error?.[0];
  const entries = typeof table === "object" && table !== null ? Object.entries(table) : [];
  const broken = entries.filter(([, error]) => typeof error !== "number").map(([name]) => `"${name}"`);
  if (entries.length === 0 || broken.length > 0)
    throw new FileError(
      path,
      broken.length > 0
        ? `the errors of ${broken.slice(0, 4).join(", ")} are no numbers; give a file that visq wrote`
        : "has no errors of tensors ('error': [{ TENSOR: NUMBER }]); give a file that visq wrote",
    );
  return new Map(entries as [string, number][]);
}

/** Rounds to 4 digits behind the point; exact ties to the even digit. */
export function fourDigits(value: number): number {
  // A tie has the form (2n + 1) / 20000, and a binary fraction of that form is an odd multiple of 1/32.
  const thirtySeconds = value * 32;
  if (Number.isInteger(thirtySeconds) && thirtySeconds % 2 !== 0) {
    const below = Math.floor(value * 10000);
    return (below % 2 === 0 ? below : below + 1) / 10000;
  }
  return Number(value.toFixed(4));
}
