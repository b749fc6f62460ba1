/**
 * Integer inputs and outputs of a fake-quantized model, for those who feed and read the quantized one's own integers:
 *
 *     x: FLOAT32 ─▶ Quantize ─▶ Dequantize ─▶ …      →   x: UINT8 ─▶ Dequantize ─▶ …
 *     … ─▶ Quantize ─▶ Dequantize ─▶ y: FLOAT32       →   … ─▶ Quantize ─▶ Dequantize ─▶ Quantize ─▶ y: UINT8
 *
 * Quantizing what was just dequantized gives the same integers again.
 */
import { addQuantize } from "../graph/edit.ts";
import { type Dtype, type Graph, type Node, replace, setInput } from "../graph/graph.ts";
import type { QuantParam } from "../graph/quantparam.ts";
import type { Rounding } from "../passes/transform/fake-quantize-model.ts";

interface Declared {
  readonly dtype: Dtype;
  readonly quant: QuantParam | null;
}

export interface IntegerIo {
  readonly inputs: readonly Declared[];
  readonly outputs: readonly Declared[];
}

/** To be asked before the graph is fake-quantized. */
export function integerIoOf(graph: Graph): IntegerIo {
  const declared = ({ dtype, quant }: Declared) => ({ dtype, quant });
  return { inputs: graph.inputs.map(declared), outputs: graph.outputs.map(declared) };
}

/** Gives a fake-quantized graph its integer inputs and outputs back. */
export function restoreIntegerIo(
  graph: Graph,
  { inputs, outputs }: IntegerIo,
  roundings: ReadonlyMap<Node, Rounding>,
): void {
  const quantizeOf = new Map([...roundings.values()].map(({ of, quantize }) => [of, quantize]));
  graph.inputs.forEach((input, i) => {
    const { dtype, quant } = inputs[i]!;
    if (input.dtype === dtype) return;
    const quantize = quantizeOf.get(input);
    if (quantize) replace(quantize, input);
    input.dtype = dtype;
    input.quant = quant;
    graph.inputDtypes[i] = dtype;
  });
  graph.outputs.forEach((output, i) => {
    const { dtype, quant } = outputs[i]!;
    if (output.dtype === dtype) return;
    setInput(output, 0, addQuantize(graph, output.inputs[0]!, dtype, quant));
    output.dtype = dtype;
    output.quant = quant;
    graph.outputDtypes[i] = dtype;
  });
}
