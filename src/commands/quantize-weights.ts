/** `minmaxq quantize-weights`: weights only, activations stay float (reference §5.4). */

import { FileError, UsageError } from "../base/errors.ts";
import { counted } from "../base/text.ts";
import { activeNodes } from "../graph/graph.ts";
import { METHOD_OPTIONS, RECORDING_OPTIONS, REDUCTION_OPTIONS, usesSamples } from "../options/lists.ts";
import { checkTargetWeights } from "../passes/target/settings.ts";
import { quantizeWeightsOnly, weightsOnlyLayout } from "../passes/transform/quantize-weights-only.ts";
import { DEFAULT_SCHEME } from "../rules/schemes.ts";
import { targetNamed } from "../rules/targets.ts";
import { transformCommand } from "./transform.ts";

export const quantizeWeights = transformCommand({
  name: "quantize-weights",
  summary: "quantize weights only, per channel; activations stay float",
  options: [
    "weightDtype",
    "target",
    "customOperators",
    ...RECORDING_OPTIONS.filter((name) => !REDUCTION_OPTIONS.includes(name)),
    ...METHOD_OPTIONS.filter((name) => name !== "rangeMargin"),
  ],
  examples: [
    "minmaxq quantize-weights model.tflite --weight-dtype int8 -o model.w8.circle",
    "minmaxq quantize-weights model.tflite --target onert -o model.w8.circle",
    "minmaxq quantize-weights model.circle --weight-dtype int4 -o model.w4.circle",
    "minmaxq quantize-weights model.circle --weight-dtype int4 --data samples.npz --accuracy best -o model.w4.circle",
  ],
  settings: ({ target, customOperators }) => ({ ...DEFAULT_SCHEME, target: targetNamed(target, customOperators) }),
  quantizerOf: (options) => {
    if (options.data !== undefined && !usesSamples(options))
      throw new UsageError(
        "--data: weights alone need no samples, but for --accuracy good or best; add that or leave it out",
      );
    return ({ node, weightsAt }, context) => {
      const cut = weightsOnlyLayout(context, node, weightsAt);
      return cut && { ...cut, quantizer: options.weightDtype };
    };
  },
  change(space, { weightDtype, target }) {
    checkTargetWeights(targetNamed(target), weightDtype);
    for (const graph of space.graphs) quantizeWeightsOnly(graph, space.context, weightDtype);
    const weights = space.graphs.flatMap(activeNodes).filter((node) => node.constant?.kind === "encoded");
    if (weights.length === 0)
      throw new FileError(space.opened.source.name, "has no float weights to quantize; give the float model");
    return `${counted(weights.length, "weight tensor")} quantized to ${weightDtype.dtype.toLowerCase()}`;
  },
});
