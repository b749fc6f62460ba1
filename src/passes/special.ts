/** Parameters of activations that follow from the function itself (§3.8), set on tensors: the rows of src/rules/schemes.ts have the numbers. */
import type { Node } from "../graph/graph.ts";
import { fusedActivation } from "../graph/options.ts";
import { perTensor, type QuantParam, quantParam } from "../graph/quantparam.ts";
import { integerScale } from "../rules/arithmetic.ts";
import type { SpecialKind } from "../rules/operator-row.ts";
import type { ResultRole } from "../rules/operators.ts";
import type { ActivationQuantizer, PredefinedKind } from "../rules/schemes.ts";

/** The fixed parameters of a function for activations of a quantizer; the range is carried over from `old`. */
export function predefined(kind: PredefinedKind, { fixed }: ActivationQuantizer, old: QuantParam | null): QuantParam {
  const { scale, zeroPoint } = fixed[kind];
  return perTensor(scale, zeroPoint, { from: "predefined", kind }, old);
}

/** `old` with its first scale made an integer. The zero point stays as it was for the old scale (§3.8). */
export function withIntegerScale(old: QuantParam): QuantParam {
  const scale = old.scale.slice();
  scale[0] = integerScale(scale[0]!);
  return quantParam({ ...old, scale, provenance: { from: "integer scale" } });
}

/** Whose parameters an operator's result has: those of its function, or (null) of its range. */
export function specialKindOf(node: Node): SpecialKind | null {
  const { out } = node.row;
  if (out.role === "special") return out.kind;
  return fusedActivation(node) === "TANH" ? "tanh" : null;
}

/** What kind of activation a node yields; null for one with an ordinary range. Follows operators that only move values. */
export function activationKind(node: Node): SpecialKind | null {
  let at: Node | null | undefined = node;
  while (at) {
    if (at.kind === "operator" && fusedActivation(at) === "TANH") return "tanh";
    const operator: Node | null | undefined = at.kind === "result" ? at.inputs[0] : at;
    if (operator?.kind !== "operator") return null;
    const out: ResultRole = operator.row.out;
    if (out.role === "special") return out.kind;
    // A max-pool only shares its operand's parameters on request; its kind is its own.
    if ((out.role === "same" && !out.when) || out.role === "requantized") at = operator.inputs[out.operand];
    else return null;
  }
  return null;
}
