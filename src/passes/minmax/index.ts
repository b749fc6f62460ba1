/**
 * TABLE OF CONTENTS of min/max quantization: the phases in their exact order (reference §2.2).
 *
 * Each is one file in src/passes; the reason says why it stands where it stands.
 */
import type { Dtype, Graph } from "../../graph/graph.ts";
import type { Context } from "../context.ts";
import { inferDtypes } from "../infer-dtypes.ts";
import { type PassStep, runPasses } from "../steps.ts";
import { checkBefore } from "./check-before.ts";
import { dropRanges } from "./drop-ranges.ts";
import { insertQuantize } from "./insert-quantize.ts";
import { canonicalDtypes, setInputDtypes, setOutputDtypes, updateOutputDtypes } from "./io-dtypes.ts";
import { propagateBackward } from "./propagate-backward.ts";
import { propagateForward } from "./propagate-forward.ts";
import { quantizeActivations } from "./quantize-activations.ts";
import { quantizeBias } from "./quantize-bias.ts";
import { quantizeConstants } from "./quantize-constants.ts";
import { quantizeSpecial } from "./quantize-special.ts";
import { quantizeWeights } from "./quantize-weights.ts";
import { removeRedundantQuantize } from "./remove-redundant-quantize.ts";

/** The steps for one graph; requested dtypes of inputs and outputs are resolved before any node changes. */
export function steps(graph: Graph, { options }: Context): PassStep[] {
  const inputs: Dtype[] = canonicalDtypes("input", graph.inputs, options.inputDtypes, options.scheme);
  const outputs: Dtype[] = canonicalDtypes("output", graph.outputs, options.outputDtypes, options.scheme);
  return [
    { name: "check", run: checkBefore, why: "weights and biases must be constants" },
    { name: "quantize activations", run: quantizeActivations, why: "everything else derives from activation ranges" },
    { name: "insert Quantize", run: insertQuantize, why: "layers with a dtype of their own, before parameters move" },
    { name: "remove redundant Quantize", run: removeRedundantQuantize, repeat: true, why: "neighbours of equal dtype" },
    {
      name: "propagate backward",
      run: propagateBackward,
      why: "before special kinds, which overwrite what it gave them",
    },
    { name: "quantize constants", run: quantizeConstants, why: "constants that no neighbour's parameters reached" },
    { name: "quantize special", run: quantizeSpecial, why: "functions with a range of their own" },
    {
      name: "propagate forward",
      run: propagateForward,
      repeat: true,
      why: "needs the final parameters of the sources",
    },
    {
      name: "quantize weights",
      run: quantizeWeights,
      why: "after activations, before the biases that need both scales",
    },
    { name: "quantize bias", run: quantizeBias, why: "needs input and weight scales" },
    { name: "output dtypes", run: updateOutputDtypes, why: "declares what the producers have become" },
    {
      name: "set input dtypes",
      run: (g, c) => setInputDtypes(g, c, inputs),
      why: "needs ranges, so before they are dropped",
    },
    {
      name: "set output dtypes",
      run: (g, c) => setOutputDtypes(g, c, outputs),
      why: "needs ranges, so before they are dropped",
    },
    {
      name: "remove redundant Quantize",
      run: removeRedundantQuantize,
      repeat: true,
      why: "those the dtypes above brought",
    },
    { name: "drop ranges", run: dropRanges, why: "nothing needs them any more" },
    {
      name: "infer dtypes",
      run: (g, c) => inferDtypes(g, c.graphs),
      why: "tensors without a range follow their operands",
    },
  ];
}

/** Quantizes one graph in place. */
export function quantizeGraph(graph: Graph, context: Context): void {
  runPasses(steps(graph, context), graph, context);
}
