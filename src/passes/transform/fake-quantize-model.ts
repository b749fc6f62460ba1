/**
 * A quantized model as a float model with the same rounding (§5.6): every quantized activation gets Quantize and Dequantize
 * behind it, quantized constants become the float values that they stand for.
 *
 *     x: U8 ─▶ [conv: U8] ─▶ y   →   x ─▶ Q ─▶ DQ ─▶ [conv: FLOAT32] ─▶ Q ─▶ DQ ─▶ y
 *
 * The reference refuses operators without a rule; `everyOperator` treats them like those with one, so that no quantized
 * model is refused (for comparing). It also takes int8 activations, which TFLite's own quantizer makes, gives a quantized
 * CAST a float result with the same rounding, where the reference leaves integers to operators that are float by then, and rounds
 * what only moves values (CONCATENATION, SLICE …) wherever the result has other parameters than an operand:
 *
 *     a: scale 1, b: scale 0.01 ─▶ CONCATENATION: scale 1   →   … ─▶ [CONCATENATION: FLOAT32] ─▶ Q ─▶ DQ, b's values lose their fractions
 *
 * The reference leaves them as they are, so its fake-quantized model is more accurate than the quantized one.
 */
import { Problems } from "../../base/errors.ts";
import { addDequantize, addQuantize, insertAfter } from "../../graph/edit.ts";
import {
  activeNodes,
  addNode,
  describe,
  type Graph,
  isConstant,
  type Node,
  replace,
  resultsOf,
  setInput,
} from "../../graph/graph.ts";
import { quantParam, sameScaleAndZeroPoint } from "../../graph/quantparam.ts";
import { isActivationDtype, isDequantizable } from "../../rules/dtypes.ts";
import { readAs } from "../../rules/hybrid.ts";
import { type OperatorRow, operandsWith } from "../../rules/operators.ts";
import { activationOf } from "../../rules/schemes.ts";
import type { Target } from "../../rules/targets.ts";
import { type Constant, channelsAlong, wholeTensor } from "../../weights/constant.ts";
import type { IntegerKind } from "../../weights/kernels.ts";
import { inferDtypes } from "../infer-dtypes.ts";
import { kernelRounding, roundFirst } from "./kernel-rounding.ts";

/** What a Dequantize that was put into a graph shows. */
export interface Rounding {
  /** The tensor whose values it yields, rounded. */
  readonly of: Node;
  /** The Quantize that rounds them: the one before it, which may be the model's own. */
  readonly quantize: Node;
  /** What a kernel does before (kernel-rounding.ts): operators between the tensor and its Quantize. */
  readonly before?: readonly Node[];
}

/**
 * Makes the graph float in place; gives the roundings by their Dequantize. `target`: results are
 * rounded as its kernels do (kernel-rounding.ts).
 */
