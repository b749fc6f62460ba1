/**
 * TABLE OF CONTENTS of the ONNX flow (§5.7): models that were fake-quantized in ONNX, whose QuantizeLinear and DequantizeLinear came
 * in as custom operators, become quantized models. The phases in their exact order; each is one file beside this one.
 */
import { Problems } from "../../base/errors.ts";
import { activeNodes, type Graph } from "../../graph/graph.ts";
import { SCHEMES } from "../../rules/schemes.ts";
import type { Context, QuantizeOptions } from "../context.ts";
import { propagateBackward } from "../minmax/propagate-backward.ts";
import { quantizeConstants } from "../minmax/quantize-constants.ts";
import { type PassStep, runPasses } from "../steps.ts";
import { describeLeft } from "./custom.ts";
import { foldDequantizedConstants } from "./dequantize-constants.ts";
import { followOperands } from "./follow-operands.ts";
import { mendDtypes } from "./mend-dtypes.ts";
import { declareOutputs, inferAndCheck } from "./output-dtypes.ts";
import { foldPairs } from "./quantize-dequantize.ts";
import { quantizeSpecial } from "./quantize-special.ts";
import { requantizeBetween } from "./requantize-between.ts";

export const PHASES: readonly PassStep[] = [
  { name: "fold pairs", run: foldPairs, why: "says how activations are quantized" },
  {
    name: "fold constants",
    run: foldDequantizedConstants,
    why: "after the pairs: what is left has a constant operand",
  },
  { name: "check", run: refuseLeft, why: "later phases would meet custom operators and blame those" },
  { name: "quantize constants", run: quantizeConstants, why: "constants without a pair, INT16 by their own values" },
  { name: "follow operands", run: followOperands, repeat: true, why: "needs the parameters of everything before" },
  {
    name: "propagate backward",
    run: propagateBackward,
    why: "before special kinds, which overwrite what it gave them",
  },
  { name: "quantize special", run: quantizeSpecial, why: "functions with a range of their own" },
  { name: "requantize between", run: requantizeBetween, why: "needs the final parameters on both sides" },
  { name: "mend dtypes", run: mendDtypes, why: "where the rules before know no way; ours alone" },
  { name: "output dtypes", run: declareOutputs, why: "declares what the producers have become" },
  { name: "infer dtypes", run: inferAndCheck, why: "tensors without parameters follow their operands" },
];

/** Constants without parameters of their own become INT16 (§5.7.3). */
export const ONNX_OPTIONS: QuantizeOptions = { scheme: SCHEMES.int16, granularity: "channel" };

/** Turns one graph in place. */
export function quantizeOnnx(graph: Graph, context: Context): void {
  // Layer settings belong to other modes.
  const own: Context = { ...context, options: ONNX_OPTIONS, layers: new Map() };
  runPasses(PHASES, graph, own);
}

function refuseLeft(graph: Graph): void {
  const problems = new Problems();
  for (const line of describeLeft(activeNodes(graph))) problems.add(line);
  problems.throwIfAny("QuantizeLinear and DequantizeLinear that no rule covers");
}
