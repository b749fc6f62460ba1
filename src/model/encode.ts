/**
 * Tables → FlatBuffer bytes, without the weights.
 *
 * What is present in memory is present in the file, also scalars that equal their default and empty vectors, so a
 * model that is read and written says the same. Weights get a place later: the encoder leaves a gap for each
 * reference and tells where (`References`).
 */
import { MinmaxqError } from "../base/errors.ts";
import type { Content } from "./bytes.ts";
import { deprecatedCode } from "./operator-codes.ts";
import { ARRAYS, SCALAR_SIZE, type Scalar, SHORT_VECTOR, type TypedArray } from "./scalars.ts";
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
import { type Shape, type Slot, TableWriter } from "./table-writer.ts";

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
interface TablePlan {
  readonly fields: readonly FieldSchema[];
  readonly names: ReadonlySet<string>;
  /** By which fields are present, a bit each (and another one for a union that is only a tag): where they lie. */
  readonly shapes: Map<number, Shape>;
}
type Union = { type: string; value: Table | null };

/** Scalars of quantization parameters: what may still be set when the tables are encoded (Fill). */
const PARAMETERS: ReadonlySet<ScalarType> = new Set<ScalarType>(["float", "long"]);
/** Fields of a table; twice as many bits are exact in a number. */
const MOST_FIELDS = 26;

const FILE_ENDING = { circle: ".circle", tflite: ".tflite" } as const;

/**
 * Encodes a model's tables. With `external`, buffers lie behind the FlatBuffer and are named by offset and size;
 * without, they are vectors whose reference is 4 bytes. Throws a MinmaxqError for what the dialect cannot say.
 */
export function encodeModel(model: Model, dialect: Dialect, external: boolean): Encoded {
  return new Encoder(dialect, external, roughSize(model)).encode(model as Table);
}

/** About the bytes of a model's tables: a writer that grows copies everything and keeps the old beside the new. */
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

/** A union that says what it is and holds nothing: there is no reference then. */
function isOnlyTag(field: FieldSchema, value: unknown): boolean {
  return field.kind === "union" && !(value as Union).value;
}

class Encoder {
  private readonly writer: TableWriter;
  private readonly schema: DialectSchema;
  private readonly path: (string | number)[] = [];
  private readonly references: Reference[] = [];
  private readonly vectors: Vector[] = [];
  /** By enum: the number in the file of a number in memory. */
  private readonly enumNumbers = new Map<string, Map<number, number>>();
  private readonly plans = new Map<string, TablePlan>();

  constructor(
    private readonly dialect: Dialect,
    private readonly external: boolean,
    bytes: number,
  ) {
    this.writer = new TableWriter(bytes);
    this.schema = DIALECTS[dialect];
  }

  encode(model: Table): Encoded {
    const bytes = this.writer.finish(this.table("Model", model), this.schema.identifier);
    return { bytes, references: this.references, vectors: this.vectors };
  }

  private fail(what: string): never {
    const path = this.path.map((part, i) => (typeof part === "number" ? `[${part}]` : i ? `.${part}` : part)).join("");
    throw new MinmaxqError(`${path}: ${what} cannot be written to a ${FILE_ENDING[this.dialect]} file`);
  }

  /** Writes a table and, behind it, what it refers to; gives its place. */
  private table(name: string, given: Table): number {
    const plan = this.plan(name);
    const { fields, names } = plan;
    const table = this.adapt(name, given);
    for (const member in table) if (!names.has(member)) this.checkMember(name, table, member);
    let present = 0;
    for (let i = 0; i < fields.length; i++) {
      const value = table[fields[i]!.name];
      if (value !== undefined) present += 2 ** (isOnlyTag(fields[i]!, value) ? MOST_FIELDS + i : i);
    }
    const shape = plan.shapes.get(present) ?? this.newShape(plan, table, present);
    const at = this.writer.table(shape);
    let next = 0;
    for (let i = 0; i < fields.length; i++) {
      const field = fields[i]!;
      const value = table[field.name];
      if (value === undefined) continue;
      this.path.push(field.name);
      if (field.kind === "union")
        this.writer.view.setUint8(at + shape.offsets[next++]!, this.tagOf(field, value as Union));
      if (!isOnlyTag(field, value)) this.put(field, value, at + shape.offsets[next++]!);
      this.path.pop();
    }
    return at;
  }

