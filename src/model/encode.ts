/**
 * Tables → FlatBuffer bytes, without the weights.
 *
 * What is present in memory is present in the file, also scalars that equal their default and empty vectors, so a
 * model that is read and written says the same. Weights get a place later: the encoder leaves a gap for each
 * reference and tells where (`References`).
 */
import { Builder } from "flatbuffers";
import { MinmaxqError } from "../errors.ts";
import type { Content } from "./bytes.ts";
import { deprecatedCode } from "./operator-codes.ts";
import { ARRAYS, SCALAR_SIZE, type Scalar, type TypedArray } from "./scalars.ts";
import {
  DIALECTS,
  type Dialect,
  type DialectSchema,
  ENUMS,
  type FieldSchema,
  type Model,
  nameOf,
  type ScalarType,
} from "./schema.gen.ts";

/** A gap in the metadata that wants the place of a content. */
export interface Reference {
  readonly content: Content;
  /** Where the gap is, from the beginning of the metadata. */
  readonly at: number;
  /** vector: 4 bytes, distance to the data's length prefix. offset: 8 bytes, place in the file. */
  readonly kind: "vector" | "offset";
}

/** A vector of scalars and where its elements are, from the beginning of the metadata. */
interface Vector {
  readonly values: TypedArray;
  readonly at: number;
}

export interface Encoded {
  readonly bytes: Uint8Array;
  readonly references: readonly Reference[];
  readonly vectors: readonly Vector[];
}

type Table = Readonly<Record<string, unknown>>;
/** What the schema says of a table, looked up once. */
interface Plan {
  readonly fields: readonly FieldSchema[];
  readonly names: ReadonlySet<string>;
  readonly slots: number;
}
type Union = { type: string; value: Table | null };

/** Scalars of quantization parameters: what may still be set when the tables are encoded (Fill). */
const PARAMETERS: ReadonlySet<ScalarType> = new Set<ScalarType>(["float", "long"]);
/** Elements of a vector up to which it is written one by one. */
const SHORT = 8;

const FILE_ENDING = { circle: ".circle", tflite: ".tflite" } as const;

/**
 * Encodes a model's tables. With `external`, buffers lie behind the FlatBuffer and are named by offset and size;
 * without, they are vectors whose reference is 4 bytes. Throws a MinmaxqError for what the dialect cannot say.
 */
export function encodeModel(model: Model, dialect: Dialect, external: boolean): Encoded {
  return new Encoder(dialect, external, roughSize(model)).encode(model as Table);
}

/** About the bytes of a model's tables: a builder that grows copies everything and keeps the old beside the new. */
function roughSize({ subgraphs = [], buffers = [] }: Model): number {
  let bytes = 4096 + 64 * buffers.length;
  for (const { tensors = [], operators = [] } of subgraphs) {
    bytes += 256 * operators.length;
    for (const { quantization } of tensors) {
      bytes += 256;
      if (!quantization) continue;
      const { min, max, scale, zeroPoint } = quantization;
      for (const list of [min, max, scale, zeroPoint]) bytes += list?.byteLength ?? 0;
    }
  }
  return bytes;
}

/** Takes over parameters that were set in the model's typed arrays since it was encoded. */
export function refresh({ bytes, vectors }: Encoded): void {
  for (const { values, at } of vectors)
    bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), at);
}

class Encoder {
  private readonly builder: Builder;
  private readonly schema: DialectSchema;
  private readonly path: (string | number)[] = [];
  /** `at` counts from the end here, as positions in a builder do. */
  private readonly references: Reference[] = [];
  private readonly vectors: Vector[] = [];
  /** By enum: the number in the file of a number in memory. */
  private readonly enumNumbers = new Map<string, Map<number, number>>();
  private readonly plans = new Map<string, Plan>();

  constructor(
    private readonly dialect: Dialect,
    private readonly external: boolean,
    bytes: number,
  ) {
    this.builder = new Builder(bytes);
    this.schema = DIALECTS[dialect];
    this.builder.forceDefaults(true);
  }

