/** LSTM, UNIDIRECTIONAL_SEQUENCE_LSTM and BIDIRECTIONAL_SEQUENCE_LSTM, step by step. */
import { ActivationFunctionType, BuiltinOperator, LSTMKernelType, type Operator } from "../../model/index.ts";
import { type Floats, lowered, Refusal, type Sequence, type States } from "./floats.ts";

type Options = {
  fusedActivationFunction?: ActivationFunctionType;
  cellClip?: number;
  projClip?: number;
  diagonalRecurrentTensors?: boolean;
} | null;

interface Settings {
  readonly act: ActivationFunctionType;
  readonly cellClip: number;
  readonly projClip: number;
  readonly diagonal: boolean;
}

/** Places of one direction's operands; gates are in LiteRT's order i, f, g, o. */
interface Places {
  readonly input: number;
  readonly recurrent: number;
  /** Of i, f, o. */
  readonly peepholes: number;
  readonly biases: number;
  readonly projection: number;
  readonly hidden: number;
  readonly cell: number;
  readonly norms?: number;
  readonly aux?: { readonly x: Sequence; readonly weights: number };
}

/** Operands of LSTM and UNIDIRECTIONAL_SEQUENCE_LSTM (kernels/lstm.cc, unidirectional_sequence_lstm.cc). */
const ONE_DIRECTION: Places = {
  input: 1,
  recurrent: 5,
  peepholes: 9,
  biases: 12,
  projection: 16,
  hidden: 18,
  cell: 19,
  norms: 20,
};
/** Of BIDIRECTIONAL_SEQUENCE_LSTM (kernels/bidirectional_sequence_lstm.cc). */
const FORWARD: Places = { input: 1, recurrent: 5, peepholes: 9, biases: 12, projection: 16, hidden: 35, cell: 36 };
const BACKWARD: Places = { input: 18, recurrent: 22, peepholes: 26, biases: 29, projection: 33, hidden: 37, cell: 38 };
const [AUX_INPUT, FORWARD_AUX, BACKWARD_AUX] = [39, 40, 44];

export const lstm = lowered((operator, floats, states) => {
  const options = operator.builtinOptions?.type === "LSTMOptions" ? operator.builtinOptions.value : null;
  if (options?.kernelType === LSTMKernelType.BASIC || (operator.inputs?.length ?? 0) === 5)
    basic(operator, floats, states);
  else single(options, floats, states);
});

function single(options: Options, floats: Floats, states: States): void {
  const x = floats.sequence(0, undefined);
  floats.give(direction(floats, x, ONE_DIRECTION, settingsOf(options), states), x, 0);
}

export const sequenceLstm = lowered((operator, floats, states) => {
  const options =
    operator.builtinOptions?.type === "UnidirectionalSequenceLSTMOptions" ? operator.builtinOptions.value : null;
  const x = floats.sequence(0, options?.timeMajor ?? false);
  floats.give(direction(floats, x, ONE_DIRECTION, settingsOf(options), states), x, 0);
});

/** The backward direction sees the steps from the last to the first; its results are in the order of time. */
export const bidirectionalLstm = lowered((operator, floats, states) => {
  const options =
    operator.builtinOptions?.type === "BidirectionalSequenceLSTMOptions" ? operator.builtinOptions.value : null;
  const timeMajor = options?.timeMajor ?? true;
  const x = floats.sequence(0, timeMajor);
  const more = floats.operand(AUX_INPUT) < 0 ? undefined : floats.sequence(AUX_INPUT, timeMajor);
  // With weights of its own the second input is added in both directions; without, it is the backward direction's input.
  const linked = floats.operand(FORWARD_AUX + 1) >= 0;
  const aux = (weights: number) => (more && linked ? { aux: { x: more, weights } } : {});
  const settings = settingsOf(options);
  const forward = direction(floats, x, { ...FORWARD, ...aux(FORWARD_AUX) }, settings, states);
  const behind = more && !linked ? more : x;
  const backward = direction(floats, behind, { ...BACKWARD, ...aux(BACKWARD_AUX) }, settings, states, true);
  floats.giveBoth([forward, backward], x, options?.mergeOutputs ?? false);
});

function settingsOf(options: Options): Settings {
  return {
    act: options?.fusedActivationFunction ?? ActivationFunctionType.NONE,
    cellClip: options?.cellClip ?? 0,
    projClip: options?.projClip ?? 0,
    diagonal: options?.diagonalRecurrentTensors ?? false,
  };
}

/**
 * For each step t, with x[t] of [batch, input], h of [batch, outputs] and c of [batch, cells] (kernels/lstm_eval.cc, LstmStepFloat):
 *
 *     i, f, o = logistic(W x[t] + R h + p · c + b)     g = act(W x[t] + R h + b)     o's p · c is the new c
 *     c = clip(f · c + i · g)                          h = o · act(c), projected and clipped where there is a projection
 *
 * Without weights of i, i is 1 − f. With layer norm each sum is normalized and multiplied before its bias is added. Gives h of every step.
 */
