/** Inputs that the model scales itself: it may well expect pictures of 0…255. */
import type { Model, SubGraph } from "../model/index.ts";
import { kindFacts } from "../rules/kind-facts.ts";
import { codeOf, constantsOf, subgraphOf } from "./graph-facts.ts";

/**
 * For each input of a subgraph (0 by default): whether all that read it are element by element with a constant, perhaps behind operators that
 * only move values.
 *
 *     x ─▶ RESHAPE ─▶ MUL 1/127.5 ─▶ SUB 1 ─▶ …
 */
export function scaledInputs(model: Model, subgraph = 0): boolean[] {
  const graph = subgraphOf(model, subgraph);
  const constants = constantsOf(model, graph);
  return Array.from(graph.inputs ?? [], (input) => isScaled(model, graph, constants, input, 0));
}

/** So many moves one behind the other come before a scaling at most: a chain that is longer is none of a picture, and not followed. */
const MOST_MOVES = 64;

/** `from`: the first operator that may read the tensor; so this ends in a damaged model, too. */
function isScaled(
  model: Model,
  graph: SubGraph,
  constants: ReadonlySet<number>,
  tensor: number,
  from: number,
  moves = 0,
): boolean {
  if (moves > MOST_MOVES) return false;
  const operators = graph.operators ?? [];
  const users = operators.flatMap(({ inputs = [] }, at) =>
    at >= from && Array.from(inputs).includes(tensor) ? [at] : [],
  );
  const scales = (at: number): boolean => {
    const { inputs = [], outputs = [] } = operators[at]!;
    const { size, keepsWithin, takesRows, hybrid } = kindFacts(codeOf(model, operators[at]!));
    const others = Array.from(inputs).filter((index) => index !== tensor && index >= 0);
    if (others.some((index) => !constants.has(index))) return false;
    if (keepsWithin)
      return Array.from(outputs).every((result) => isScaled(model, graph, constants, result, at + 1, moves + 1));
    return size === "operands" && others.length > 0 && !takesRows && !hybrid;
  };
  return users.length > 0 && users.every(scales);
}