  encode(model: Table): Encoded {
    this.builder.finish(this.table("Model", model), this.schema.identifier);
    const bytes = this.builder.asUint8Array();
    const references = this.references.map((reference) => ({ ...reference, at: bytes.length - reference.at }));
    const vectors = this.vectors.map(({ values, at }) => ({ values, at: bytes.length - at }));
    return { bytes, references, vectors };
  }

  private fail(what: string): never {
    const path = this.path.map((part, i) => (typeof part === "number" ? `[${part}]` : i ? `.${part}` : part)).join("");
    throw new MinmaxqError(`${path}: ${what} cannot be written to a ${FILE_ENDING[this.dialect]} file`);
  }

  /** Writes a table behind everything that it refers to; gives its place in the builder. */
  private table(name: string, given: Table): number {
    const { fields, names, slots } = this.plan(name);
    const table = this.adapt(name, given);
    for (const member in table) if (!names.has(member)) this.checkMember(name, table, member);
    // What each field holds before the table itself is written: an offset in the builder, or a scalar.
    const prepared: (Scalar | undefined)[] = [];
    for (const field of fields) {
      const value = table[field.name];
      if (value === undefined) {
        prepared.push(undefined);
        continue;
      }
      this.path.push(field.name);
      prepared.push(this.prepare(field, value));
      this.path.pop();
    }
    const { builder } = this;
    builder.startObject(slots);
    for (let i = 0; i < fields.length; i++) {
      const value = prepared[i];
      if (value !== undefined) this.add(fields[i]!, value, table[fields[i]!.name]);
    }
    return builder.endObject();
  }

  private plan(name: string): Plan {
    let plan = this.plans.get(name);
    if (!plan) {
      const fields = this.schema.tables[name];
      if (!fields) this.fail(name);
      plan = { fields, names: new Set(fields.map((field) => field.name)), slots: slotsOf(fields) };
      this.plans.set(name, plan);
    }
    return plan;
  }

  /** Writes what a field refers to; gives what the table will hold: an offset, or the scalar itself. */
  private prepare(field: FieldSchema, value: unknown): Scalar {
    switch (field.kind) {
      case "scalar":
        // A content in a scalar's place: its offset in the file (see adapt).
        if (typeof value === "object") return 0n;
        return field.enum ? this.enumNumber(field.enum, value as number) : (value as Scalar);
      case "string":
        return this.builder.createString(value as string);
      case "table":
        return this.table(field.type, value as Table);
      case "scalars":
        return this.scalars(field, value as TypedArray);
      case "tables":
        return this.tables(field.type, value as Table[]);
      case "content":
        return 0;
      case "union": {
        const union = value as Union;
        this.tagOf(field, union);
        return union.value ? this.table(union.type, union.value) : 0;
      }
    }
  }

  /** Puts a prepared field into the table that is being written. */
  private add(field: FieldSchema, prepared: Scalar, value: unknown): void {
    const { builder } = this;
    const { slot } = field;
    if (field.kind === "scalar") {
      this.addScalar(field.type as ScalarType, slot, prepared);
      if (typeof value === "object") this.refer(value as Content, "offset");
    } else if (field.kind === "content") {
      builder.addFieldInt32(slot, 0, 0);
      this.refer(value as Content, "vector");
    } else if (field.kind === "union") {
      const union = value as Union;
      builder.addFieldInt8(slot - 1, this.tagOf(field, union), 0);
      if (union.value) builder.addFieldOffset(slot, prepared as number, 0);
    } else {
      builder.addFieldOffset(slot, prepared as number, 0);
    }
  }

  private refer(content: Content, kind: Reference["kind"]): void {
    this.references.push({ content, at: this.builder.offset(), kind });
  }

  private tagOf(field: FieldSchema, { type }: Union): number {
    if (type === "NONE") return 0;
    const tag = this.schema.unions[field.type]![type];
    if (tag === undefined) this.fail(type);
    return tag;
  }

  private enumNumber(name: string, value: number): number {
    let numbers = this.enumNumbers.get(name);
    if (!numbers) {
      const members = Object.entries(this.schema.enums[name]!);
      numbers = new Map(members.map(([member, n]) => [ENUMS[name]![member]!, n]));
      this.enumNumbers.set(name, numbers);
    }
    const number = numbers.get(value);
    if (number !== undefined) return number;
    const member = nameOf(ENUMS[name]!, value);
    if (member !== String(value)) this.fail(`${name} ${member}`);
    return value;
  }

