/** What was done to the values of a constant beside giving it a scale, so that the quantized model computes more of what the float model does. */
import { firstOf } from "../base/text.ts";

/** One thing that was done. Members may be added, but what is there keeps its name and meaning: the Report has them. */
export type ValueChange =
  /** A bias moved by what rounded weights add to the result on average; `most`: the largest such move. */
  | { readonly by: "bias correction"; readonly how: "input mean" | "measured"; readonly most: number }
  /** Weights rounded by least squares; the mean squared error that their rounding makes in the layer's result, to the nearest and now. */
  | { readonly by: "rounding"; readonly before: number; readonly after: number }
  /** Scales below those of the largest values, because that loses less: how many of all, and the smallest share. */
  | { readonly by: "smaller scales"; readonly channels: number; readonly of: number; readonly least: number }
  /** Channels multiplied by factors that other operators take back. */
  | { readonly by: "equalization"; readonly with: readonly string[]; readonly least: number; readonly most: number };

const short = (value: number) => Number(value.toPrecision(3)).toString();

/** It as one phrase. */
export function changeText(change: ValueChange): string {
  switch (change.by) {
    case "bias correction":
      return `bias corrected by up to ${short(change.most)}: ${change.how}`;
    case "rounding":
      return `rounded by GPTQ: layer error ${short(change.before)} → ${short(change.after)}`;
    case "smaller scales":
      return `smaller scales for ${change.channels} of ${change.of} channels: down to ${short(change.least)} of those of the largest value`;
    case "equalization":
      return `equalized ×${short(change.least)} to ×${short(change.most)} with ${firstOf(change.with)}`;
  }
}
