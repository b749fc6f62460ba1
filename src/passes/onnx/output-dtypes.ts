/**
 * ONNX phase 8: outputs are declared with the dtype of what yields them; then dtypes are inferred, and what does not fit is told.
 *
 *     y: UINT8 (output, declared FLOAT32)   →   output y declared UINT8
 *     ADD (x: UINT8, …): INT16 (s, 0)       →   inferred UINT8 as x is, but s was meant for INT16: an error at an output
 */
import { Problems } from "../../base/errors.ts";
import { activeNodes, type Dtype, describe, type Graph, type Node } from "../../graph/graph.ts";
import { type Context, quantizerOf, warn } from "../context.ts";
import { inferDtypes } from "../infer-dtypes.ts";

export function declareOutputs(graph: Graph): void {
  graph.outputs.forEach((output, i) => {
    graph.outputDtypes[i] = output.dtype = output.inputs[0]!.dtype;
  });
}

/**
 * Lets dtypes follow. The reference gives an operator its operand's dtype even where the operator has parameters for another one,
 * or none at all: at an output it refuses the model, elsewhere it writes it. Ours does the same with words.
 */
export function inferAndCheck(graph: Graph, context: Context): void {
  const before = new Map<Node, Dtype>(activeNodes(graph).map((node) => [node, node.dtype]));
  inferDtypes(graph, context.graphs);
  const exposed = new Set(graph.outputs.map((output) => output.inputs[0]!));
  const problems = new Problems();
  for (const [node, dtype] of before) {
    if (node.dtype === dtype || (node.kind !== "operator" && node.kind !== "result")) continue;
    const why = node.quant
      ? `has parameters for ${dtype}, but its operands make it ${node.dtype}; give operands and result the same dtype`
      : `becomes ${node.dtype} without any scale; put a pair of QuantizeLinear and DequantizeLinear behind it`;
    if (exposed.has(node)) problems.add(`output ${describe(node)}: ${why}`);
    else if (quantizerOf(context, node))
      warn(context, node, "parameters-for-other-dtype", `${why}. Its values will be wrong`);
  }
  problems.throwIfAny("outputs without usable parameters");
}
