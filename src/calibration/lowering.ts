/**
 * Operators that only Circle has, as TFLite operators. The last operator of each lowering writes the tensor the original wrote, so what is
 * observed keeps its name. Constants and inner tensors are new.
 */
import {
  ActivationFunctionType,
  BuiltinOperator,
  type BuiltinOptions,
  nameOf,
  type Operator,
  RoPEMode,
  type Tensor,
  TensorType,
} from "../model/schema.gen.ts";

/** Where a lowering puts what it makes. */
export interface LoweringTarget {
  tensor(index: number): Tensor;
  /** Values of an INT32 constant of the file; undefined for anything else. */
  integers(index: number): Int32Array | undefined;
  /** A new float32 tensor; gives its index. */
  add(shape: readonly number[]): number;
  /** A new constant; gives its index. */
  constant(values: Float32Array | Int32Array, shape: readonly number[]): number;
  emit(code: BuiltinOperator, inputs: readonly number[], outputs: readonly number[], options?: BuiltinOptions): void;
}

/** Emits operators for `operator`; gives a reason when it cannot. */
export type Lowering = (operator: Operator, target: LoweringTarget) => string | undefined;

/** Every operator that LiteRT lacks because it is Circle's own. */
export const CIRCLE_OPERATORS: ReadonlyMap<BuiltinOperator, Lowering> = new Map<BuiltinOperator, Lowering>([
  [BuiltinOperator.INSTANCE_NORM, instanceNorm],
  [BuiltinOperator.RMS_NORM, rmsNorm],
  [BuiltinOperator.ROPE, rope],
  [BuiltinOperator.BCQ_FULLY_CONNECTED, () => "binary-coded weights cannot be run"],
  [BuiltinOperator.BCQ_GATHER, () => "binary-coded weights cannot be run"],
  [BuiltinOperator.GRU, () => "it has no TFLite counterpart; unroll it when the model is exported"],
  [BuiltinOperator.ATTENTION, () => "it has no TFLite counterpart; export the model with attention taken apart"],
  [BuiltinOperator.RUN_MODEL, () => "models that run other models cannot be recorded; record each by itself"],
]);

/**
 * y = act((x − mean) / √(variance + epsilon) · gamma + beta), mean and variance over all axes between the first (batch) and the last
 * (channel): H and W of NHWC.
 */
function instanceNorm(operator: Operator, target: LoweringTarget): string | undefined {
  const [x, gamma, beta] = indexes(operator.inputs);
  const [y] = indexes(operator.outputs);
  if (x === undefined || gamma === undefined || beta === undefined || y === undefined) return "it needs three operands";
  const shape = shapeOf(target.tensor(x));
  if (shape.length < 3) return `its input has ${shape.length} dims; [batch, height, width, channel] is known`;
  const options = operator.builtinOptions?.type === "InstanceNormOptions" ? operator.builtinOptions.value : null;
  const activation = options?.fusedActivationFunction ?? ActivationFunctionType.NONE;
  if (activation === ActivationFunctionType.SIGN_BIT) {
    return `its fused activation ${nameOf(ActivationFunctionType, activation)} cannot be run`;
  }
  const inner = shape.slice(1, -1).map((_, i) => i + 1);
  const small = shape.map((dim, i) => (inner.includes(i) ? 1 : dim));
  const axes = target.constant(Int32Array.from(inner), [inner.length]);
  const [mean, centred, squared, variance] = [small, shape, shape, small].map((s) => target.add(s)) as Quad;
  target.emit(BuiltinOperator.MEAN, [x, axes], [mean], KEEP_DIMS);
  target.emit(BuiltinOperator.SUB, [x, mean], [centred], { type: "SubOptions", value: {} });
  target.emit(BuiltinOperator.MUL, [centred, centred], [squared], MUL_OPTIONS);
  target.emit(BuiltinOperator.MEAN, [squared, axes], [variance], KEEP_DIMS);
  const inverse = inverseRoot(target, variance, options?.epsilon ?? 0, small);
  const [scale, scaled] = [target.add(small), target.add(shape)];
  target.emit(BuiltinOperator.MUL, [inverse, gamma], [scale], MUL_OPTIONS);
  target.emit(BuiltinOperator.MUL, [centred, scale], [scaled], MUL_OPTIONS);
  // ADD has no TANH to fuse.
  const tanh = activation === ActivationFunctionType.TANH;
  const sum = tanh ? target.add(shape) : y;
  const fused = tanh ? ActivationFunctionType.NONE : activation;
  target.emit(BuiltinOperator.ADD, [scaled, beta], [sum], {
    type: "AddOptions",
    value: { fusedActivationFunction: fused },
  });
  if (tanh) target.emit(BuiltinOperator.TANH, [sum], [y]);
  return undefined;
}

