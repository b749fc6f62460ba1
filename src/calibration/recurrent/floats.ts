/** What lowerings of recurrent operators are put together from: float32 operators that LiteRT has, on tensors of known shapes. */
import {
  ActivationFunctionType,
  BuiltinOperator,
  type BuiltinOptions,
  nameOf,
  type Operator,
  TensorType,
} from "../../model/index.ts";
import type { LoweringTarget } from "../lowering.ts";

/** The states of an operator, by the place of the operand that is its variable tensor. */
export interface States {
  /** The tensor with the value before; undefined while it is zero. */
  before(place: number): number | undefined;
  /** `value` makes what the operator leaves there; it is called only where that is wanted. */
  after(place: number, value: () => number): void;
}

/** Emits operators for one with a state; gives a reason when it cannot. */
export type StatefulLowering = (operator: Operator, target: LoweringTarget, states: States) => string | undefined;

/** An input with time steps. */
export interface Sequence {
  readonly tensor: number;
  readonly steps: number;
  readonly batch: number;
  readonly size: number;
  /** Which dimension the steps are; undefined: it is one step, [batch, size]. */
  readonly axis?: 0 | 1;
}

const ACTIVATIONS: Readonly<Partial<Record<ActivationFunctionType, BuiltinOperator>>> = {
  [ActivationFunctionType.RELU]: BuiltinOperator.RELU,
  [ActivationFunctionType.RELU_N1_TO_1]: BuiltinOperator.RELU_N1_TO_1,
  [ActivationFunctionType.RELU6]: BuiltinOperator.RELU6,
  [ActivationFunctionType.TANH]: BuiltinOperator.TANH,
};

/** Types of weights that DEQUANTIZE takes. */
const UNPACKED: ReadonlySet<TensorType> = new Set([
  TensorType.FLOAT16,
  TensorType.INT4,
  TensorType.INT8,
  TensorType.INT16,
  TensorType.UINT8,
]);

type Binary = "ADD" | "SUB" | "MUL";
const BINARY_OPTIONS = { ADD: "AddOptions", SUB: "SubOptions", MUL: "MulOptions" } as const;

/** LiteRT's kNormalizationConstant (kernels/internal/reference/portable_tensor_utils.cc). */
const NORMALIZATION = 1e-8;

/** Throws Refusal for operands that nothing can be made of; `lowered` gives its text. */
export class Refusal extends Error {}

/** A lowering that may throw Refusal. */
export function lowered(emit: (operator: Operator, floats: Floats, states: States) => void): StatefulLowering {
  return (operator, target, states) => {
    try {
      emit(operator, new Floats(operator, target), states);
      return undefined;
    } catch (error) {
      if (error instanceof Refusal) return error.message;
      throw error;
    }
  };
}

export class Floats {
  private readonly unpacked = new Map<number, number>();

  constructor(
    private readonly operator: Operator,
    readonly target: LoweringTarget,
  ) {}

  /** The operand at a place; -1 when it is absent. */
  operand(place: number): number {
    return this.operator.inputs?.[place] ?? -1;
  }

  /** The float32 operand at a place, unpacked when it is weights of a smaller type; undefined when it is absent. */
  weights(place: number): number | undefined {
    const index = this.operand(place);
    if (index < 0) return undefined;
    const { type = TensorType.FLOAT32 } = this.target.tensor(index);
    if (type === TensorType.FLOAT32) return index;
    if (!UNPACKED.has(type))
      throw new Refusal(`its operand ${place} is ${nameOf(TensorType, type)}; use the float model`);
    const known = this.unpacked.get(index);
    if (known !== undefined) return known;
    const float = this.to(BuiltinOperator.DEQUANTIZE, [index], this.shape(index));
    this.unpacked.set(index, float);
    return float;
  }

  /** As `weights`, for one that must be there. */
  needed(place: number): number {
    const index = this.weights(place);
    if (index === undefined) throw new Refusal(`its operand ${place} is absent`);
    return index;
  }

  /** The float32 input at a place: integers there are the operands of another kernel. */
  input(place: number): number {
    const index = this.operand(place);
    const { type = TensorType.FLOAT32 } = index < 0 ? {} : this.target.tensor(index);
    if (index < 0) throw new Refusal("its input is absent");
    if (type !== TensorType.FLOAT32)
      throw new Refusal(
        `its input is ${nameOf(TensorType, type)}, and only float32 can be taken apart; use the float model`,
      );
    return index;
  }

  shape(index: number): number[] {
    return Array.from(this.target.tensor(index).shape ?? []);
  }

  /** The input at a place as time steps. Throws Refusal for another rank. */
  sequence(place: number, timeMajor: boolean | undefined): Sequence {
    const tensor = this.input(place);
    const shape = this.shape(tensor);
    if (shape.length === 2 && timeMajor === undefined) return { tensor, steps: 1, batch: shape[0]!, size: shape[1]! };
    if (shape.length !== 3 || timeMajor === undefined)
      throw new Refusal(`its input has ${shape.length} dims; ${timeMajor === undefined ? 2 : 3} are known`);
    const axis = timeMajor ? 0 : 1;
    return { tensor, axis, steps: shape[axis]!, batch: shape[1 - axis]!, size: shape[2]! };
  }

  to(code: BuiltinOperator, inputs: readonly number[], shape: readonly number[], options?: BuiltinOptions): number {
    const result = this.target.add(shape);
    this.target.emit(code, inputs, [result], options);
    return result;
  }