export function fakeQuantizeModel(
  graph: Graph,
  everyOperator = false,
  target: Target | null = null,
): ReadonlyMap<Node, Rounding> {
  const roundings = new Map<Node, Rounding>();
  const problems = new Problems();
  const isQuantized = everyOperator ? hasScale : isQuantizedActivation;
  if (everyOperator) readWeightsAsLiteRT(graph);
  // Decided before anything becomes float, which ends the parameters that are compared.
  const rescaled = new Set(everyOperator ? activeNodes(graph).flatMap(rescaledResults) : []);
  const first = new Map(target ? activeNodes(graph).map((node) => [node, kernelRounding(node, target)]) : []);
  for (const node of activeNodes(graph)) {
    switch (node.kind) {
      case "constant":
        if (node.dtype !== "FLOAT32" && node.quant) dequantizeAfter(graph, roundings, node);
        break;
      case "output":
        if (isQuantized(node)) becomeFloat(node);
        break;
      case "variable":
        // A state has to reach its operator as it is: what is written there was rounded as a result, or is finer than results are.
        if (everyOperator && node.tensor?.isVariable && isQuantized(node)) becomeFloat(node);
        else if (isQuantized(node)) quantizeAndDequantizeAfter(graph, roundings, node);
        break;
      case "input":
        if (isQuantized(node)) quantizeAndDequantizeAfter(graph, roundings, node);
        break;
      case "operator":
        fakeOperator(graph, roundings, node, everyOperator ? rescaled : null, isQuantized, problems);
    }
  }
  for (const [dequantize, { of, quantize }] of roundings) {
    const rounding = first.get(of);
    if (!rounding || quantize === of) continue;
    const before = roundFirst(graph, of, rounding);
    setInput(quantize, 0, before.at(-1)!);
    roundings.set(dequantize, { of, quantize, before });
  }
  problems.throwIfAny("operators that cannot be fake-quantized");
  // An input without users has nothing to round, but is fed floats like the others.
  if (everyOperator) for (const input of graph.inputs) if (isQuantized(input)) becomeFloat(input);
  graph.inputs.forEach((input, i) => {
    graph.inputDtypes[i] = input.dtype;
  });
  graph.outputs.forEach((output, i) => {
    graph.outputDtypes[i] = output.dtype;
  });
  // What has no rounding of its own (RESHAPE …) becomes float here; a Dequantize behind it does nothing then.
  inferDtypes(graph, []);
  bypassDequantizeOfFloat(graph);
  foldDequantize(graph);
  // Results that followed their operands to float (PACK, UNPACK …) still have parameters, and LiteRT refuses a float PACK that has.
  if (everyOperator)
    for (const node of activeNodes(graph)) if (node.dtype === "FLOAT32" && node.quant?.scale.length) node.quant = null;
  return roundings;
}

/** Weights whose bytes LiteRT's float kernels read as another type are of that type, without a zero point. */
function readWeightsAsLiteRT(graph: Graph): void {
  for (const { op, inputs, dtype, kind } of activeNodes(graph)) {
    if (kind !== "operator") continue;
    for (const weights of inputs) {
      if (!isConstant(weights) || !weights.quant) continue;
      const read = readAs(op, dtype, weights.dtype);
      if (read === weights.dtype) continue;
      weights.quant = quantParam({ ...weights.quant, zeroPoint: weights.quant.zeroPoint.map(() => 0n) });
      weights.dtype = read;
    }
  }
}

function isQuantizedActivation({ dtype, quant }: Node): boolean {
  return quant !== null && activationOf("one", dtype) !== undefined;
}

function hasScale({ dtype, quant }: Node): boolean {
  return quant !== null && quant.scale.length > 0 && isActivationDtype(dtype);
}

/** Results of an operator that only moves values, where a value may have to be rounded to become one of the result's. */
function rescaledResults(node: Node): Node[] {
  if (node.kind !== "operator") return [];
  const row = node.row;
  const sources = operandsWith(row, node.inputs.length, "activation").map((index) => node.inputs[index]);
  const isCopy = (result: Node) =>
    sources.every(
      (source) =>
        source?.quant &&
        result.quant &&
        source.dtype === result.dtype &&
        sameScaleAndZeroPoint(source.quant, result.quant),
    );
  return yieldedBy(node, row).filter((result) => hasScale(result) && !isCopy(result));
}

function yieldedBy(node: Node, row: OperatorRow): Node[] {
  return row.multiple ? resultsOf(node) : [node];
}

