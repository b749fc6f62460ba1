/** Small models of the patterns that are folded and fused. */

import { expect } from "bun:test";
import {
  ActivationFunctionType,
  type BuiltinOptions,
  type Model,
  operatorTexts,
  Padding,
} from "../../src/model/index.ts";
import { type GraphBuilder, model } from "../helpers/models.ts";
import { largestDifference, numbers, opened, prepared } from "./support.ts";

/**
 * Both models round every step in float32; sums of up to 100 terms in another order differ by less than 100 · 2⁻²⁴ of the sum of the
 * terms' sizes, which is not much above the largest result here.
 */
const WITHIN = 1e-5;

export const { NONE, RELU, RELU6, TANH } = ActivationFunctionType;
export const SAME = Padding.SAME;
type Fused = ActivationFunctionType;

export const conv = (fused: Fused = NONE): BuiltinOptions => ({
  type: "Conv2DOptions",
  value: { padding: SAME, strideW: 1, strideH: 1, fusedActivationFunction: fused },
});
export const depthwise: BuiltinOptions = {
  type: "DepthwiseConv2DOptions",
  value: { padding: SAME, strideW: 1, strideH: 1, depthMultiplier: 1 },
};
export const full: BuiltinOptions = { type: "FullyConnectedOptions", value: {} };
export const transposed: BuiltinOptions = {
  type: "TransposeConvOptions",
  value: { padding: SAME, strideW: 2, strideH: 2 },
};
export const mul = (fused: Fused = NONE): BuiltinOptions => ({
  type: "MulOptions",
  value: { fusedActivationFunction: fused },
});
export const add = (fused: Fused = NONE): BuiltinOptions => ({
  type: "AddOptions",
  value: { fusedActivationFunction: fused },
});
export const sub: BuiltinOptions = { type: "SubOptions", value: {} };
export const div: BuiltinOptions = { type: "DivOptions", value: {} };

/** x [1,4,4,2] and what a 1×1…3×3 CONV_2D to 3 channels needs; tensors a, b, c of the result's shape. */
export function around(fill: (graph: GraphBuilder) => void, outputs = ["y"]): Model {
  return model(["x"], outputs, (graph) => {
    graph.tensor("x", [1, 4, 4, 2]).constant("w", [3, 3, 3, 2], numbers(54)).constant("bias", [3], numbers(3, 7));
    graph.constant("m", [3], Float32Array.of(0.5, -1.25, 3)).constant("s", [1, 1, 1, 3], numbers(3, 9));
    for (const name of ["a", "b", "c", "y"]) graph.tensor(name, [1, 4, 4, 3]);
    fill(graph);
  });
}

/** Builds, prepares, compares numbers; gives the operators and what was said. */
export async function check(of: Model, off: readonly string[] = []) {
  const got = await prepared(await opened(of), off);
  const worst = await largestDifference(got);
  expect(worst).toBeLessThan(WITHIN);
  return { ...got, operators: operatorTexts(got.after), worst };
}
