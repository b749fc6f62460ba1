/**
 * Which results can never be infinite in the reference: its kernels (TFLite's builtin ones) of operators that carry a fused activation
 * clamp every result to [-FLT_MAX, FLT_MAX] even where the activation is NONE. XNNPACK, which runs our copy, does not. So ±inf in
 * such results is observed as ±FLT_MAX (of which the lower one is passed over, reference §7.3), also where operators that only move
 * values pass it on.
 */
import { BuiltinOperator, type Model, nameOf, type SubGraph } from "../model/index.ts";
import { kindFacts } from "../rules/kind-facts.ts";
import { rowOf } from "../rules/operators.ts";
import { codeOf, constantsOf, isFloat32 } from "./graph-facts.ts";

/** Indexes of the results that the reference holds within ±FLT_MAX. */
export function finiteResults(model: Model, graph: SubGraph): Set<number> {
  const constants = constantsOf(model, graph);
  const finite = new Set<number>();
  for (const operator of graph.operators ?? []) {
    const code = codeOf(model, operator);
    const operands = Array.from(operator.inputs ?? []).filter(
      (index) => index >= 0 && !constants.has(index) && isFloat32(graph.tensors![index]!),
    );
    const { keepsWithin } = kindFacts(code);
    // CONCATENATION has a fused activation, but its kernel no clamp.
    const clamps = rowOf(nameOf(BuiltinOperator, code)).fuses === true && !keepsWithin;
    const moves = keepsWithin && operands.length > 0 && operands.every((index) => finite.has(index));
    if (clamps || moves) for (const index of operator.outputs ?? []) finite.add(index);
  }
  return finite;
}
