/**
 * Which results can never be infinite in the reference: its kernels (TFLite's builtin ones) of operators that carry a fused activation
 * clamp every result to [-FLT_MAX, FLT_MAX] even where the activation is NONE. XNNPACK, which runs our copy, does not. So ±inf in
 * such results is observed as ±FLT_MAX (of which the lower one is passed over, reference §7.3), also where operators that only move
 * values pass it on.
 */
import { BuiltinOperator, type Model, nameOf, type SubGraph } from "../model/index.ts";
import { OPERATORS } from "../rules/operators.ts";
import { codeOf, constantsOf, isFloat32 } from "./graph-facts.ts";

/** Results are operands' values, or their negations, or limits far from infinity. CONCATENATION has a fused activation but no clamp. */
const MOVES: ReadonlySet<BuiltinOperator> = new Set([
  BuiltinOperator.ABS,
  BuiltinOperator.BATCH_TO_SPACE_ND,
  BuiltinOperator.BROADCAST_TO,
  BuiltinOperator.CONCATENATION,
  BuiltinOperator.DEPTH_TO_SPACE,
  BuiltinOperator.EXPAND_DIMS,
  BuiltinOperator.GATHER,
  BuiltinOperator.GATHER_ND,
  BuiltinOperator.MAXIMUM,
  BuiltinOperator.MINIMUM,
  BuiltinOperator.MIRROR_PAD,
  BuiltinOperator.NEG,
  BuiltinOperator.PACK,
  BuiltinOperator.PAD,
  BuiltinOperator.PADV2,
  BuiltinOperator.REDUCE_MAX,
  BuiltinOperator.REDUCE_MIN,
  BuiltinOperator.RELU,
  BuiltinOperator.RESHAPE,
  BuiltinOperator.REVERSE_SEQUENCE,
  BuiltinOperator.REVERSE_V2,
  BuiltinOperator.SLICE,
  BuiltinOperator.SPACE_TO_BATCH_ND,
  BuiltinOperator.SPACE_TO_DEPTH,
  BuiltinOperator.SPLIT,
  BuiltinOperator.SPLIT_V,
  BuiltinOperator.SQUEEZE,
  BuiltinOperator.STRIDED_SLICE,
  BuiltinOperator.TILE,
  BuiltinOperator.TRANSPOSE,
  BuiltinOperator.UNPACK,
]);

/** Indexes of the results that the reference holds within ±FLT_MAX. */
export function finiteResults(model: Model, graph: SubGraph): Set<number> {
  const constants = constantsOf(model, graph);
  const finite = new Set<number>();
  for (const operator of graph.operators ?? []) {
    const code = codeOf(model, operator);
    const operands = Array.from(operator.inputs ?? []).filter(
      (index) => index >= 0 && !constants.has(index) && isFloat32(graph.tensors![index]!),
    );
    const clamps = OPERATORS[nameOf(BuiltinOperator, code)]?.fuses === true && code !== BuiltinOperator.CONCATENATION;
    const moves = MOVES.has(code) && operands.length > 0 && operands.every((index) => finite.has(index));
    if (clamps || moves) for (const index of operator.outputs ?? []) finite.add(index);
  }
  return finite;
}