/** y = x / √(mean(x², last axis) + epsilon) · gamma. */
function rmsNorm(operator: Operator, target: LoweringTarget): string | undefined {
  const [x, gamma] = indexes(operator.inputs);
  const [y] = indexes(operator.outputs);
  if (x === undefined || gamma === undefined || y === undefined) return "it needs two operands";
  const shape = shapeOf(target.tensor(x));
  if (shape.length === 0) return "its input is a scalar";
  const options = operator.builtinOptions?.type === "RmsNormOptions" ? operator.builtinOptions.value : null;
  const small = [...shape.slice(0, -1), 1];
  const axis = target.constant(Int32Array.of(shape.length - 1), [1]);
  const [squared, mean] = [target.add(shape), target.add(small)];
  target.emit(BuiltinOperator.MUL, [x, x], [squared], MUL_OPTIONS);
  target.emit(BuiltinOperator.MEAN, [squared, axis], [mean], KEEP_DIMS);
  const inverse = inverseRoot(target, mean, options?.epsilon ?? 0, small);
  const scaled = target.add(shape);
  target.emit(BuiltinOperator.MUL, [x, inverse], [scaled], MUL_OPTIONS);
  target.emit(BuiltinOperator.MUL, [scaled, gamma], [y], MUL_OPTIONS);
  return undefined;
}

/**
 * y = x · cos + turned(x) · sin, where `turned` makes of the last axis
 *   GPT_NEOX  [a b c d] → [−c −d a b]   halves
 *   GPT_J     [a b c d] → [−b a −d c]   neighbours
 */
function rope(operator: Operator, target: LoweringTarget): string | undefined {
  const [x, sin, cos] = indexes(operator.inputs);
  const [y] = indexes(operator.outputs);
  if (x === undefined || sin === undefined || cos === undefined || y === undefined) return "it needs three operands";
  const shape = shapeOf(target.tensor(x));
  const size = shape.at(-1) ?? 1;
  if (size % 2 !== 0) return `its last dim is ${size}; it must be even`;
  const options = operator.builtinOptions?.type === "RoPEOptions" ? operator.builtinOptions.value : null;
  const mode = options?.mode ?? RoPEMode.GPT_NEOX;
  if (mode !== RoPEMode.GPT_NEOX && mode !== RoPEMode.GPT_J) return `its mode ${mode} is not known`;

  const pairs = mode === RoPEMode.GPT_J ? [...shape.slice(0, -1), size / 2, 2] : shape;
  const reshape = (from: number, to: readonly number[]): number => {
    const result = target.add(to);
    const wanted = Int32Array.from(to);
    target.emit(BuiltinOperator.RESHAPE, [from, target.constant(wanted, [to.length])], [result], {
      type: "ReshapeOptions",
      value: { newShape: wanted },
    });
    return result;
  };
  const from = mode === RoPEMode.GPT_J ? reshape(x, pairs) : x;
  const half = [...pairs.slice(0, -1), pairs.at(-1)! / 2];
  const [first, second, negated, turned] = [half, half, half, pairs].map((s) => target.add(s)) as Quad;
  const axis = target.constant(Int32Array.of(pairs.length - 1), []);
  target.emit(BuiltinOperator.SPLIT, [axis, from], [first, second], { type: "SplitOptions", value: { numSplits: 2 } });
  target.emit(BuiltinOperator.NEG, [second], [negated], { type: "NegOptions", value: {} });
  target.emit(BuiltinOperator.CONCATENATION, [negated, first], [turned], {
    type: "ConcatenationOptions",
    value: { axis: pairs.length - 1 },
  });
  const back = mode === RoPEMode.GPT_J ? reshape(turned, shape) : turned;
  const [straight, across] = [target.add(shape), target.add(shape)];
  target.emit(BuiltinOperator.MUL, [x, cos], [straight], MUL_OPTIONS);
  target.emit(BuiltinOperator.MUL, [back, sin], [across], MUL_OPTIONS);
  target.emit(BuiltinOperator.ADD, [straight, across], [y], { type: "AddOptions", value: {} });
  return undefined;
}

type Quad = [number, number, number, number];

const KEEP_DIMS: BuiltinOptions = { type: "ReducerOptions", value: { keepDims: true } };
const MUL_OPTIONS: BuiltinOptions = { type: "MulOptions", value: {} };

/** 1 / √(x + epsilon) */
function inverseRoot(target: LoweringTarget, x: number, epsilon: number, shape: readonly number[]): number {
  const [sum, result] = [target.add(shape), target.add(shape)];
  const constant = target.constant(Float32Array.of(epsilon), []);
  target.emit(BuiltinOperator.ADD, [x, constant], [sum], { type: "AddOptions", value: {} });
  target.emit(BuiltinOperator.RSQRT, [sum], [result]);
  return result;
}

function indexes(list: Int32Array | undefined): number[] {
  return Array.from(list ?? []).filter((index) => index >= 0);
}

function shapeOf(tensor: Tensor): number[] {
  return Array.from(tensor.shape ?? []);
}

/** Type of a tensor as text, for messages. */
export function typeText(tensor: Tensor): string {
  return nameOf(TensorType, tensor.type ?? TensorType.FLOAT32);
}
