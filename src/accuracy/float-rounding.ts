/**
 * Rounding to 16 bits by operators on floats, for trials: LiteRT's QUANTIZE and DEQUANTIZE of int16 take ten times as long as those of int8.
 *
 *     x ─▶ QUANTIZE ─▶ DEQUANTIZE ─▶ y     →     x ─▶ · 1 / (32767 · scale), within ±1 ─▶ · 32767 ─▶ ROUND ─▶ · scale ─▶ y
 *
 * Exact but for ties, and for what lies within a 400th of a step of one.
 */
import { rangeOf } from "../model/bytes.ts";
import {
  ActivationFunctionType,
  type Buffer,
  BuiltinOperator,
  type BuiltinOptions,
  type Model,
  type Operator,
  type SubGraph,
  type Tensor,
  TensorType,
} from "../model/index.ts";

const MOST = 32767;

/** The model with each int16 tensor that only a QUANTIZE gives, and only DEQUANTIZEs read, replaced. Tensors keep their numbers. */
export function withFloatRounding(model: Model): Model {
  const isCode = (operator: Operator, kind: number) =>
    model.operatorCodes?.[operator.opcodeIndex ?? 0]?.builtinCode === kind;
  const graphs = (model.subgraphs ?? []).map((graph) => ({ graph, scales: scalesOf(graph, isCode) }));
  if (graphs.every(({ scales }) => scales.size === 0)) return model;
  const codes = [...(model.operatorCodes ?? [])];
  const buffers = [...(model.buffers ?? [])];
  const code = (builtinCode: BuiltinOperator) => codes.push({ builtinCode, version: 1 }) - 1;
  const made = { mul: code(BuiltinOperator.MUL), round: code(BuiltinOperator.ROUND) };
  const subgraphs = graphs.map(({ graph, scales }) => replaced(graph, scales, made, buffers));
  return { ...model, operatorCodes: codes, buffers, subgraphs };
}

function replaced(
  graph: SubGraph,
  scales: ReadonlyMap<number, number>,
  { mul, round }: { readonly mul: number; readonly round: number },
  buffers: Buffer[],
): SubGraph {
  const { operators = [] } = graph;
  const tensors: Tensor[] = [...(graph.tensors ?? [])];
  const constants = new Map<number, number>();
  const constant = (value: number): number => {
    const known = constants.get(value);
    if (known !== undefined) return known;
    const buffer = buffers.push({ data: rangeOf(new Uint8Array(Float32Array.of(value).buffer)) }) - 1;
    const tensor =
      tensors.push({ name: `rounding ${value}`, shape: Int32Array.of(1), type: TensorType.FLOAT32, buffer }) - 1;
    constants.set(value, tensor);
    return tensor;
  };
  const like = (tensor: number, what: string): number => {
    const { name, shape, shapeSignature } = tensors[tensor]!;
    return tensors.push({ name: `${name} ${what}`, shape, shapeSignature, type: TensorType.FLOAT32, buffer: 0 }) - 1;
  };
  const next: Operator[] = [];
  const times = (
    from: number,
    by: number,
    to: number,
    fused: ActivationFunctionType = ActivationFunctionType.NONE,
  ): void => {
    const builtinOptions: BuiltinOptions = { type: "MulOptions", value: { fusedActivationFunction: fused } };
    next.push({
      opcodeIndex: mul,
      inputs: Int32Array.of(from, constant(by)),
      outputs: Int32Array.of(to),
      builtinOptions,
    });
  };
  /** By the integers: whole numbers as floats. */
  const whole = new Map<number, number>();
  for (const operator of operators) {
    const [from, to] = [operator.inputs?.[0] ?? -1, operator.outputs?.[0] ?? -1];
    if (scales.has(to)) {
      const [shares, steps, rounded] = [like(from, "share"), like(from, "steps"), like(from, "rounded")];
      times(from, 1 / (MOST * scales.get(to)!), shares, ActivationFunctionType.RELU_N1_TO_1);
      times(shares, MOST, steps);
      next.push({ opcodeIndex: round, inputs: Int32Array.of(steps), outputs: Int32Array.of(rounded) });
      whole.set(to, rounded);
    } else if (scales.has(from)) times(whole.get(from)!, scales.get(from)!, to);
    else next.push(operator);
  }
  return { ...graph, tensors, operators: next };
}

/** The scales of int16 tensors that only a QUANTIZE of floats gives, and only DEQUANTIZEs read. */
function scalesOf(
  { tensors = [], operators = [], outputs }: SubGraph,
  isCode: (operator: Operator, kind: number) => boolean,
): ReadonlyMap<number, number> {
  const scales = new Map<number, number>();
  for (const operator of operators) {
    const [from, to] = [operator.inputs?.[0] ?? -1, operator.outputs?.[0] ?? -1];
    const { type, quantization } = tensors[to] ?? {};
    const isPlain = quantization?.scale?.length === 1 && Number(quantization.zeroPoint?.[0] ?? 0) === 0;
    if (
      isCode(operator, BuiltinOperator.QUANTIZE) &&
      type === TensorType.INT16 &&
      isPlain &&
      (tensors[from]?.type ?? 0) === 0
    )
      scales.set(to, quantization!.scale![0]!);
  }
  for (const operator of operators)
    if (!isCode(operator, BuiltinOperator.DEQUANTIZE))
      for (const tensor of operator.inputs ?? []) scales.delete(tensor);
  for (const tensor of outputs ?? []) scales.delete(tensor);
  return scales;
}
