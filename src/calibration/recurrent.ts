/**
 * Operators with a state, as operators without one: LiteRT's WASM build loads no variable tensors. Every record starts from the zero
 * state, so the recurrence is unrolled over the time steps of one record. (Within one run TFLite does the same.)
 */
import {
  ActivationFunctionType,
  BuiltinOperator,
  type BuiltinOptions,
  nameOf,
  type Operator,
  type Tensor,
  TensorType,
} from "../model/index.ts";
import type { Lowering, LoweringTarget } from "./lowering.ts";

export const STATEFUL_OPERATORS: ReadonlyMap<BuiltinOperator, Lowering> = new Map<BuiltinOperator, Lowering>([
  [BuiltinOperator.UNIDIRECTIONAL_SEQUENCE_LSTM, sequenceLstm],
  [BuiltinOperator.SVDF, svdf],
]);

const FLOAT_OPERATORS: Readonly<Partial<Record<ActivationFunctionType, BuiltinOperator>>> = {
  [ActivationFunctionType.RELU]: BuiltinOperator.RELU,
  [ActivationFunctionType.RELU_N1_TO_1]: BuiltinOperator.RELU_N1_TO_1,
  [ActivationFunctionType.RELU6]: BuiltinOperator.RELU6,
  [ActivationFunctionType.TANH]: BuiltinOperator.TANH,
};

/**
 * For each step t, with x[t] of [batch, input] and h, c of [batch, cells]:
 *
 *     i, f, o = logistic(W x[t] + R h + b)     g = act(W x[t] + R h + b)
 *     c = clip(f · c + i · g)                  h = o · act(c)
 *
 * Operands (kernels/unidirectional_sequence_lstm.cc): 0 x; 1–4 W and 5–8 R for i, f, g, o; 9–11 peepholes; 12–15 b; 16, 17 projection;
 * 18, 19 states; 20–23 layer norm.
 */
function sequenceLstm(operator: Operator, target: LoweringTarget): string | undefined {
  const operand = (place: number): number => operator.inputs?.[place] ?? -1;
  const options =
    operator.builtinOptions?.type === "UnidirectionalSequenceLSTMOptions" ? operator.builtinOptions.value : null;
  for (const [name, first, last] of [
    ["peepholes", 9, 11],
    ["a projection", 16, 17],
    ["layer normalisation", 20, 23],
  ] as const) {
    for (let place = first; place <= last; place++)
      if (operand(place) >= 0) return `it has ${name}, which cannot be unrolled yet`;
  }
  for (let place = 1; place <= 8; place++) {
    if (operand(place) < 0)
      return "it couples its input and forget gates (no input-to-input weights), which cannot be unrolled yet";
    if (!isFloat(target.tensor(operand(place)))) return "its weights are quantized; use the float model";
  }
  if (options?.diagonalRecurrentTensors) return "its recurrent weights are diagonal, which cannot be unrolled yet";
  const act = options?.fusedActivationFunction ?? ActivationFunctionType.NONE;
  if (act === ActivationFunctionType.SIGN_BIT)
    return `its activation ${nameOf(ActivationFunctionType, act)} cannot be run`;

  const timeAxis = options?.timeMajor ? 0 : 1;
  const shape = Array.from(target.tensor(operand(0)).shape ?? []);
  const [steps, batch, size] = [shape[timeAxis]!, shape[1 - timeAxis]!, shape[2]!];
  const cells = target.tensor(operand(1)).shape?.[0] ?? 0;
  const state = [batch, cells];
  const binary = binaryOn(target, state);
  const unary = (code: BuiltinOperator, x: number): number => emitTo(target, code, [x], state);
  const activate = (x: number): number => (FLOAT_OPERATORS[act] === undefined ? x : unary(FLOAT_OPERATORS[act], x));

  // W x + b of all steps at once, then step by step.
  const flat = reshape(target, operand(0), [steps * batch, size]);
  const inputs = [0, 1, 2, 3].map((gate) => {
    const bias = operand(12 + gate);
    const all = emitTo(
      target,
      BuiltinOperator.FULLY_CONNECTED,
      [flat, operand(1 + gate), ...(bias < 0 ? [] : [bias])],
      [steps * batch, cells],
      { type: "FullyConnectedOptions", value: {} },
    );
    const parts = Array.from({ length: steps }, () => target.add(state));
    target.emit(BuiltinOperator.UNPACK, [reshape(target, all, [shape[0]!, shape[1]!, cells])], parts, {
      type: "UnpackOptions",
      value: { num: steps, axis: timeAxis },
    });
    return parts;
  });

  const results: number[] = [];
  let cell: number | undefined;
  for (let step = 0; step < steps; step++) {
    const hidden = results.at(-1);
    const [i, f, g, o] = [0, 1, 2, 3].map((gate) => {
      const input = inputs[gate]![step]!;
      const sum =
        hidden === undefined
          ? input
          : binary(
              "ADD",
              input,
              emitTo(target, BuiltinOperator.FULLY_CONNECTED, [hidden, operand(5 + gate)], state, {
                type: "FullyConnectedOptions",
                value: {},
              }),
            );
      return gate === 2 ? activate(sum) : unary(BuiltinOperator.LOGISTIC, sum);
    }) as [number, number, number, number];
    const added = binary("MUL", i, g);
    cell = cell === undefined ? added : binary("ADD", binary("MUL", f, cell), added);
    cell = clip(target, cell, options?.cellClip ?? 0, state);
    results.push(binary("MUL", o, activate(cell)));
  }
  target.emit(BuiltinOperator.PACK, results, [operator.outputs![0]!], {
    type: "PackOptions",
    value: { valuesCount: steps, axis: timeAxis },
  });
  return undefined;
}

