/**
 * Phase 9: biases get the scale of the accumulator, input scale × weight scale (§3.6).
 *
 *     bias FLOAT32 [O]   →   INT32 (INT64 with int16 activations), scale[o] = input scale × filter scale[o], zero point 0
 *
 * Only decides: the weights' scales are known once the weights are streamed, and biases follow them.
 */
import { MinmaxqError } from "../../base/errors.ts";
import { ownConstant } from "../../graph/edit.ts";
import { activeNodes, describe, type Graph, isConstant, type Node } from "../../graph/graph.ts";
import { quantParam } from "../../graph/quantparam.ts";
import { bytesPerElement, TensorType } from "../../model/index.ts";
import { isQuantized } from "../../rules/dtypes.ts";
import { operandsWith } from "../../rules/operators.ts";
import { encoded } from "../../weights/constant.ts";
import { type Context, granularityOf, isQuantizedIn, remark, schemeOf, warn } from "../context.ts";
import { floatConstant, quantizeByOwnValues } from "./own-values.ts";

export function quantizeBias(graph: Graph, context: Context): void {
  for (const node of activeNodes(graph)) {
    if (node.kind !== "operator" || node.float) continue;
    const row = node.row;
    const at = (role: "activation" | "weights" | "bias") => operandsWith(row, row.in.length, role)[0];
    const biasAt = at("bias");
    if (biasAt === undefined) continue;
    const inputAt = at("activation")!;
    const weights = node.inputs[at("weights")!];
    let input = node.inputs[inputAt];
    const bias = node.inputs[biasAt];
    if (!input || !weights) continue;
    // A constant input is quantized here; the reference forgets it where there is no bias (§3.6).
    if (isConstant(input) && !isQuantizedIn(context, input)) {
      // In place in the reference, also where other operators read it.
      if (!context.likeReference) input = ownConstant(graph, node, inputAt);
      quantizeByOwnValues(context, input, schemeOf(context, node).activation);
    }
    if (!isConstant(bias) || isQuantized(bias) || bias.dtype !== "FLOAT32") continue;
    if (!input.quant?.scale.length || !weights.quant) continue;
    quantizeOne(context, node, ownConstant(graph, node, biasAt), input, weights);
  }
}

/** Below 2⁻³² kernels take input scale × weight scale / result scale for 0 (QuantizeMultiplier), and the bias with it. */
const LEAST_MULTIPLIER = 2 ** -31;

function quantizeOne(context: Context, node: Node, bias: Node, input: Node, weights: Node): void {
  const perChannel = granularityOf(context, node) === "channel";
  const values = floatConstant(bias);
  const last = bias.shape[bias.shape.length - 1];
  if (perChannel && last !== values.count)
    throw new MinmaxqError(
      `${describe(node)}: bias "${bias.name}" has shape [${bias.shape}]; per channel it should be [1,…,1,channels]`,
    );
  const channels = perChannel ? values.count : 1;
  if (perChannel && weights.quant!.scale.length !== channels)
    throw new MinmaxqError(
      `${describe(node)}: bias "${bias.name}" has ${channels} values, the weights "${weights.name}" ${weights.quant!.scale.length} channels`,
    );
  const { bias: dtypes, biasLimit } = schemeOf(context, node);
  const dtype = dtypes[granularityOf(context, node)];
  const quant = quantParam({
    scale: new Float32Array(channels),
    zeroPoint: new BigInt64Array(channels),
    axis: perChannel ? bias.shape.length - 1 : 0,
    provenance: { from: "input × weights", input: input.name, weights: weights.name },
  });
  bias.constant = encoded(values, {
    rule: "bias",
    wide: bytesPerElement(TensorType[dtype]) === 8,
    inputScale: input.quant!.scale[0]!,
    weights: weights.quant!,
    quant,
    ...(biasLimit !== undefined &&
      weights.constant && {
        raise: {
          weights: weights.constant,
          limit: biasLimit,
          least: (LEAST_MULTIPLIER * (node.quant?.scale[0] ?? 0)) / input.quant!.scale[0]!,
          onRaise: (count) => noteRaised(context, node, bias, count),
        },
      }),
    onOverflow: (count) =>
      warn(
        context,
        node,
        "bias-overflow",
        `${count} of ${values.count} values of bias "${bias.name}" do not fit ${dtype} and are set to its limit; the weights' or the input's range is too small for them`,
        { values: count, of: values.count },
      ),
  });
  bias.quant = quant;
  bias.dtype = dtype;
}

function noteRaised(context: Context, node: Node, bias: Node, channels: number): void {
  remark(
    context,
    node,
    "weights-raised",
    `${channels} of ${bias.constant!.count} channels of its weights get a larger scale, so that their values of bias "${bias.name}" fit`,
    { channels, of: bias.constant!.count },
  );
}
