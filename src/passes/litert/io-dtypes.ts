/**
 * dtypes of a model's inputs and outputs in LiteRT's schemes. They keep their names, by which callers find them.
 *
 *     input x: INT8, float32 asked for   →   x: FLOAT32 ─▶ Quantize: INT8 ─▶ …
 *     input x: INT8, uint8 asked for     →   x: UINT8 (zero point + 128) ─▶ Quantize: INT8 ─▶ …   exact
 *     … ─▶ y: INT8, float32 asked for    →   … ─▶ y_quantized: INT8 ─▶ Dequantize y: FLOAT32
 *     … ─▶ y: INT16 (a layer of its own scheme) ─▶ Quantize: INT8, float32 asked for   →   … ─▶ y_quantized: INT16 ─▶ Dequantize y: FLOAT32
 */
import { MinmaxqError } from "../../base/errors.ts";
import { addDequantize, addQuantize } from "../../graph/edit.ts";
import { type Dtype, describe, type Graph, type Node, setInput } from "../../graph/graph.ts";
import { hasRange, perTensor, type QuantParam, quantParam } from "../../graph/quantparam.ts";
import { type ActivationQuantizer, activationOf, parametersOfRange } from "../../rules/schemes.ts";
import { type Context, quantizerOf } from "../context.ts";

/** Gives inputs the dtypes that are wanted, one each. */
export function giveInputDtypes(graph: Graph, context: Context, wanted: readonly Dtype[]): void {
  graph.inputs.forEach((input, i) => {
    const dtype = wanted[i]!;
    const quantizer = quantizerOf(context, input);
    if (input.dtype === dtype || !quantizer || !input.quant) return;
    const to = quantizerOf(context, { dtype });
    const readers = [...input.users].filter((user) => !(dtype === "FLOAT32" && user.float));
    if (readers.length > 0) {
      const quantize = addQuantize(graph, input, input.dtype, input.quant);
      for (const reader of readers)
        reader.inputs.forEach((operand, index) => {
          if (operand === input) setInput(reader, index, quantize);
        });
    }
    input.quant = to ? inOther(input, quantizer, to) : rangeOnly(input.quant);
    input.dtype = dtype;
    graph.inputDtypes[i] = dtype;
  });
}

/** Gives outputs the dtypes that are wanted, one each; only the output is pointed elsewhere, other readers keep the tensor. */
export function giveOutputDtypes(graph: Graph, context: Context, wanted: readonly Dtype[]): void {
  graph.outputs.forEach((output, i) => {
    const dtype = wanted[i]!;
    if (output.dtype === dtype || output.dtype === "BOOL" || !output.inputs[0]!.quant) return;
    let producer = beforeBorder(output.inputs[0]!);
    const to = quantizerOf(context, { dtype });
    for (const between of to && producer.dtype !== dtype ? wayFrom(producer, to, context) : []) {
      const step = quantizerOf(context, { dtype: between })!;
      producer = addQuantize(graph, producer, between, inOther(producer, quantizerOf(context, producer)!, step));
    }
    if (!to) producer = addDequantize(graph, producer);
    setInput(output, 0, producer);
    output.quant = producer.quant;
    output.dtype = dtype;
    graph.outputDtypes[i] = dtype;
  });
}

/** What a border of ours rounds to the model's dtype: an output of another dtype has no use for that. */
function beforeBorder(node: Node): Node {
  const source = node.inputs[0];
  return node.kind === "operator" && node.op === "QUANTIZE" && node.operator === null && source?.quant?.scale.length
    ? source
    : node;
}

/**
 * Outputs keep their names, whatever operator of ours yields them now: what yielded one before has another name. An input keeps its own.
 *
 *     y: INT16 ─▶ Quantize y_Quantize: INT8 (output)   →   y_quantized: INT16 ─▶ Quantize y: INT8
 */
export function keepOutputNames(graph: Graph, { layers }: Context): void {
  for (const output of graph.outputs) {
    const { name } = output;
    const yields = output.inputs[0]!;
    let before: Node | null | undefined = yields;
    while (before && before.name !== name && before.operator === null) before = before.inputs[0];
    if (!before || before === yields || before.kind === "input" || before.name !== name) continue;
    before.name = `${name}_quantized`;
    // An operator with several results is called like its first one.
    const operator = before.kind === "result" ? before.inputs[0] : null;
    if (operator?.name === name) operator.name = before.name;
    yields.name = name;
    // Settings of layers are found by name.
    const setting = layers.get(name);
    if (!setting) continue;
    layers.set(before.name, setting);
    layers.delete(name);
  }
}

/** dtypes on the way: there is no kernel from 16 bits to 8 asymmetric ones that count from 0, so it leads through INT8. */
function wayFrom({ dtype }: Node, to: ActivationQuantizer, { options }: Context): Dtype[] {
  const { family } = options.scheme;
  const from = activationOf(family, dtype);
  const direct = !from || from.bits <= to.bits || to.low < 0;
  return direct ? [to.dtype] : ["INT8", to.dtype];
}

/** A tensor's parameters in another quantizer: moved where both have as many integers, else of its range. */
function inOther(node: Node, from: ActivationQuantizer, to: ActivationQuantizer): QuantParam {
  const quant = node.quant!;
  const { min, max } = quant;
  const provenance = { from: "range", of: node.name } as const;
  if (from.bits === to.bits && from.symmetric === to.symmetric) {
    const zeroPoint = Number(quant.zeroPoint[0]) + to.low - from.low;
    return perTensor(quant.scale[0]!, zeroPoint, provenance, { min, max });
  }
  if (!hasRange(quant))
    throw new MinmaxqError(
      `${describe(node)}: has no recorded range, so it cannot become ${to.dtype}; record it first`,
    );
  const { scale, zeroPoint } = parametersOfRange(to, min[0]!, max[0]!);
  return perTensor(scale, zeroPoint, provenance, { min, max });
}

function rangeOnly({ min, max, provenance }: QuantParam): QuantParam {
  return quantParam({ min, max, provenance });
}
