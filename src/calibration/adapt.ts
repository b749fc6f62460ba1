/**
 * Operators that TFLite knows too, but of which LiteRT wants another form than Circle files (or weight-only quantized models) have.
 */
import { BuiltinOperator, nameOf, type Operator, type SubGraph, type Tensor, TensorType } from "../model/index.ts";
import { detailTensors } from "../model/references.ts";
import { kindFacts } from "../rules/kind-facts.ts";
import type { LoweringTarget } from "./lowering.ts";

/** What makes an operator unfit for LiteRT although it knows the kind; undefined when all is well. */
export function refusal(operator: Operator, graph: SubGraph): string | undefined {
  const options = operator.builtinOptions;
  if (options?.type === "FullyConnectedOptions" && options.value?.weightsFormat === 127) {
    return "its weights are shuffled (SHUFFLED16x1FLOAT32), a Circle-only format; use the model from before that optimisation";
  }
  // Types below UINT4 (-1, which TFLite has under another number) are Circle's own.
  const foreign = [...(operator.inputs ?? []), ...(operator.outputs ?? [])]
    .map((index) => graph.tensors?.[index])
    .find((tensor) => tensor !== undefined && (tensor.type ?? 0) < TensorType.UINT4);
  if (foreign !== undefined) {
    return `"${foreign.name ?? ""}" is ${nameOf(TensorType, foreign.type!)}, a type that only Circle has; record ranges on the float model`;
  }
  const state = operator.inputs?.find((index) => index >= 0 && graph.tensors?.[index]?.isVariable === true);
  if (state !== undefined) {
    return `it keeps a state (variable tensor "${graph.tensors![state]!.name ?? state}"), and LiteRT's WASM build loads no such operators; export the model with the recurrence unrolled`;
  }
  return undefined;
}

/** The operator as LiteRT wants it; may emit others before it. */
export function adapt(
  operator: Operator,
  code: BuiltinOperator,
  constants: ReadonlySet<number>,
  target: LoweringTarget,
): Operator {
  const inputs = [...(operator.inputs ?? [])];
  if (code === BuiltinOperator.PADV2) return { ...operator, inputs: Int32Array.from(paddedWith(inputs, target)) };
  if (code === BuiltinOperator.SLICE) return { ...operator, inputs: Int32Array.from(slicedFrom(inputs, target)) };
  const { hybrid } = kindFacts(code);
  if (!hybrid) return operator;
  const activation = inputs[hybrid.activation] ?? -1;
  if (activation < 0 || !isType(target.tensor(activation), "FLOAT32")) return { ...operator };
  // Quantized weights of a float operator: LiteRT would quantize the activations too (hybrid kernels), and the ranges would be those of
  // another model. So the weights are dequantized first. Block-wise weights are what no DEQUANTIZE takes; they are run as they are.
  const weights = inputs[hybrid.weights] ?? -1;
  if (weights >= 0 && constants.has(weights) && canBeDequantized(target.tensor(weights))) {
    const float = target.add(Array.from(target.tensor(weights).shape ?? []));
    target.emit(BuiltinOperator.DEQUANTIZE, [weights], [float]);
    inputs[hybrid.weights] = float;
  }
  // The bias may be left out, but not be -1; CONV_2D wants one always.
  if (hybrid.bias !== undefined && inputs.at(-1) === -1) inputs.pop();
  if (hybrid.bias === "needed" && inputs.length === 2) {
    const channels = target.tensor(inputs[hybrid.weights]!).shape?.[0] ?? 0;
    inputs.push(target.constant(new Float32Array(channels), [channels]));
  }
  return { ...operator, inputs: Int32Array.from(inputs) };
}

/** The value to pad with in the type of what is padded; files of the reference's importers may have it in another one. */
function paddedWith([input, paddings, value]: readonly number[], target: LoweringTarget): number[] {
  const operands = [input!, paddings!, value!];
  if (operands.some((index) => index === undefined || index < 0)) return operands;
  const from = target.tensor(value!);
  if (!isType(target.tensor(input!), "FLOAT32") || isType(from, "FLOAT32")) return operands;
  const float = target.add(Array.from(from.shape ?? []));
  target.emit(BuiltinOperator.CAST, [value!], [float]);
  return [input!, paddings!, float];
}

/**
 * A SLICE that begins before its input, which LiteRT refuses: what lies there counts as 0. The reference reads its memory there;
 * its golden (Slice_001) shows zeros.
 */
function slicedFrom([input, begin, size]: readonly number[], target: LoweringTarget): number[] {
  const operands = [input!, begin!, size!];
  const from = begin === undefined || begin < 0 ? undefined : target.integers(begin);
  if (!from?.some((at) => at < 0) || !isType(target.tensor(input!), "FLOAT32")) return operands;
  const shape = Array.from(target.tensor(input!).shape ?? []);
  const before = Array.from(from, (at) => Math.max(0, -at));
  const padded = target.add(shape.map((dim, i) => dim + before[i]!));
  const paddings = target.constant(Int32Array.from(before.flatMap((count) => [count, 0])), [shape.length, 2]);
  target.emit(BuiltinOperator.PAD, [input!, paddings], [padded], { type: "PadOptions", value: {} });
  return [
    padded,
    target.constant(
      from.map((at) => Math.max(0, at)),
      [shape.length],
    ),
    size!,
  ];
}

function canBeDequantized(tensor: Tensor): boolean {
  return isType(tensor, "INT8", "INT4", "UINT8") && detailTensors(tensor).length === 0;
}

function isType(tensor: Tensor, ...names: string[]): boolean {
  return names.includes(nameOf(TensorType, tensor.type ?? TensorType.FLOAT32));
}
