/**
 * Profile data (§5.1 `--generate_profile_data`): which operators of the original model a written operator comes from.
 *
 *     ONE_source_table   u32 count; then per original operator   u32 id, u32 length with NUL, name, NUL
 *     ONE_op_table       u32 count; then per written operator    u32 position, u32 n, n × u32 id          all little-endian
 *
 *     CONV_2D "c" (operator 0) ─▶ RELU "r" (1)   →   sources 0 "c", 1 "r"
 *     c ─▶ c_Quantize ─▶ r                       →   operators 0: {0}, 1: {0} (its operand's), 2: {1}
 *
 * A model that has the tables already, from the step before, keeps its sources; written operators point to those. The tables know one
 * graph only: they are made for the first.
 */
import { readRange } from "../model/bytes.ts";
import { isDeferred, type Metadata, type Model, rangeOf } from "../model/index.ts";
import { firstUser, type Node } from "./graph.ts";

const SOURCES = "ONE_source_table";
const OPERATORS = "ONE_op_table";

/** Whether a model carries profile data: it must be kept true when operators change. */
export function hasProfile(model: Model): boolean {
  return (model.metadata ?? []).some(({ name }) => name === SOURCES || name === OPERATORS);
}

/** `written` with the two tables. `input` is the model as it was read, `operators` the nodes of the first graph's operators in order. */
export function withProfile(input: Model, written: Model, operators: readonly Node[]): Model {
  const old = readTables(input);
  const tables = input.subgraphs?.[0]?.operators ?? [];
  const position = new Map(tables.map((table, index) => [table, index]));
  const sources = old?.sources ?? sourcesOf(input);
  const idsOf = (node: Node): number[] => {
    const at = position.get(originOf(node)?.operator as never);
    if (at === undefined) return [];
    return old ? (old.operators.get(at) ?? []) : [at];
  };
  const table = new Map(operators.map((node, index) => [index, idsOf(node)]));
  const entries: [string, Uint8Array][] = [
    [SOURCES, encodeSources(sources)],
    [OPERATORS, encodeOperators(table)],
  ];
  const buffers = [...(written.buffers ?? [])];
  const others = (written.metadata ?? []).filter(({ name }) => name !== SOURCES && name !== OPERATORS);
  const made = entries.map(([name, bytes]): Metadata => ({ name, buffer: buffers.push({ data: rangeOf(bytes) }) - 1 }));
  return { ...written, buffers, metadata: [...others, ...made] };
}

/** Operators as read stand for themselves; a Quantize or Dequantize for what it was put behind, else for what it was put before. */
function originOf(node: Node): Node | null {
  return search(node, (at) => at.inputs) ?? search(node, (at) => [...at.users]);
}

/** The nearest operator as read, along a chain of nodes that passes made. */
function search(node: Node, next: (node: Node) => readonly (Node | null)[]): Node | null {
  const seen = new Set<Node>([node]);
  for (const at of seen) {
    if (at.operator) return at;
    if (at.kind === "operator" || at.kind === "result" || at === node) for (const each of next(at)) if (each) seen.add(each);
  }
  return null;
}
