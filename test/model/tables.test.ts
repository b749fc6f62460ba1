/** What is written, read by the format's own package instead of by our reader: where everything lies, and that it is aligned. */
import { describe, expect, test } from "bun:test";
import { ByteBuffer } from "flatbuffers";
import {
  DIALECTS,
  type Dialect,
  ENUMS,
  type FieldSchema,
  type ScalarType,
  serializeModel,
} from "../../src/model/index.ts";
import { SCALAR_SIZE } from "../../src/model/scalars.ts";
import { TableWriter } from "../../src/model/table-writer.ts";
import { everything } from "./everything.ts";

type Table = Readonly<Record<string, unknown>>;

const SCALAR: Readonly<Record<ScalarType, (bytes: ByteBuffer, at: number) => unknown>> = {
  bool: (bytes, at) => bytes.readInt8(at) !== 0,
  byte: (bytes, at) => bytes.readInt8(at),
  ubyte: (bytes, at) => bytes.readUint8(at),
  short: (bytes, at) => bytes.readInt16(at),
  ushort: (bytes, at) => bytes.readUint16(at),
  int: (bytes, at) => bytes.readInt32(at),
  uint: (bytes, at) => bytes.readUint32(at),
  float: (bytes, at) => bytes.readFloat32(at),
  double: (bytes, at) => bytes.readFloat64(at),
  long: (bytes, at) => bytes.readInt64(at),
  ulong: (bytes, at) => bytes.readUint64(at),
};

/** Hidden in memory, or made of something else there. */
const OTHERWISE = /^(OperatorCode\.deprecatedBuiltinCode|Operator\.largeCustomOptions(Offset|Size)?)$/;

class Walk {
  /** Fields looked at. */
  fields = 0;

  constructor(
    private readonly bytes: ByteBuffer,
    private readonly dialect: Dialect,
  ) {}

  table(name: string, at: number, table: Table, path: string): void {
    for (const field of DIALECTS[this.dialect].tables[name]!) {
      if (OTHERWISE.test(`${name}.${field.name}`)) continue;
      const value = table[field.name];
      const here = `${path}.${field.name}`;
      const offset = this.bytes.__offset(at, 4 + 2 * field.slot);
      if (field.kind === "union") this.union(field, at, offset, value, here);
      else if (value === undefined) expect(`${here}: ${offset}`).toBe(`${here}: 0`);
      else {
        expect(`${here}: ${offset > 0}`).toBe(`${here}: true`);
        this.field(field, at + offset, value, here);
      }
      this.fields++;
    }
  }

  private field(field: FieldSchema, at: number, value: unknown, path: string): void {
    const { bytes } = this;
    const width = field.kind === "scalar" ? SCALAR_SIZE[field.type as ScalarType] : 4;
    expect(`${path}: ${at % width}`).toBe(`${path}: 0`);
    if (field.kind === "scalar") {
      expect([path, SCALAR[field.type as ScalarType](bytes, at)]).toEqual([path, this.inFile(field, value)]);
    } else if (field.kind === "string") {
      expect(bytes.__string(at)).toBe(value as string);
    } else if (field.kind === "table") {
      this.table(field.type, bytes.__indirect(at), value as Table, path);
    } else {
      const elements = bytes.__vector(at);
      const list = value as ArrayLike<unknown>;
      expect([path, bytes.__vector_len(at)]).toEqual([path, list.length]);
      if (field.kind === "tables")
        for (let i = 0; i < list.length; i++)
          this.table(field.type, bytes.__indirect(elements + 4 * i), list[i] as Table, `${path}[${i}]`);
      if (field.kind === "scalars") this.scalars(field, elements, list, path);
      if (field.kind === "content") expect(`${path}: ${elements % 16}`).toBe(`${path}: 0`);
    }
  }

  private scalars(field: FieldSchema, elements: number, list: ArrayLike<unknown>, path: string): void {
    const type = field.type as ScalarType;
    const size = SCALAR_SIZE[type];
    expect(`${path}: ${elements % Math.max(size, field.align ?? 1)}`).toBe(`${path}: 0`);
    // A vector of bool is bytes in memory.
    const read = SCALAR[type === "bool" ? "ubyte" : type];
    expect(Array.from(list, (_, i) => read(this.bytes, elements + size * i))).toEqual(Array.from(list));
  }

  private union(field: FieldSchema, at: number, offset: number, value: unknown, path: string): void {
    const tagAt = this.bytes.__offset(at, 4 + 2 * (field.slot - 1));
    const union = value as { type: string; value: Table | null } | undefined;
    expect([path, tagAt > 0, offset > 0]).toEqual([path, union !== undefined, Boolean(union?.value)]);
    if (!union) return;
    const tag = union.type === "NONE" ? 0 : DIALECTS[this.dialect].unions[field.type]![union.type]!;
    expect([path, this.bytes.readUint8(at + tagAt)]).toEqual([path, tag]);
    if (union.value) this.table(union.type, this.bytes.__indirect(at + offset), union.value, path);
  }

  /** An enum's number in this dialect. */
  private inFile({ enum: name }: FieldSchema, value: unknown): unknown {
    const member = name && Object.entries(ENUMS[name]!).find(([, number]) => number === value)?.[0];
    return member ? DIALECTS[this.dialect].enums[name]![member] : value;
  }
}

describe.each(["circle", "tflite"] as const)("%s", (dialect: Dialect) => {
  test("every field of every table lies where the format's own package finds it, aligned", async () => {
    const model = everything(dialect);
    const bytes = new ByteBuffer(await serializeModel(model, { dialect }));
    expect(bytes.__has_identifier(DIALECTS[dialect].identifier)).toBe(true);
    const walk = new Walk(bytes, dialect);
    walk.table("Model", bytes.readInt32(0), model as Table, "model");
    expect(walk.fields).toBeGreaterThan(1000);
  });
});

test("a writer that has to grow in the middle of anything writes the same", () => {
  const written = (capacity: number) => {
    const writer = new TableWriter(capacity);
    const shape = writer.shape([
      { slot: 0, size: 1 },
      { slot: 2, size: 8 },
      { slot: 5, size: 4 },
    ]);
    const tables = Array.from({ length: 20 }, (_, i) => {
      const table = writer.table(shape);
      writer.view.setBigInt64(table + shape.offsets[1]!, BigInt(i), true);
      writer.refer(table + shape.offsets[2]!, writer.string("漢".repeat(i)));
      const vector = writer.vector(i, 8 * i, 8);
      writer.set(vector, new Uint8Array(8 * i).fill(i));
      return table;
    });
    return writer.finish(tables[0]!, "TEST");
  };
  const wanted = written(100_000);
  for (const capacity of [0, 100, 333, 1000, 2001]) expect(written(capacity)).toEqual(wanted);
  const bytes = new ByteBuffer(wanted);
  const root = bytes.readInt32(0);
  expect([bytes.__offset(root, 4) > 0, bytes.__offset(root, 6), bytes.__offset(root, 14) > 0]).toEqual([true, 0, true]);
});
