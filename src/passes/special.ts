/** Parameters of activations that follow from the function itself (§3.8), set on tensors: src/rules/special.ts has the numbers. */
import type { Node } from "../graph/graph.ts";
import { fusedActivation } from "../graph/options.ts";
import { perLayer, type QuantParam, quantParam } from "../graph/quantparam.ts";
import { integerScale } from "../rules/arithmetic.ts";
import { type ResultRole, rowOf } from "../rules/operators.ts";
import type { QuantizedDtype } from "../rules/schemes.ts";
import { PREDEFINED, type PredefinedKind, type SpecialKind } from "../rules/special.ts";

/** The fixed parameters of a function; the range is carried over from `old`. */
export function predefined(kind: PredefinedKind, dtype: QuantizedDtype, old: QuantParam | null): QuantParam {
  const [scale, zeroPoint] = PREDEFINED[kind][dtype];
  return perLayer(scale, zeroPoint, { from: "predefined", kind }, old);
}

/** `old` with its first scale made an integer. The zero point stays as it was for the old scale (§3.8). */
export function withIntegerScale(old: QuantParam): QuantParam {
  const scale = old.scale.slice();
  scale[0] = integerScale(scale[0]!);
  return quantParam({ ...old, scale, provenance: { from: "integer scale" } });
}

/** What kind of activation a node yields; null for one with an ordinary range. Follows operators that only move values. */
export function activationKind(node: Node): SpecialKind | null {
  let at: Node | null | undefined = node;
  while (at) {
    if (at.kind === "operator" && fusedActivation(at) === "TANH") return "tanh";
    const operator: Node | null | undefined = at.kind === "result" ? at.inputs[0] : at;
    if (operator?.kind !== "operator") return null;
    const out: ResultRole = rowOf(operator.op).out;
    if (out.role === "special") return out.kind;
    // A max-pool only shares its operand's parameters on request; its kind is its own.
    if ((out.role === "same" && !out.when) || out.role === "requantized") at = operator.inputs[out.operand];
    else return null;
  }
  return null;
}
