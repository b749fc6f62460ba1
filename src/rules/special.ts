/**
 * Activations whose parameters follow from the function itself (§3.8): logistic, tanh and softmax have a fixed range,
 * floor and its kin an integer scale.
 */
import type { QuantizedDtype } from "./schemes.ts";

export type SpecialKind = "logistic" | "tanh" | "softmax" | "integer";
export type PredefinedKind = Exclude<SpecialKind, "integer">;

const f32 = Math.fround;

/** Scale and zero point; the divisions are f32. */
export const PREDEFINED: Record<PredefinedKind, Record<QuantizedDtype, readonly [scale: number, zeroPoint: number]>> = {
  logistic: { UINT8: [1 / 256, 0], INT16: [1 / 32768, 0] },
  tanh: { UINT8: [2 / 256, 128], INT16: [1 / 32768, 0] },
  softmax: { UINT8: [f32(1 / 255), 0], INT16: [f32(1 / 32767), 0] },
};
