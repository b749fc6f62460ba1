/** Fields of options whose default is dangerous for quantized operators, and what they have to say instead: one row a kind. */
import type { BuiltinOptions } from "../model/index.ts";
import { both, type Condition, type OptionName, operand, quantized, result, set } from "./operator-facts.ts";

/** Options whose default is dangerous for quantized operators: the table's type, and what it has to say. */
export interface SafeOption {
  readonly type: BuiltinOptions["type"];
  readonly name: OptionName;
  /** Undefined is the schema's default. */
  readonly value: boolean | undefined;
  readonly when: Condition;
}

const QUANTIZED_INT16 = both(operand(0, "INT16"), result(0, "INT16"), quantized(0));
/** The power-of-two kernel refuses what it is given; the other one takes all scales. */
const anyScale = (type: SafeOption["type"]): SafeOption => ({
  type,
  name: "potScaleInt16",
  value: false,
  when: QUANTIZED_INT16,
});
/** With the default the kernel reads a bias of 64 bits; with INT32 it would take half of one for it. */
const wideBias = (type: SafeOption["type"], bias: number): SafeOption => ({
  type,
  name: "quantizedBiasType",
  value: undefined,
  when: both(operand(bias, "INT64"), set("quantizedBiasType")),
});

export const SAFE_OPTIONS: Readonly<Record<string, SafeOption>> = {
  ADD: anyScale("AddOptions"),
  CONV_2D: wideBias("Conv2DOptions", 2),
  FULLY_CONNECTED: wideBias("FullyConnectedOptions", 2),
  SUB: anyScale("SubOptions"),
  TRANSPOSE_CONV: wideBias("TransposeConvOptions", 3),
};
