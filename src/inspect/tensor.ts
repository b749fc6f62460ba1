/** One tensor of a file: who yields and reads it, what it holds; and the tensor that a person means by a name. */
import { closest, distance } from "fastest-levenshtein";
import { FileError } from "../base/errors.ts";
import {
  type Model,
  type OpenedModel,
  operatorName,
  type SubGraph,
  signatureNames,
  type Tensor,
} from "../model/index.ts";
import type { Dtype } from "../model/tensor-types.ts";
import { zeroPointLimits } from "../rules/dtypes.ts";
import { dtypeOf, type TensorFacts, tensorFacts } from "./facts.ts";
import { type ValueFacts, valueFacts } from "./values.ts";

export interface TensorDetails {
  readonly facts: TensorFacts;
  readonly subgraph: number;
  readonly index: number;
  readonly kind: "input" | "output" | "constant" | "variable" | "activation";
  /** The operator that yields it: `CONV_2D (x, w, b)`. */
  readonly yielded?: string;
  /** Operators that read it: `ADD → y`. */
  readonly readers: readonly string[];
  /** Its name in a signature. */
  readonly signature?: string;
  /** Of a constant that can be read here. */
  readonly values?: ValueFacts;
  /** Least and largest value that its integers stand for, where it has one scale. */
  readonly stands?: readonly [number, number];
}

/** Where a tensor is. */
export interface Place {
  readonly subgraph: number;
  readonly index: number;
}

/** Tensors of a name, in all subgraphs. Throws a FileError with the closest name where there is none. */
export function placesOf({ model, source }: OpenedModel, name: string): Place[] {
  const found = (model.subgraphs ?? []).flatMap(({ tensors = [] }, subgraph) =>
    tensors.flatMap((tensor, index) => (tensor.name === name ? [{ subgraph, index }] : [])),
  );
  if (found.length > 0) return found;
  const names = (model.subgraphs ?? []).flatMap(({ tensors = [] }) => tensors.map((tensor) => tensor.name ?? ""));
  const hint = closestName(name, names);
  throw new FileError(
    source.name,
    `no tensor is called "${name}"${hint === undefined ? "" : ` (did you mean "${hint}"?)`}; see the names with 'minmaxq inspect --tensors'`,
    { code: "no-such-tensor" },
  );
}

/** The name that is meant, most likely: one that ends or contains the words, whatever their case, else the fewest edits away; undefined where none is near. */
export function closestName(name: string, names: readonly string[]): string | undefined {
  const known = [...new Set(names)].filter((each) => each !== "");
  if (known.length === 0) return undefined;
  const wanted = name.toLowerCase();
  const shortest = (all: readonly string[]) => all.toSorted((a, b) => a.length - b.length)[0];
  const ending = known.filter((each) => each.toLowerCase().endsWith(wanted));
  const holding = known.filter((each) => each.toLowerCase().includes(wanted));
  if (wanted !== "" && holding.length > 0) return shortest(ending) ?? shortest(holding);
  const near = closest(name, known);
  return distance(name, near) <= Math.max(2, name.length / 2) ? near : undefined;
}

export function tensorDetails({ model }: OpenedModel, { subgraph, index }: Place): TensorDetails {
  const graph = model.subgraphs![subgraph]!;
  const tensor = graph.tensors![index]!;
  const facts = tensorFacts(model, tensor);
  const { inputs, outputs } = signatureNames(model, subgraph);
  const signature = inputs.get(index) ?? outputs.get(index);
  const values = valueFacts(tensor, model.buffers?.[tensor.buffer ?? 0]?.data);
  const stands = standsFor(tensor);
  const operators = graph.operators ?? [];
  const producer = operators.find(({ outputs: results }) => results?.includes(index));
  return {
    facts,
    subgraph,
    index,
    kind: kindOf(graph, tensor, index, facts.constant),
    ...(producer && { yielded: `${operatorName(model, producer)} (${namesOf(graph, producer.inputs)})` }),
    readers: operators
      .filter(({ inputs: operands }) => operands?.includes(index))
      .map((operator) => `${operatorName(model, operator)} → ${namesOf(graph, operator.outputs)}`),
    ...(signature !== undefined && { signature }),
    ...(values && { values }),
    ...(stands && { stands }),
  };
}

function kindOf(
  { inputs, outputs }: SubGraph,
  tensor: Tensor,
  index: number,
  constant: boolean,
): TensorDetails["kind"] {
  if (constant) return "constant";
  if (tensor.isVariable) return "variable";
  return inputs?.includes(index) ? "input" : outputs?.includes(index) ? "output" : "activation";
}

function namesOf({ tensors }: SubGraph, indices: Int32Array | undefined): string {
  return Array.from(indices ?? [], (at) => (at < 0 ? "-" : (tensors?.[at]?.name ?? ""))).join(", ");
}

/** What the least and the largest integer of its type stand for. */
function standsFor(tensor: Tensor): readonly [number, number] | undefined {
  const { scale, zeroPoint } = tensor.quantization ?? {};
  const limits = zeroPointLimits(dtypeOf(tensor) as Dtype);
  if (scale?.length !== 1 || !limits) return undefined;
  const at = (integer: number) => (integer - Number(zeroPoint?.[0] ?? 0n)) * scale[0]!;
  return [at(limits[0]), at(limits[1])];
}

/** The model's tensors by name in a subgraph, where names differ; the same name again with its number. */
export function byUniqueName(model: Model, subgraph: number): Map<string, number> {
  const found = new Map<string, number>();
  for (const [index, { name = "" }] of (model.subgraphs![subgraph]!.tensors ?? []).entries()) {
    let key = name;
    for (let again = 2; found.has(key); again++) key = `${name} #${again}`;
    found.set(key, index);
  }
  return found;
}
