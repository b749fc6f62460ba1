/** Nodes as facts of an operator, which is what tables of rules ask (src/rules/operator-facts.ts). */
import type { OperatorFacts, TensorFacts } from "../rules/operator-facts.ts";
import { type Node, yieldedBy } from "./graph.ts";
import { option } from "./options.ts";

/** What rules may look at of an operator, as it is now: its options as they are, never as they were read. */
export function factsOf(operator: Node): OperatorFacts {
  return {
    operands: operator.inputs.map((operand) => operand && tensorFacts(operand)),
    results: yieldedBy(operator).map(tensorFacts),
    option: (name) => option(operator, name),
  };
}

const NO_SCALES = new Float32Array(0);

function tensorFacts({ dtype, shape, quant, tensor, constant }: Node): TensorFacts {
  const scales = quant?.scale ?? NO_SCALES;
  // What a pass made of sparse weights is laid out densely.
  const sparse = tensor?.sparsity !== undefined && (constant === null || constant.kind === "stored");
  return { dtype, shape, scales, axis: quant?.axis ?? 0, sparse };
}