/**
 * One step from the zero state (kernels/svdf.cc): the newest column of the memory is W_feature x, all others are 0, so only the last
 * column of the time weights counts.
 *
 *     y[unit] = act(Σ over the unit's `rank` filters of (W_feature x)[filter] · W_time[filter, last] + bias[unit])
 *
 * Operands: x, W_feature [filters, input], W_time [filters, memory], bias, state.
 */
function svdf(operator: Operator, target: LoweringTarget): string | undefined {
  const [x, feature, time, bias] = Array.from(operator.inputs ?? []) as [number, number, number, number];
  const options = operator.builtinOptions?.type === "SVDFOptions" ? operator.builtinOptions.value : null;
  if (!isFloat(target.tensor(feature)) || !isFloat(target.tensor(time)))
    return "its weights are quantized; use the float model";
  const [filters, memory] = Array.from(target.tensor(time).shape ?? []) as [number, number];
  const rank = options?.rank || 1;
  const units = filters / rank;
  const batch = target.tensor(x).shape?.[0] ?? 1;
  const begin = target.constant(Int32Array.of(0, memory - 1), [2]);
  const size = target.constant(Int32Array.of(filters, 1), [2]);
  const column = emitTo(target, BuiltinOperator.SLICE, [time, begin, size], [filters, 1], {
    type: "SliceOptions",
    value: {},
  });
  const newest = emitTo(target, BuiltinOperator.FULLY_CONNECTED, [x, feature], [batch, filters], {
    type: "FullyConnectedOptions",
    value: {},
  });
  const weighted = binaryOn(target, [batch, filters])("MUL", newest, reshape(target, column, [1, filters]));
  const grouped = reshape(target, weighted, [batch, units, rank]);
  const axis = target.constant(Int32Array.of(2), [1]);
  let sum = emitTo(target, BuiltinOperator.SUM, [grouped, axis], [batch, units], { type: "ReducerOptions", value: {} });
  if (bias >= 0) sum = binaryOn(target, [batch, units])("ADD", sum, bias);
  const y = operator.outputs![0]!;
  const act = FLOAT_OPERATORS[options?.fusedActivationFunction ?? ActivationFunctionType.NONE];
  if (act !== undefined) target.emit(act, [sum], [y]);
  else target.emit(BuiltinOperator.RESHAPE, [sum, target.constant(Int32Array.of(batch, units), [2])], [y]);
  return undefined;
}

function emitTo(
  target: LoweringTarget,
  code: BuiltinOperator,
  inputs: readonly number[],
  shape: readonly number[],
  options?: BuiltinOptions,
): number {
  const result = target.add(shape);
  target.emit(code, inputs, [result], options);
  return result;
}

function binaryOn(target: LoweringTarget, shape: readonly number[]) {
  return (kind: "ADD" | "MUL", a: number, b: number): number =>
    emitTo(target, BuiltinOperator[kind], [a, b], shape, {
      type: kind === "ADD" ? "AddOptions" : "MulOptions",
      value: {},
    });
}

function reshape(target: LoweringTarget, from: number, shape: readonly number[]): number {
  return emitTo(
    target,
    BuiltinOperator.RESHAPE,
    [from, target.constant(Int32Array.from(shape), [shape.length])],
    shape,
  );
}

/** Within ±limit; 0 is no limit. */
function clip(target: LoweringTarget, x: number, limit: number, shape: readonly number[]): number {
  if (!(limit > 0)) return x;
  const high = emitTo(target, BuiltinOperator.MINIMUM, [x, target.constant(Float32Array.of(limit), [1])], shape);
  return emitTo(target, BuiltinOperator.MAXIMUM, [high, target.constant(Float32Array.of(-limit), [1])], shape);
}

function isFloat(tensor: Tensor): boolean {
  return (tensor.type ?? TensorType.FLOAT32) === TensorType.FLOAT32;
}