  private addScalar(type: ScalarType, slot: number, value: Scalar): void {
    const { builder } = this;
    if (type === "float") builder.addFieldFloat32(slot, value as number, 0);
    else if (type === "double") builder.addFieldFloat64(slot, value as number, 0);
    else if (SCALAR_SIZE[type] === 8) builder.addFieldInt64(slot, BigInt(value), 0n);
    else if (SCALAR_SIZE[type] === 4) builder.addFieldInt32(slot, Number(value), 0);
    else if (SCALAR_SIZE[type] === 2) builder.addFieldInt16(slot, Number(value), 0);
    else builder.addFieldInt8(slot, Number(value), 0);
  }

  private scalars(field: FieldSchema, values: TypedArray): number {
    const { builder } = this;
    const type = field.type as ScalarType;
    const array = values instanceof ARRAYS[type] ? values : ARRAYS[type].from(values as Iterable<never>);
    const size = SCALAR_SIZE[type];
    if (type === "int" && array.length <= SHORT) return this.shortVector(array as Int32Array, field.align ?? 1);
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    // The builder copies bytes at once but other elements one by one; so the room is made for the elements, and the length, which
    // it counts in bytes, is set right.
    builder.prep(4, bytes.length);
    builder.prep(Math.max(size, field.align ?? 1), bytes.length);
    const vector = builder.createByteVector(bytes);
    const all = builder.dataBuffer();
    all.writeInt32(all.capacity() - vector, array.length);
    if (array === values && PARAMETERS.has(type)) this.vectors.push({ values, at: vector - 4 });
    return vector;
  }

  /** Shapes and operands. Their bytes are not asked for: a small typed array has none until then, and making them takes longer. */
  private shortVector(values: Int32Array, align: number): number {
    const { builder } = this;
    builder.startVector(4, values.length, Math.max(4, align));
    for (let i = values.length - 1; i >= 0; i--) builder.addInt32(values[i]!);
    return builder.endVector();
  }

  private tables(type: string, tables: readonly Table[]): number {
    const { builder } = this;
    const places = tables.map((table, i) => {
      this.path.push(i);
      const place = this.table(type, table);
      this.path.pop();
      return place;
    });
    builder.startVector(4, places.length, 4);
    for (let i = places.length - 1; i >= 0; i--) builder.addOffset(places[i]!);
    return builder.endVector();
  }

  /** A member without a place in this dialect is an error, unless it says no more than absence does. */
  private checkMember(name: string, table: Table, member: string): void {
    const value = table[member];
    if (value === undefined) return;
    const other = DIALECTS[this.dialect === "circle" ? "tflite" : "circle"].tables[name] ?? [];
    const foreign = other.find((field) => field.name === member);
    if (!foreign) throw new Error(`${name} has no field ${member}`);
    if (foreign.default === value) return;
    this.path.push(member);
    this.fail("this field");
  }

  /** The tables that are not in memory as they are in the file; the counterpart of the reader's. */
  private adapt(name: string, table: Table): Table {
    if (name === "OperatorCode") {
      const builtinCode = (table.builtinCode as number | undefined) ?? 0;
      return { ...table, builtinCode, deprecatedBuiltinCode: deprecatedCode(builtinCode) };
    }
    if (name === "Operator" && table.largeCustomOptions) {
      const { largeCustomOptions, ...rest } = table;
      const content = largeCustomOptions as Content;
      const size = BigInt(content.length);
      return { ...rest, largeCustomOptionsOffset: content, largeCustomOptionsSize: size };
    }
    if (name === "Buffer" && this.external && table.data) {
      const { data, ...rest } = table;
      const content = data as Content;
      // Sizes 0 and 1 mean "none" to some readers; such contents stay inside.
      if (content.length > 1) return { ...rest, offset: content, size: BigInt(content.length) };
    }
    return table;
  }
}

function slotsOf(fields: readonly FieldSchema[]): number {
  return fields.reduce((slots, field) => Math.max(slots, field.slot + 1), 0);
}
