/**
 * Operators with a state, as operators without one: LiteRT's WASM build loads no variable tensors. The recurrence is unrolled over the time
 * steps of one record, from the state before to the state after; what becomes of the state is the caller's (States).
 */
import { ActivationFunctionType, BuiltinOperator } from "../../model/index.ts";
import { type Floats, lowered, Refusal, type Sequence, type StatefulLowering, type States } from "./floats.ts";
import { bidirectionalLstm, lstm, sequenceLstm } from "./lstm.ts";

export const STATEFUL_OPERATORS: ReadonlyMap<BuiltinOperator, StatefulLowering> = new Map<
  BuiltinOperator,
  StatefulLowering
>([
  [BuiltinOperator.LSTM, lstm],
  [BuiltinOperator.UNIDIRECTIONAL_SEQUENCE_LSTM, sequenceLstm],
  [BuiltinOperator.BIDIRECTIONAL_SEQUENCE_LSTM, bidirectionalLstm],
  [
    BuiltinOperator.RNN,
    lowered((operator, floats, states) => {
      const options = operator.builtinOptions?.type === "RNNOptions" ? operator.builtinOptions.value : null;
      const x = floats.sequence(0, undefined);
      floats.give(direction(floats, x, FORWARD, actOf(options), states), x, 0);
    }),
  ],
  [
    BuiltinOperator.UNIDIRECTIONAL_SEQUENCE_RNN,
    lowered((operator, floats, states) => {
      const options = operator.builtinOptions?.type === "SequenceRNNOptions" ? operator.builtinOptions.value : null;
      const x = floats.sequence(0, options?.timeMajor ?? false);
      floats.give(direction(floats, x, FORWARD, actOf(options), states), x, 0);
    }),
  ],
  [BuiltinOperator.BIDIRECTIONAL_SEQUENCE_RNN, lowered(bidirectionalRnn)],
  [BuiltinOperator.SVDF, lowered(svdf)],
]);

/** Places of one direction's operands: W, then R, bias and state behind it. */
interface Places {
  readonly weights: number;
  readonly aux?: { readonly x: Sequence; readonly weights: number };
}
const FORWARD: Places = { weights: 1 };
const BACKWARD: Places = { weights: 5 };
const [AUX_INPUT, FORWARD_AUX, BACKWARD_AUX] = [9, 10, 11];

function actOf(options: { fusedActivationFunction?: ActivationFunctionType } | null): ActivationFunctionType {
  return options?.fusedActivationFunction ?? ActivationFunctionType.NONE;
}

/** For each step h = act(W x[t] + R h + b) (kernels/internal/kernel_utils.cc, RnnBatchStep). Gives h of every step. */
function direction(
  floats: Floats,
  x: Sequence,
  { weights, aux }: Places,
  act: ActivationFunctionType,
  states: States,
  backward = false,
): number[] {
  const more = aux && { x: aux.x, weights: floats.needed(aux.weights) };
  const inputs = floats.ofSteps(x, floats.needed(weights), floats.needed(weights + 2), more);
  const recurrent = floats.needed(weights + 1);
  let hidden = states.before(weights + 3);
  const results = new Array<number>(x.steps);
  for (let at = 0; at < x.steps; at++) {
    const step = backward ? x.steps - 1 - at : at;
    let sum = inputs[step]!;
    if (hidden !== undefined)
      sum = floats.binary("ADD", sum, floats.connected(hidden, recurrent, undefined, x.batch), floats.shape(sum));
    hidden = floats.activated(sum, act);
    results[step] = hidden;
  }
  states.after(weights + 3, () => hidden!);
  return results;
}

