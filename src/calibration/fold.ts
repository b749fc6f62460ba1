/**
 * Values that do not depend on the record: shapes of tensors and what is computed from them and from constants
 * (SHAPE → STRIDED_SLICE → PACK → RESHAPE is in most exported models). LiteRT cannot show results whose shape it learns only while it
 * runs; once those operands are constants of the copy, it knows every shape beforehand.
 *
 * Operators are evaluated by LiteRT itself, in waves: a wave's operands are all constants or results of earlier waves.
 */
import { BuiltinOperator, type Model, type Operator, type SubGraph, TensorType } from "../model/index.ts";
import { canBeComputed, kindFacts } from "../rules/kind-facts.ts";
import { canBeShown, evaluate, type Known } from "./evaluate.ts";
import { codeOf, constantsOf, isFloat32, knownShape } from "./graph-facts.ts";
import { elementCount } from "./inputs.ts";
import { EngineError } from "./litert.ts";

/** Shapes and indices are small; large constants computed by operators stay with them. */
const LARGEST = 1 << 16;

export async function constantsKnown(model: Model, graph: SubGraph): Promise<Known> {
  const constants = constantsOf(model, graph);
  const known = new Map<number, Uint8Array>();
  const operators = graph.operators ?? [];
  for (const operator of operators) {
    if (codeOf(model, operator) === BuiltinOperator.SHAPE) {
      known.set(operator.outputs![0]!, shapeBytes(graph, operator));
    }
  }
  const given = (index: number) => index < 0 || constants.has(index) || known.has(index);
  for (let open = foldable(model, graph, given); open.length > 0; ) {
    const wave = open.filter((operator) => Array.from(operator.inputs ?? []).every(given));
    if (wave.length === 0) break;
    try {
      for (const [index, bytes] of await evaluate(model, graph, wave, known)) known.set(index, bytes);
    } catch (error) {
      // What LiteRT refuses here it refuses in the run, too, where the message names the operator.
      if (!(error instanceof EngineError)) throw error;
      break;
    }
    open = open.filter((operator) => !wave.includes(operator));
  }
  return known;
}

/** Whether a later operator still needs an operand that is neither a constant, nor known, nor float: shapes may then follow from data. */
export function dependsOnData(model: Model, graph: SubGraph, known: Known): boolean {
  const constants = constantsOf(model, graph);
  return (graph.operators ?? []).some((operator) => {
    const code = codeOf(model, operator);
    const { foreign, calls } = kindFacts(code);
    if (foreign || calls) return true;
    return Array.from(operator.inputs ?? []).some(
      (index) => index >= 0 && !constants.has(index) && !known.has(index) && !isFloat32(graph.tensors![index]!),
    );
  });
}

/** Operators that follow from constants alone and that something other than float32 comes of in the end. */
function foldable(model: Model, graph: SubGraph, given: (index: number) => boolean): Operator[] {
  const operators = graph.operators ?? [];
  const results = new Set<number>();
  const fits = (index: number) =>
    canBeShown(graph.tensors![index]!.type) && elementCount(knownShape(graph.tensors![index]!)) <= LARGEST;
  const candidates = operators.filter((operator) => {
    const code = codeOf(model, operator);
    const outputs = Array.from(operator.outputs ?? []).filter((index) => index >= 0);
    const inputs = Array.from(operator.inputs ?? []);
    const from = inputs.every((index) => given(index) || results.has(index));
    if (!from || inputs.length === 0 || !canBeComputed(code)) return false;
    if (outputs.every((index) => given(index)) || !outputs.every(fits)) return false;
    for (const index of outputs) results.add(index);
    return true;
  });
  // Backwards from the integers: float32 results count only where integers are computed from them.
  const wanted = new Set<number>();
  return candidates
    .reverse()
    .filter((operator) => {
      const outputs = Array.from(operator.outputs ?? []).filter((index) => index >= 0);
      const needed = outputs.some((index) => wanted.has(index) || !isFloat32(graph.tensors![index]!));
      if (needed) for (const index of operator.inputs ?? []) wanted.add(index);
      return needed;
    })
    .reverse();
}

function shapeBytes(graph: SubGraph, operator: Operator): Uint8Array {
  const shape = knownShape(graph.tensors![operator.inputs![0]!]!);
  const long = graph.tensors![operator.outputs![0]!]!.type === TensorType.INT64;
  const values = long ? BigInt64Array.from(shape, BigInt) : Int32Array.from(shape);
  return new Uint8Array(values.buffer);
}
