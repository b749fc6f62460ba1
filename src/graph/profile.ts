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
import { isDeferred, rangeOf, readRange } from "../model/bytes.ts";
import type { Metadata, Model } from "../model/index.ts";
import type { Node } from "./graph.ts";

const SOURCES = "ONE_source_table";
const OPERATORS = "ONE_op_table";

/** Whether a model carries profile data: it must be kept true when operators change. */
export function hasProfile(model: Model): boolean {
  return readTables(model) !== null;
}

/** `written` with the two tables. `input` is the model as it was read, `operators` the nodes of the first graph's operators in order. */
export function withProfile(input: Model, written: Model, operators: readonly Node[]): Model {
  const position = new Map((input.subgraphs?.[0]?.operators ?? []).map((table, index) => [table, index]));
  const known = readTables(input);
  const idsAt = (at: number) => (known ? (known.operators.get(at) ?? []) : [at]);
  const alive = new Set(operators);
  const origins = operators.map((node) => {
    const operator = originOf(node, alive)?.operator;
    const at = operator ? position.get(operator) : undefined;
    return at === undefined ? [] : idsAt(at);
  });
  const buffers = [...(written.buffers ?? [])];
  const entry = (name: string, bytes: Uint8Array): Metadata => ({
    name,
    buffer: buffers.push({ data: rangeOf(bytes) }) - 1,
  });
  const metadata = (written.metadata ?? []).filter(({ name }) => name !== SOURCES && name !== OPERATORS);
  metadata.push(entry(SOURCES, encodeSources(known?.sources ?? sourcesOf(input))));
  metadata.push(entry(OPERATORS, encodeOperators(origins)));
  return { ...written, buffers, metadata };
}

/**
 * The operator as read that a written one stands for: itself; for one that a pass inserted (Quantize, Dequantize) the one
 * that it was put behind, else the first that it was put before.
 */
function originOf(node: Node, alive: ReadonlySet<Node>): Node | null {
  let behind: Node | null | undefined = node;
  while (behind && behind.operator === null) behind = behind.inputs[0];
  if (behind) return behind;
  const before = new Set([node]);
  for (const at of before) {
    if (at.operator) return at;
    for (const user of at.users) if (alive.has(user)) before.add(user);
  }
  return null;
}

/** Position and name (of the first result) of every operator. */
function sourcesOf(input: Model): Map<number, string> {
  const { operators = [], tensors = [] } = input.subgraphs?.[0] ?? {};
  return new Map(operators.map(({ outputs }, index) => [index, tensors[outputs?.[0] ?? -1]?.name ?? ""]));
}

function encodeSources(sources: ReadonlyMap<number, string>): Uint8Array {
  const writer = new TableWriter(sources.size);
  for (const [id, name] of sources) writer.integer(id).text(name);
  return writer.bytes();
}

function encodeOperators(origins: readonly (readonly number[])[]): Uint8Array {
  const writer = new TableWriter(origins.length);
  origins.forEach((ids, index) => {
    writer.integer(index).integer(ids.length);
    for (const id of ids) writer.integer(id);
  });
  return writer.bytes();
}

class TableWriter {
  private readonly parts: Buffer[] = [];

  constructor(count: number) {
    this.integer(count);
  }

  integer(value: number): this {
    const part = Buffer.alloc(4);
    part.writeUInt32LE(value);
    this.parts.push(part);
    return this;
  }

  /** Length with the NUL, bytes, NUL. */
  text(value: string): this {
    const part = Buffer.from(`${value}\0`);
    this.integer(part.length).parts.push(part);
    return this;
  }

  bytes(): Uint8Array {
    return Uint8Array.from(Buffer.concat(this.parts));
  }
}

interface Tables {
  readonly sources: ReadonlyMap<number, string>;
  /** Source ids by operator position. */
  readonly operators: ReadonlyMap<number, readonly number[]>;
}

/**
 * The tables that a model has already; null when it has none, they are damaged, or they name no operator: the reference without
 * the option writes such (golden inputs `input.qdqw-*`), and they say nothing.
 */
function readTables(model: Model): Tables | null {
  const bytesOf = (name: string): Buffer | null => {
    const entry = (model.metadata ?? []).find((each) => each.name === name);
    const data = entry && model.buffers?.[entry.buffer ?? 0]?.data;
    return data && !isDeferred(data) ? Buffer.from(readRange(data)) : null;
  };
  const [sourceBytes, operatorBytes] = [bytesOf(SOURCES), bytesOf(OPERATORS)];
  if (!sourceBytes || !operatorBytes) return null;
  try {
    const operators = decodeOperators(operatorBytes);
    return operators.size > 0 ? { sources: decodeSources(sourceBytes), operators } : null;
  } catch (error) {
    // Buffer's readers throw a RangeError past the end.
    if (error instanceof RangeError) return null;
    throw error;
  }
}

function decodeSources(bytes: Buffer): Map<number, string> {
  const sources = new Map<number, string>();
  const count = bytes.readUInt32LE(0);
  for (let i = 0, at = 4; i < count; i++) {
    const length = bytes.readUInt32LE(at + 4);
    if (at + 8 + length > bytes.length) throw new RangeError("the table ends too early");
    sources.set(bytes.readUInt32LE(at), bytes.toString("utf8", at + 8, at + 8 + Math.max(0, length - 1)));
    at += 8 + length;
  }
  return sources;
}

function decodeOperators(bytes: Buffer): Map<number, number[]> {
  const operators = new Map<number, number[]>();
  const count = bytes.readUInt32LE(0);
  for (let i = 0, at = 4; i < count; i++) {
    const length = bytes.readUInt32LE(at + 4);
    if (at + 8 + length * 4 > bytes.length) throw new RangeError("the table ends too early");
    operators.set(
      bytes.readUInt32LE(at),
      Array.from({ length }, (_, id) => bytes.readUInt32LE(at + 8 + id * 4)),
    );
    at += 8 + length * 4;
  }
  return operators;
}
