/**
 * TABLE OF CONTENTS of quantization for LiteRT's kernels. They copy integers where ONE's rules give the result a range of its own, so
 * parameters are found for whole classes of tensors at once instead of being handed from neighbour to neighbour.
 */
import type { Graph } from "../../graph/graph.ts";
import type { Context } from "../context.ts";
import { inferDtypes } from "../infer-dtypes.ts";
import { checkBefore } from "../minmax/check-before.ts";
import { dropRanges } from "../minmax/drop-ranges.ts";
import { insertQuantize } from "../minmax/insert-quantize.ts";
import { canonicalDtypes, updateOutputDtypes } from "../minmax/io-dtypes.ts";
import { quantizeActivations } from "../minmax/quantize-activations.ts";
import { quantizeBias } from "../minmax/quantize-bias.ts";
import { quantizeWeights } from "../minmax/quantize-weights.ts";
import { removeRedundantQuantize } from "../minmax/remove-redundant-quantize.ts";
import { type PassStep, runPasses } from "../steps.ts";
import { quantizeConstantsFor } from "./constants.ts";
import { keepDomains } from "./domains.ts";
import { fixParameters } from "./fixed.ts";
import { giveInputDtypes, giveOutputDtypes, keepOutputNames } from "./io-dtypes.ts";
import { tieParameters } from "./ties.ts";
import { quantizeFirstValues } from "./variables.ts";

function steps(graph: Graph, { options }: Context): PassStep[] {
  const inputs = canonicalDtypes("input", graph.inputs, options.inputDtypes, options.scheme);
  const outputs = canonicalDtypes("output", graph.outputs, options.outputDtypes, options.scheme);
  return [
    { name: "check", run: checkBefore, why: "weights and biases must be constants" },
    { name: "quantize activations", run: quantizeActivations, why: "everything else derives from activation ranges" },
    { name: "fix parameters", run: fixParameters, why: "functions with parameters of their own pin their classes" },
    { name: "insert Quantize", run: insertQuantize, why: "layers with a scheme of their own are no part of a class" },
    { name: "remove redundant Quantize", run: removeRedundantQuantize, repeat: true, why: "neighbours of equal dtype" },
    { name: "tie parameters", run: tieParameters, why: "kernels copy integers: one scale for all that they copy" },
    { name: "keep domains", run: keepDomains, why: "a class may reach below what an operator can take" },
    { name: "quantize constants", run: quantizeConstantsFor, why: "needs the parameters of their classes" },
    { name: "quantize first values", run: quantizeFirstValues, why: "of variables, in the subgraphs that give them" },
    { name: "quantize weights", run: quantizeWeights, why: "after activations, before biases that need both scales" },
    { name: "quantize bias", run: quantizeBias, why: "needs input and weight scales" },
    { name: "output dtypes", run: updateOutputDtypes, why: "declares what the producers have become" },
    {
      name: "remove redundant Quantize",
      run: removeRedundantQuantize,
      repeat: true,
      why: "those that classes made needless",
    },
    {
      name: "set input dtypes",
      run: (g, c) => giveInputDtypes(g, c, inputs),
      why: "needs ranges, so before they are dropped",
    },
    {
      name: "set output dtypes",
      run: (g, c) => giveOutputDtypes(g, c, outputs),
      why: "needs ranges, so before they are dropped",
    },
    { name: "keep output names", run: keepOutputNames, why: "when nothing is put behind them any more" },
    { name: "drop ranges", run: dropRanges, why: "nothing needs them any more" },
    {
      name: "infer dtypes",
      run: (g, c) => inferDtypes(g, c.graphs),
      why: "tensors without a range follow their operands",
    },
  ];
}

/** Quantizes one graph in place for LiteRT's kernels. */
export function quantizeForLitert(graph: Graph, context: Context): void {
  runPasses(steps(graph, context), graph, context);
}
