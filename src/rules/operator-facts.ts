/**
 * Questions about an operator whose answers decide what a kernel takes it for: the words of versions.ts and safe-options.ts, each a
 * question about one fact.
 */
import type { BuiltinOptions } from "../model/index.ts";
import type { Dtype } from "../model/tensor-types.ts";

/** Members of all option tables of the schema. */
export type OptionName = BuiltinOptions extends infer O
  ? O extends { value: infer V }
    ? V extends null
      ? never
      : keyof V & string
    : never
  : never;

/** What a version can follow from: a tensor. */
export interface TensorFacts {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** Scales; empty where it has none. */
  readonly scales: ArrayLike<number>;
  /** Dimension of several scales. */
  readonly axis: number;
  readonly sparse: boolean;
}

/** What a version can follow from: an operator. */
export interface OperatorFacts {
  readonly operands: readonly (TensorFacts | null)[];
  readonly results: readonly TensorFacts[];
  /** The option's value as stored; undefined where it has the schema's default. */
  option(name: OptionName): unknown;
}

export type Condition = (facts: OperatorFacts) => boolean;

export const operand =
  (index: number, ...dtypes: Dtype[]): Condition =>
  ({ operands }) =>
    dtypes.includes(operands[index]?.dtype as Dtype);
export const result =
  (index: number, ...dtypes: Dtype[]): Condition =>
  ({ results }) =>
    dtypes.includes(results[index]?.dtype as Dtype);
export const both =
  (...conditions: Condition[]): Condition =>
  (facts) =>
    conditions.every((each) => each(facts));
export const either =
  (...conditions: Condition[]): Condition =>
  (facts) =>
    conditions.some((each) => each(facts));
export const not =
  (condition: Condition): Condition =>
  (facts) =>
    !condition(facts);
/** Operands 0 and 1 and the result, as the versions of operators with weights look at them. */
export const types = (input: Dtype, weights: Dtype): Condition =>
  both(operand(0, input), operand(1, weights), result(0, input));
/** An option has another value than the schema's default, which the file need not have. */
export const set =
  (name: OptionName, standard: unknown = 0): Condition =>
  (facts) =>
    Number(facts.option(name) ?? standard) !== Number(standard);
export const operandCount =
  (count: number): Condition =>
  ({ operands }) =>
    operands.length === count;
export const present =
  (index: number): Condition =>
  ({ operands }) =>
    (operands[index] ?? null) !== null;
export const rankAbove =
  (rank: number, index = 0): Condition =>
  ({ operands }) =>
    (operands[index]?.shape.length ?? 0) > rank;
export const rank =
  (value: number, index = 0): Condition =>
  ({ operands }) =>
    operands[index]?.shape.length === value;
export const broadcasts: Condition = ({ operands: [a, b] }) =>
  a !== undefined && b !== undefined && String(a?.shape) !== String(b?.shape);
export const anyRankAbove =
  (rank: number): Condition =>
  ({ operands }) =>
    operands.some((tensor) => (tensor?.shape.length ?? 0) > rank);
const isQuantized = (tensor: TensorFacts | null | undefined) => (tensor?.scales.length ?? 0) > 0;
export const quantized =
  (index: number): Condition =>
  ({ operands }) =>
    isQuantized(operands[index]);
/** As many scales as the weights have channels, also where that is one. */
export const scaleEach =
  (index: number, axis: number): Condition =>
  ({ operands }) =>
    isQuantized(operands[index]) && operands[index]!.scales.length === operands[index]!.shape[axis];
const severalScales = (tensor: TensorFacts | null | undefined) => tensor !== null && (tensor?.scales.length ?? 0) > 1;
export const perAxis =
  (index: number): Condition =>
  ({ operands }) =>
    severalScales(operands[index]);
export const resultPerAxis: Condition = ({ results }) => severalScales(results[0]);
export const sparse =
  (index: number): Condition =>
  ({ operands }) =>
    operands[index]?.sparse === true;
/** The filter has fewer input channels than the input. */
export const grouped: Condition = ({ operands: [input, filter] }) =>
  (input?.shape.length ?? 0) > 3 && input!.shape[3] !== filter?.shape[3];
/** Of a product: the input scales multiplied are not below the result's. */
export const growing: Condition = ({ operands: [a, b], results: [y] }) => {
  const [first, second, out] = [a, b, y].map((tensor) => tensor?.scales[0] ?? 0) as [number, number, number];
  return out !== 0 && Math.fround(Math.fround(first * second) / out) >= 1;
};