/** `rescaled`: results to be rounded though their row says nothing; null does as the reference. */
function fakeOperator(
  graph: Graph,
  roundings: Map<Node, Rounding>,
  node: Node,
  rescaled: ReadonlySet<Node> | null,
  isQuantized: (node: Node) => boolean,
  problems: Problems,
): void {
  const row = node.row;
  const rule = rescaled ? ruleForAny(row) : row.fake;
  const yielded = yieldedBy(node, row);
  if (rule === undefined) {
    problems.add(`${describe(node)}: there is no rule to fake-quantize this kind`);
  } else if (rule === "quantize-dequantize") {
    for (const each of yielded) if (isQuantized(each)) quantizeAndDequantizeAfter(graph, roundings, each);
  } else if (rule === "dequantize") {
    for (const each of yielded) if (isQuantized(each)) dequantizeAfter(graph, roundings, each);
  } else if (rescaled) {
    for (const each of yielded) {
      if (rescaled.has(each)) quantizeAndDequantizeAfter(graph, roundings, each);
      // Parameters on a float tensor mean nothing, and LiteRT refuses PACK and UNPACK for a zero point.
      else if (isQuantized(each)) becomeFloat(each);
    }
  }
}

/** "nothing" relies on the dtype being inferred, which CAST's is not. */
function ruleForAny({ fake, dtype }: OperatorRow): OperatorRow["fake"] {
  return fake === undefined || (fake === "nothing" && dtype === "own") ? "quantize-dequantize" : fake;
}

function becomeFloat(node: Node): void {
  node.dtype = "FLOAT32";
  node.quant = null;
}

function quantizeAndDequantizeAfter(graph: Graph, roundings: Map<Node, Rounding>, node: Node): void {
  const quantize = addQuantize(graph, node, node.dtype, node.quant);
  quantize.name = `${node.name}_FQ_Quantize`;
  const dequantize = addDequantize(graph, quantize);
  dequantize.name = `${quantize.name}_FQ_Dequantize`;
  replace(node, dequantize);
  insertAfter(node, quantize);
  roundings.set(dequantize, { of: node, quantize });
  becomeFloat(node);
}

function dequantizeAfter(graph: Graph, roundings: Map<Node, Rounding>, node: Node): void {
  const dequantize = addDequantize(graph, node);
  dequantize.name = `${node.name}_FQ_Dequantize`;
  insertAfter(node, dequantize);
  if (!isConstant(node)) roundings.set(dequantize, { of: node, quantize: node });
}

/** A Dequantize whose operand has become float does nothing. */
function bypassDequantizeOfFloat(graph: Graph): void {
  for (const node of activeNodes(graph)) {
    const operand = node.inputs[0];
    if (node.op === "DEQUANTIZE" && node.kind === "operator" && operand?.dtype === "FLOAT32") replace(node, operand);
  }
}

/** A Dequantize of a constant becomes the constant of its values. */
export function foldDequantize(graph: Graph): void {
  for (const node of activeNodes(graph)) {
    const source = node.inputs[0];
    if (node.op !== "DEQUANTIZE" || node.kind !== "operator" || !isConstant(source)) continue;
    const constant = dequantized(source);
    if (!constant) continue;
    const { shape } = source;
    replace(node, addNode(graph, { kind: "constant", name: `${source.name}_DQ`, dtype: "FLOAT32", shape, constant }));
  }
}

/** The float values that an integer constant stands for; null when it has no parameters. */
export function dequantized(source: Node & { constant: Constant }): Constant | null {
  const { quant, constant: of, shape, dtype } = source;
  if (!quant?.scale.length || !isDequantizable(dtype)) return null;
  const layout = quant.scale.length === 1 ? wholeTensor(of.count) : channelsAlong(shape, quant.axis);
  // Channels past the vectors' end take the first entry, as in the reference.
  const at = (channel: number) => (channel < quant.scale.length ? channel : 0);
  const scale = Float32Array.from({ length: layout.channels }, (_, channel) => quant.scale[at(channel)]!);
  const zeroPoint = BigInt64Array.from({ length: layout.channels }, (_, channel) => quant.zeroPoint[at(channel)] ?? 0n);
  return {
    kind: "dequantized",
    of,
    dtype: dtype as IntegerKind | "INT4" | "UINT4",
    layout,
    scale,
    zeroPoint,
    count: of.count,
    length: of.count * 4,
  };
}