  private plan(name: string): TablePlan {
    let plan = this.plans.get(name);
    if (!plan) {
      const fields = this.schema.tables[name];
      if (!fields) this.fail(name);
      if (fields.length > MOST_FIELDS) throw new Error(`${name} has ${fields.length} fields`);
      plan = { fields, names: new Set(fields.map((field) => field.name)), shapes: new Map() };
      this.plans.set(name, plan);
    }
    return plan;
  }

  /** The shape of a table with other fields than those before; a union has its tag's slot before its own. */
  private newShape({ fields, shapes }: TablePlan, table: Table, present: number): Shape {
    const slots = fields.flatMap((field): Slot[] => {
      const value = table[field.name];
      if (value === undefined) return [];
      const { slot } = field;
      const own: Slot = { slot, size: field.kind === "scalar" ? SCALAR_SIZE[field.type as ScalarType] : 4 };
      if (field.kind !== "union") return [own];
      const tag: Slot = { slot: slot - 1, size: 1 };
      return isOnlyTag(field, value) ? [tag] : [tag, own];
    });
    const shape = this.writer.shape(slots);
    shapes.set(present, shape);
    return shape;
  }

  /** Writes a field's value at its place in its table: the number itself, or a reference to what is written now. */
  private put(field: FieldSchema, value: unknown, at: number): void {
    const { writer } = this;
    switch (field.kind) {
      case "scalar":
        // A content in a scalar's place: its offset in the file (see adapt).
        if (typeof value === "object") this.references.push({ content: value as Content, at, kind: "offset" });
        else this.putScalar(field, value as Scalar, at);
        return;
      case "string":
        return writer.refer(at, writer.string(value as string));
      case "table":
        return writer.refer(at, this.table(field.type, value as Table));
      case "scalars":
        return writer.refer(at, this.scalars(field, value as TypedArray));
      case "tables":
        return writer.refer(at, this.tables(field.type, value as Table[]));
      case "content":
        this.references.push({ content: value as Content, at, kind: "vector" });
        return;
      case "union": {
        const union = value as Union;
        return writer.refer(at, this.table(union.type, union.value!));
      }
    }
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

  private putScalar(field: FieldSchema, given: Scalar, at: number): void {
    const { view } = this.writer;
    const value = field.enum ? this.enumNumber(field.enum, given as number) : given;
    const type = field.type as ScalarType;
    if (type === "float") view.setFloat32(at, value as number, true);
    else if (type === "double") view.setFloat64(at, value as number, true);
    else if (SCALAR_SIZE[type] === 8) view.setBigInt64(at, BigInt(value), true);
    else if (SCALAR_SIZE[type] === 4) view.setInt32(at, Number(value), true);
    else if (SCALAR_SIZE[type] === 2) view.setInt16(at, Number(value), true);
    else view.setInt8(at, Number(value));
  }

  private scalars(field: FieldSchema, values: TypedArray): number {
    const { writer } = this;
    const type = field.type as ScalarType;
    const array = values instanceof ARRAYS[type] ? values : ARRAYS[type].from(values as Iterable<never>);
    const size = SCALAR_SIZE[type];
    const at = writer.vector(array.length, array.length * size, Math.max(size, field.align ?? 1));
    if (type === "int" && array.length <= SHORT_VECTOR) {
      for (let i = 0; i < array.length; i++) writer.view.setInt32(at + 4 + 4 * i, array[i] as number, true);
      return at;
    }
    writer.set(at, new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
    if (array === values && PARAMETERS.has(type)) this.vectors.push({ values, at: at + 4 });
    return at;
  }

  private tables(type: string, tables: readonly Table[]): number {
    const { writer } = this;
    const at = writer.vector(tables.length, 4 * tables.length, 4);
    for (let i = 0; i < tables.length; i++) {
      this.path.push(i);
      const place = this.table(type, tables[i]!);
      writer.refer(at + 4 + 4 * i, place);
      this.path.pop();
    }
    return at;
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