function direction(
  floats: Floats,
  x: Sequence,
  places: Places,
  settings: Settings,
  states: States,
  backward = false,
): number[] {
  const { act, diagonal } = settings;
  const coupled = floats.operand(places.input) < 0;
  const gates = [0, 1, 2, 3].map((gate) => {
    if (gate === 0 && coupled) return undefined;
    const norm = places.norms === undefined ? undefined : floats.weights(places.norms + gate);
    const bias = floats.weights(places.biases + gate);
    const aux = places.aux && { x: places.aux.x, weights: floats.needed(places.aux.weights + gate) };
    return {
      inputs: floats.ofSteps(x, floats.needed(places.input + gate), norm === undefined ? bias : undefined, aux),
      recurrent: floats.needed(places.recurrent + gate),
      peephole: gate === 2 ? undefined : floats.weights(places.peepholes + (gate === 3 ? 2 : gate)),
      norm,
      bias,
    };
  });
  const projection = floats.weights(places.projection);
  const projectionBias = floats.weights(places.projection + 1);
  const state = floats.shape(gates[1]!.inputs[0]!);
  let hidden = states.before(places.hidden);
  let cell = states.before(places.cell);
  const sum = (gate: NonNullable<(typeof gates)[number]>, step: number): number => {
    let value = gate.inputs[step]!;
    if (hidden !== undefined) {
      const before = diagonal
        ? floats.binary("MUL", hidden, gate.recurrent, state)
        : floats.connected(hidden, gate.recurrent, undefined, x.batch);
      value = floats.binary("ADD", value, before, state);
    }
    if (gate.peephole !== undefined && cell !== undefined)
      value = floats.binary("ADD", value, floats.binary("MUL", cell, gate.peephole, state), state);
    if (gate.norm === undefined) return value;
    value = floats.binary("MUL", floats.normalized(value), gate.norm, state);
    return gate.bias === undefined ? value : floats.binary("ADD", value, gate.bias, state);
  };
  const results = new Array<number>(x.steps);
  for (let at = 0; at < x.steps; at++) {
    const step = backward ? x.steps - 1 - at : at;
    const f = floats.logistic(sum(gates[1]!, step));
    const i = gates[0] ? floats.logistic(sum(gates[0], step)) : floats.binary("SUB", floats.scalar(1), f, state);
    const g = floats.activated(sum(gates[2]!, step), act);
    const added = floats.binary("MUL", i, g, state);
    const sumOfBoth =
      cell === undefined ? added : floats.binary("ADD", floats.binary("MUL", f, cell, state), added, state);
    cell = floats.clipped(sumOfBoth, settings.cellClip);
    const o = floats.logistic(sum(gates[3]!, step));
    hidden = floats.binary("MUL", o, floats.activated(cell, act), state);
    if (projection !== undefined)
      hidden = floats.clipped(floats.connected(hidden, projection, projectionBias, x.batch), settings.projClip);
    results[step] = hidden;
  }
  states.after(places.hidden, () => hidden!);
  states.after(places.cell, () => cell!);
  return results;
}

/**
 * The five-operand kernel (reference_ops::LstmCell): operands x, h, weights [4 · cells, inputs + cells], biases, c; results h, c, and
 * what is between: [x h], and the sums of i, g, f, o in this order.
 */
function basic(operator: Operator, floats: Floats, states: States): void {
  const { target } = floats;
  const x = floats.sequence(0, undefined);
  const weights = floats.needed(2);
  const cells = floats.shape(weights)[0]! / 4;
  const state = [x.batch, cells];
  if (!Number.isInteger(cells)) throw new Refusal("its weights are not those of four gates");
  const result = (place: number, shape: readonly number[]) => {
    const output = operator.outputs?.[place] ?? -1;
    return output >= 0 ? output : target.add(shape);
  };
  const joined = result(2, [x.batch, x.size + cells]);
  target.emit(BuiltinOperator.CONCATENATION, [x.tensor, states.before(1) ?? floats.zeros(state)], [joined], {
    type: "ConcatenationOptions",
    value: { axis: 1 },
  });
  const sums = result(3, [x.batch, 4 * cells]);
  target.emit(BuiltinOperator.FULLY_CONNECTED, [joined, weights, floats.needed(3)], [sums], {
    type: "FullyConnectedOptions",
    value: {},
  });
  const parts = [0, 1, 2, 3].map(() => target.add(state)) as [number, number, number, number];
  const axis = target.constant(Int32Array.of(1), []);
  target.emit(BuiltinOperator.SPLIT, [axis, sums], parts, { type: "SplitOptions", value: { numSplits: 4 } });
  const [i, g, f, o] = parts;
  const tanh = (of: number) => floats.activated(of, ActivationFunctionType.TANH);
  let cell = floats.binary("MUL", floats.logistic(i), tanh(g), state);
  const before = states.before(4);
  if (before !== undefined)
    cell = floats.binary("ADD", floats.binary("MUL", floats.logistic(f), before, state), cell, state);
  const hidden = floats.binary("MUL", floats.logistic(o), tanh(cell), state);
  floats.reshape(hidden, state, result(0, state));
  floats.reshape(cell, state, result(1, state));
  states.after(1, () => hidden);
  states.after(4, () => cell);
}