  binary(kind: Binary, a: number, b: number, shape: readonly number[]): number {
    return this.to(BuiltinOperator[kind], [a, b], shape, { type: BINARY_OPTIONS[kind], value: {} });
  }

  scalar(value: number): number {
    return this.target.constant(Float32Array.of(value), [1]);
  }

  zeros(shape: readonly number[]): number {
    return this.target.constant(new Float32Array(shape.reduce((a, b) => a * b, 1)), shape);
  }

  /** x Wᵀ + bias. */
  connected(x: number, weights: number, bias: number | undefined, rows: number): number {
    const inputs = bias === undefined ? [x, weights] : [x, weights, bias];
    const shape = [rows, this.shape(weights)[0]!];
    return this.to(BuiltinOperator.FULLY_CONNECTED, inputs, shape, { type: "FullyConnectedOptions", value: {} });
  }

  reshaped(from: number, shape: readonly number[]): number {
    const result = this.target.add(shape);
    this.reshape(from, shape, result);
    return result;
  }

  /** RESHAPE into a tensor that exists. */
  reshape(from: number, shape: readonly number[], result: number): void {
    const wanted = this.target.constant(Int32Array.from(shape), [shape.length]);
    this.target.emit(BuiltinOperator.RESHAPE, [from, wanted], [result]);
  }

  activated(x: number, act: ActivationFunctionType): number {
    if (act === ActivationFunctionType.NONE) return x;
    const code = ACTIVATIONS[act];
    if (code === undefined) throw new Refusal(`its activation ${nameOf(ActivationFunctionType, act)} cannot be run`);
    return this.to(code, [x], this.shape(x));
  }

  logistic(x: number): number {
    return this.to(BuiltinOperator.LOGISTIC, [x], this.shape(x));
  }

  /** Within ±limit; 0 is no limit. */
  clipped(x: number, limit: number): number {
    if (!(limit > 0)) return x;
    const shape = this.shape(x);
    const high = this.to(BuiltinOperator.MINIMUM, [x, this.scalar(limit)], shape);
    return this.to(BuiltinOperator.MAXIMUM, [high, this.scalar(-limit)], shape);
  }

  /** (x − mean) / √(variance + 1e-8) over each row. */
  normalized(x: number): number {
    const shape = this.shape(x);
    const rows = [shape[0]!, 1];
    const mean = (of: number) =>
      this.to(BuiltinOperator.MEAN, [of, this.target.constant(Int32Array.of(1), [1])], rows, {
        type: "ReducerOptions",
        value: { keepDims: true },
      });
    const centred = this.binary("SUB", x, mean(x), shape);
    const variance = this.binary(
      "ADD",
      mean(this.binary("MUL", centred, centred, shape)),
      this.scalar(NORMALIZATION),
      rows,
    );
    return this.binary("MUL", centred, this.to(BuiltinOperator.RSQRT, [variance], rows), shape);
  }

  /** x Wᵀ + bias of all steps at once, then one tensor a step. `aux`: another sequence and its weights, added. */
  ofSteps(x: Sequence, weights: number, bias: number | undefined, aux?: { x: Sequence; weights: number }): number[] {
    const { steps, batch, axis } = x;
    const flat = ({ tensor, size }: Sequence) =>
      axis === undefined ? tensor : this.reshaped(tensor, [steps * batch, size]);
    let all = this.connected(flat(x), weights, bias, steps * batch);
    const shape = this.shape(all);
    if (aux) all = this.binary("ADD", all, this.connected(flat(aux.x), aux.weights, undefined, steps * batch), shape);
    if (axis === undefined) return [all];
    const units = shape[1]!;
    const parts = Array.from({ length: steps }, () => this.target.add([batch, units]));
    const stacked = this.reshaped(all, axis === 0 ? [steps, batch, units] : [batch, steps, units]);
    this.target.emit(BuiltinOperator.UNPACK, [stacked], parts, { type: "UnpackOptions", value: { num: steps, axis } });
    return parts;
  }

  /** The results of all steps as the operator's `place`-th one. */
  give(results: readonly number[], { axis }: Sequence, place: number): void {
    const output = this.operator.outputs?.[place] ?? -1;
    if (output >= 0) this.stack(results, axis, output);
  }

  /** Both directions' results: two results of the operator, or one behind the other along the last dimension. */
  giveBoth(results: readonly (readonly number[])[], { axis, steps, batch }: Sequence, merged: boolean): void {
    if (!merged) {
      for (const [place, own] of results.entries()) {
        const output = this.operator.outputs?.[place] ?? -1;
        if (output >= 0) this.stack(own, axis, output);
      }
      return;
    }
    const sizes = results.map((own) => this.shape(own[0]!)[1]!);
    const outer = axis === 0 ? [steps, batch] : [batch, steps];
    const stacked = results.map((own, i) => {
      const result = this.target.add([...outer, sizes[i]!]);
      this.stack(own, axis, result);
      return result;
    });
    this.target.emit(BuiltinOperator.CONCATENATION, stacked, [this.operator.outputs![0]!], {
      type: "ConcatenationOptions",
      value: { axis: 2 },
    });
  }

  private stack(results: readonly number[], axis: number | undefined, output: number): void {
    if (axis === undefined) this.reshape(results[0]!, this.shape(results[0]!), output);
    else
      this.target.emit(BuiltinOperator.PACK, results, [output], {
        type: "PackOptions",
        value: { valuesCount: results.length, axis },
      });
  }
}
