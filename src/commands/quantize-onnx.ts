/** `minmaxq quantize-onnx`: a model that was fake-quantized in ONNX becomes a quantized one (reference §5.7). */

import { FileError } from "../base/errors.ts";
import { counted } from "../base/text.ts";
import { activeNodes } from "../graph/graph.ts";
import { ONNX_OPTIONS, quantizeOnnx as run } from "../passes/onnx/index.ts";
import { isQuantized } from "../rules/dtypes.ts";
import { transformCommand } from "./transform.ts";

export const quantizeOnnx = transformCommand({
  name: "quantize-onnx",
  summary: "quantize a model with ONNX QuantizeLinear and DequantizeLinear in it",
  options: [],
  examples: ["minmaxq quantize-onnx model.circle -o model.q.circle"],
  settings: () => ONNX_OPTIONS,
  change({ opened, graphs, context }) {
    const pairs = graphs.flatMap((graph) => graph.nodes).filter((node) => node.customCode.startsWith("ONNX"));
    if (pairs.length === 0)
      throw new FileError(
        opened.source.name,
        "has no ONNXQuantizeLinear or ONNXDequantizeLinear; use 'minmaxq quantize' for float models",
      );
    for (const graph of graphs) run(graph, context);
    const quantized = graphs.flatMap(activeNodes).filter((node) => node.kind !== "output" && isQuantized(node));
    return `${counted(pairs.length, "custom operator")} folded, ${counted(quantized.length, "tensor")} quantized`;
  },
});
