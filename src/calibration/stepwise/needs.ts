/**
 * Which models have to be run operator by operator (interpreter.ts): those of which LiteRT cannot show everything at once, or not the same
 * every time.
 */
import { MinmaxqError } from "../../base/errors.ts";
import {
  BuiltinOperator,
  type Model,
  nameOf,
  type Operator,
  reachableSubgraphs,
  type SubGraph,
  TensorType,
} from "../../model/index.ts";
import { kindFacts } from "../../rules/kind-facts.ts";
import type { Known } from "../evaluate.ts";
import { codeOf, constantsOf, subgraphOf } from "../graph-facts.ts";

/** Kinds that run subgraphs and that the interpreter runs itself; others (STABLEHLO_REDUCE …) are LiteRT's. */
const CONTROL: ReadonlySet<string> = new Set([
  "CALL",
  "CALL_ONCE",
  "IF",
  "STABLEHLO_COMPOSITE",
  "STABLEHLO_WHILE",
  "WHILE",
] satisfies (keyof typeof BuiltinOperator)[]);

/** Kinds of variables that the interpreter keeps itself; hash tables stay LiteRT's. */
const VARIABLES: ReadonlySet<string> = new Set([
  "ASSIGN_VARIABLE",
  "READ_VARIABLE",
  "VAR_HANDLE",
] satisfies (keyof typeof BuiltinOperator)[]);

/** Whether sizes of an operator's results follow from values that are not constant: a shape, a count, or what WHERE looks at. */
export function sizesFromValues(
  model: Model,
  graph: SubGraph,
  operator: Operator,
  isConstant: (tensor: number) => boolean,
): boolean {
  const { size, shapeFirst } = kindFacts(codeOf(model, operator));
  if (size === "operands") return false;
  const operands = Array.from(operator.inputs ?? []);
  const open = (index: number) => index >= 0 && !isConstant(index);
  if (size === "values") return operands.some(open);
  return operands.some((index, place) => open(index) && isCount(graph, index) && (place > 0 || shapeFirst));
}

function isCount(graph: SubGraph, index: number): boolean {
  const type = graph.tensors![index]!.type;
  return type === TensorType.INT32 || type === TensorType.INT64;
}

/**
 * Whether the model has to be run operator by operator. `known`: results that are the same for every record. `sequence`: records follow
 * each other, so variable tensors keep what they have.
 */
export function needsSteps(model: Model, subgraph: number, known: Known, sequence = false): boolean {
  const graph = subgraphOf(model, subgraph);
  if (sequence && graph.tensors?.some(({ isVariable }) => isVariable)) return true;
  const constants = constantsOf(model, graph);
  const isKnown = (index: number) => constants.has(index) || known.has(index);
  return (graph.operators ?? []).some((operator) => {
    const kind = nameOf(BuiltinOperator, codeOf(model, operator));
    if (CONTROL.has(kind) || VARIABLES.has(kind) || kindFacts(kind).chance) return true;
    if (kindFacts(kind).foreign) return false;
    const results = Array.from(operator.outputs ?? []).filter((index) => index >= 0);
    if (results.every(isKnown)) return false;
    return sizesFromValues(model, graph, operator, isKnown) || results.some((index) => isUncertain(graph, index));
  });
}

/** A result whose declared size cannot be trusted: a dimension behind the first is not known. */
function isUncertain(graph: SubGraph, index: number): boolean {
  const { shapeSignature } = graph.tensors![index]!;
  return shapeSignature?.some((dim, place) => dim < 0 && place > 0) ?? false;
}

/** The variable that VAR_HANDLE names. */
export function variableName(operator: Operator): string {
  const options = operator.builtinOptions?.type === "VarHandleOptions" ? operator.builtinOptions.value : null;
  return [options?.container, options?.sharedName].filter(Boolean).join("/");
}

/** Variables that operators of these subgraphs read and assign, by name. */
export function variablesOf(
  model: Model,
  subgraphs: readonly number[],
): { readonly read: ReadonlySet<string>; readonly assigned: ReadonlySet<string> } {
  const read = new Set<string>();
  const assigned = new Set<string>();
  for (const number of subgraphs) {
    const handles = new Map<number, string>();
    for (const operator of subgraphOf(model, number).operators ?? []) {
      const kind = nameOf(BuiltinOperator, codeOf(model, operator));
      if (kind === "VAR_HANDLE") handles.set(operator.outputs![0]!, variableName(operator));
      const name = handles.get(operator.inputs?.[0] ?? -1);
      if (name === undefined) continue;
      if (kind === "READ_VARIABLE") read.add(name);
      // A handle that is given to a subgraph may be assigned there under another number.
      else assigned.add(name);
    }
  }
  return { read, assigned };
}

/** Throws one MinmaxqError for all variables that are read and that nothing ever assigns: converters forget their initial values. */
export function checkVariables(model: Model, subgraph: number): void {
  const { read, assigned } = variablesOf(model, reachableSubgraphs(model, subgraph));
  const missing = [...read].filter((name) => !assigned.has(name));
  if (missing.length === 0) return;
  const names = missing.map((name) => `"${name}"`).join(", ");
  throw new MinmaxqError(
    `${missing.length === 1 ? "the variable" : "the variables"} ${names} ${missing.length === 1 ? "is" : "are"} read, but nothing assigns a value, so results are chance; export the model with its variables frozen or initialized`,
    { code: "variables-without-value" },
  );
}
