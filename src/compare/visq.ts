/**
 * Errors of each tensor in the JSON form of ONE's visq (§8.5), as circle-mpqsolver and visq's viewer read it:
 *
 *     { "meta": { "model", "metric", "colorscheme": [9 × { "b", "e", "c" }] }, "error": [ { tensor: error } ] }
 *
 * b and e are where a colour's range begins and ends, c is the colour. All numbers are rounded to 4 digits behind the point, as Python's
 * round does it: ties of the exact value go to the even digit. All ranges together are
 *
 *     MPEIR       0 to 1
 *     MSE, TAE    the least to the largest that a tensor has on a single sample
 *     SRMSE       0 to the largest
 *
 * Tensors are those that operators yield and the quantized model rounds: no inputs, whose errors are no layer's.
 */

import { basename } from "node:path";
import { FileError } from "../base/errors.ts";
import { readJson } from "../base/read-text.ts";
import type { ComparedLayer } from "./compare.ts";

export const VISQ_METRICS = ["mpeir", "mse", "tae", "srmse"] as const;
export type VisqMetric = (typeof VISQ_METRICS)[number];

/** From little to much error: YlOrRd of nine colours, from ColorBrewer (colorbrewer2.org), by Cynthia A. Brewer, Penn State. */
const COLOURS = [
  "#ffffcc",
  "#ffeda0",
  "#fed976",
  "#feb24c",
  "#fd8d3c",
  "#fc4e2a",
  "#e31a1c",
  "#bd0026",
  "#800026",
] as const;

/** The range of a colour. */
interface Band {
  readonly b: number;
  readonly e: number;
  readonly c: string;
}

export interface VisqFile {
  readonly meta: { readonly model: string; readonly metric: string; readonly colorscheme: readonly Band[] };
  readonly error: readonly [Readonly<Record<string, number>>];
}

/** What a file says, before it is rounded. */
export interface VisqErrors {
  /** The float model's file name. */
  readonly model: string;
  /** As files and graphs call it. */
  readonly metric: string;
  readonly bands: readonly Band[];
  /** By tensor. */
  readonly of: ReadonlyMap<string, number>;
}

/**
 * Errors of layers that the quantized model rounds; `model` is the float model's path. Throws MinmaxqError for errors that are no
 * numbers, and when there is no range of colours.
 */
export function visqErrors(
  model: string,
  layers: readonly Pick<ComparedLayer, "name" | "dtype" | "source" | "visq">[],
  metric: VisqMetric,
): VisqErrors {
  const rounded = layers.filter(({ dtype, source }) => dtype !== null && source !== null);
  if (rounded.length === 0)
    throw new FileError(model, "the quantized model rounds none of its tensors; there is nothing for a visq file");
  const errors = rounded.map(({ name, visq }) => [name, visq[metric] ?? Number.NaN] as const);
  const broken = errors.filter(([, error]) => !Number.isFinite(error)).map(([name]) => `"${name}"`);
  if (broken.length > 0)
    throw new FileError(model, `${metric} is no finite number for ${broken.join(", ")}; no visq file is written`);
  const [least, most] = rangeOf(rounded, metric);
  if (least >= most)
    throw new FileError(
      model,
      `${metric} is ${least} for every tensor, which gives no range of colours; no visq file is written`,
    );
  const at = (step: number) => least + step * ((most - least) / COLOURS.length);
  return {
    model: basename(model),
    metric: metric.toUpperCase(),
    bands: COLOURS.map((c, i) => ({ b: at(i), e: at(i + 1), c })),
    of: new Map(errors),
  };
}

/** Where the first colour begins and the last one ends. */
function rangeOf(layers: readonly Pick<ComparedLayer, "visq">[], metric: VisqMetric): readonly [number, number] {
  if (metric === "mpeir") return [0, 1];
  if (metric === "srmse") return [0, layers.reduce((most, { visq }) => Math.max(most, visq.srmse!), 0)];
  return layers
    .map(({ visq }) => visq.records[metric])
    .reduce(([least, most], [low, high]) => [Math.min(least, low), Math.max(most, high)]);
}

/** The file of errors. */
export function visqFile({ model, metric, bands, of }: VisqErrors): VisqFile {
  return {
    meta: { model, metric, colorscheme: bands.map(({ b, e, c }) => ({ b: fourDigits(b), e: fourDigits(e), c })) },
    error: [Object.fromEntries([...of].map(([name, error]) => [name, fourDigits(error)]))],
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
