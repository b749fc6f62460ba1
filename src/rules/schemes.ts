/**
 * Quantization schemes as data: what a dtype means for activations, weights and biases.
 *
 * Passes ask the scheme instead of comparing dtypes, so a new scheme is one row here.
 */

import type { Dtype } from "../model/tensor-types.ts";
import { asymmetric, INT16_LIMIT, type ScaleAndZeroPoint, symmetric } from "./arithmetic.ts";

export type Granularity = "layer" | "channel";

export interface Scheme {
  /** As people write it: "uint8". */
  readonly name: string;
  readonly dtype: Dtype;
  readonly bits: number;
  /** Zero point 0 and limits −limit..limit; else 0..limit with a zero point. */
  readonly symmetric: boolean;
  readonly limit: number;
  /** dtype of biases per channel; per layer it is always INT32 (§3.6). */
  readonly biasDtype: Dtype;
}

export const SCHEMES = {
  UINT8: { name: "uint8", dtype: "UINT8", bits: 8, symmetric: false, limit: 255, biasDtype: "INT32" },
  INT16: { name: "int16", dtype: "INT16", bits: 16, symmetric: true, limit: INT16_LIMIT, biasDtype: "INT64" },
} as const satisfies Record<string, Scheme>;

export type QuantizedDtype = keyof typeof SCHEMES;

/** Scale, zero point and representable range of a range (f32) in a scheme. */
export function parametersOfRange(scheme: Scheme, min: number, max: number): ScaleAndZeroPoint {
  return scheme.symmetric ? symmetric(min, max, scheme.limit) : asymmetric(min, max);
}

/** dtypes that count as quantized when a quantparam is there (§1.1; INT8 and the 4-bit ones do not). */
const QUANTIZED: ReadonlySet<Dtype> = new Set<Dtype>(["UINT8", "INT16", "INT32", "INT64"]);

export function isQuantized(node: { quant: unknown; dtype: Dtype }): boolean {
  return node.quant !== null && QUANTIZED.has(node.dtype);
}
