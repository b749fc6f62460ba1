/** What is done for accuracy beside what the scheme's rules say: nothing, unless it is asked for. */
import { namesOf } from "../base/text.ts";

export interface AccuracySettings {
  /** Biases take back what rounded weights add on average (bias.ts). */
  readonly biasCorrection: boolean;
  /** How weights are rounded: to the nearest, or by least squares (rounding.ts). */
  readonly rounding: "nearest" | "gptq";
  /** Scales of weights may be smaller than the largest value wants, where that loses less. */
  readonly smallerScales: boolean;
  /** Biases are corrected once more by what the quantized model computes, layer after layer. */
  readonly sequential: boolean;
  /** Channels are evened out between operators before anything is measured. */
  readonly equalize: boolean;
  /** Each step is tried on samples that did not set the ranges, and undone where it does not help. */
  readonly accept: boolean;
  /** Factor of recorded ranges; absent: `margin16` where activations have 16 bits, and 1 elsewhere. */
  readonly margin?: number;
  readonly margin16: number;
}

const COMPAT: AccuracySettings = {
  biasCorrection: false,
  rounding: "nearest",
  smallerScales: false,
  sequential: false,
  equalize: false,
  accept: false,
  margin16: 1,
};

/** A bit of sixteen is little, and values beyond the recorded range cost far more (measured: 5 to 40 dB on other pictures). */
const MARGIN16 = 2;

/** `--accuracy`: what each level does. */
export const ACCURACY_LEVELS = {
  compat: COMPAT,
  good: { ...COMPAT, biasCorrection: true, margin16: MARGIN16 },
  best: {
    ...COMPAT,
    biasCorrection: true,
    rounding: "gptq",
    smallerScales: true,
    sequential: true,
    equalize: true,
    accept: true,
    margin16: MARGIN16,
  },
} as const satisfies Record<string, AccuracySettings>;

export type AccuracyLevel = keyof typeof ACCURACY_LEVELS;

/** Their names, as `--accuracy` takes them. */
export const ACCURACY_NAMES = namesOf(ACCURACY_LEVELS);

/** Factor of recorded ranges of activations of so many bits. */
export function marginOf({ margin, margin16 }: AccuracySettings, bits: number): number {
  return margin ?? (bits === 16 ? margin16 : 1);
}

/** What is left of settings when all steps are undone: what a person asked for in numbers. */
export function undoneSettings({ margin }: AccuracySettings): AccuracySettings {
  return { ...COMPAT, ...(margin !== undefined && { margin }) };
}

/** Whether anything has to be known of what layers read. */
export function needsMoments({ biasCorrection, rounding, smallerScales, sequential }: AccuracySettings): boolean {
  return biasCorrection || rounding !== "nearest" || smallerScales || sequential;
}

/** Whether weights themselves are chosen otherwise. */
export function changesWeights({ rounding, smallerScales }: AccuracySettings): boolean {
  return rounding !== "nearest" || smallerScales;
}