/** Operands (kernels/bidirectional_sequence_rnn.cc): x; W, R, bias, state forward; the same backward; a second input and its weights. */
function bidirectionalRnn(operator: Parameters<StatefulLowering>[0], floats: Floats, states: States): void {
  const options =
    operator.builtinOptions?.type === "BidirectionalSequenceRNNOptions" ? operator.builtinOptions.value : null;
  const timeMajor = options?.timeMajor ?? false;
  const x = floats.sequence(0, timeMajor);
  const more = floats.operand(AUX_INPUT) < 0 ? undefined : floats.sequence(AUX_INPUT, timeMajor);
  // With weights of its own the second input is added in both directions; without, it is the backward direction's input, but LiteRT's
  // kernel takes it only where the steps come first.
  const linked = floats.operand(FORWARD_AUX) >= 0;
  const aux = (weights: number) => (more && linked ? { aux: { x: more, weights } } : {});
  const act = actOf(options);
  const forward = direction(floats, x, { ...FORWARD, ...aux(FORWARD_AUX) }, act, states);
  const behind = more && !linked && timeMajor ? more : x;
  const backward = direction(floats, behind, { ...BACKWARD, ...aux(BACKWARD_AUX) }, act, states, true);
  floats.giveBoth([forward, backward], x, options?.mergeOutputs ?? false);
}

/**
 * The memory of each filter moves by one column, W_feature x becomes its newest (kernels/svdf.cc):
 *
 *     y[unit] = act(Σ over the unit's `rank` filters and their columns of memory[filter, column] · W_time[filter, column] + bias[unit])
 *
 * Operands: x, W_feature [filters, input], W_time [filters, memory], bias, state [batch, filters · memory]. From the zero state only the
 * newest column counts.
 */
function svdf(operator: Parameters<StatefulLowering>[0], floats: Floats, states: States): void {
  const { target } = floats;
  const options = operator.builtinOptions?.type === "SVDFOptions" ? operator.builtinOptions.value : null;
  const { tensor: x, batch } = floats.sequence(0, undefined);
  const [feature, time, bias] = [floats.needed(1), floats.needed(2), floats.weights(3)];
  const [filters, columns] = floats.shape(time) as [number, number];
  const rank = options?.rank || 1;
  const units = filters / rank;
  if (!Number.isInteger(units)) throw new Refusal(`its ${filters} filters are not a multiple of its rank ${rank}`);
  const newest = floats.connected(x, feature, undefined, batch);
  const slice = (from: number, begin: readonly number[], size: readonly number[]) =>
    floats.to(
      BuiltinOperator.SLICE,
      [
        from,
        target.constant(Int32Array.from(begin), [begin.length]),
        target.constant(Int32Array.from(size), [size.length]),
      ],
      size,
      { type: "SliceOptions", value: {} },
    );
  const sumOver = (from: number, shape: readonly number[]) =>
    floats.to(BuiltinOperator.SUM, [from, target.constant(Int32Array.of(2), [1])], shape, {
      type: "ReducerOptions",
      value: {},
    });
  const before = states.before(STATE_OF_SVDF);
  const memory = [batch, filters, columns];
  const older = [batch, filters, columns - 1];
  const whole = (): number => {
    const column = floats.reshaped(newest, [batch, filters, 1]);
    if (columns === 1) return column;
    const moved = before === undefined ? floats.zeros(older) : slice(floats.reshaped(before, memory), [0, 0, 1], older);
    return floats.to(BuiltinOperator.CONCATENATION, [moved, column], memory, {
      type: "ConcatenationOptions",
      value: { axis: 2 },
    });
  };
  const now = before === undefined ? undefined : whole();
  states.after(STATE_OF_SVDF, () => floats.reshaped(now ?? whole(), [batch, filters * columns]));
  const weighted =
    now === undefined
      ? floats.binary("MUL", newest, floats.reshaped(slice(time, [0, columns - 1], [filters, 1]), [1, filters]), [
          batch,
          filters,
        ])
      : sumOver(floats.binary("MUL", now, floats.reshaped(time, [1, filters, columns]), memory), [batch, filters]);
  let sum = sumOver(floats.reshaped(weighted, [batch, units, rank]), [batch, units]);
  if (bias !== undefined) sum = floats.binary("ADD", sum, bias, [batch, units]);
  const y = floats.activated(sum, actOf(options));
  floats.reshape(y, [batch, units], operator.outputs![0]!);
}

const STATE_OF_SVDF = 4;
