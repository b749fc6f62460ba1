/**
 * File → tables. One generic reader walks the schema's description of the format; nothing in the file is trusted.
 *
 * - Every position is checked against the file's size (pages.ts), so damage cannot read outside.
 * - What is loaded is charged against a budget, because damaged offsets may let a small file describe gigabytes
 *   (many references to one long vector).
 * - The schema has no table that contains itself, so depth is bounded by the schema.
 * - Weights are not read: Buffer.data, and data outside the FlatBuffer, become ByteRanges.
 */

import { FileError } from "../base/errors.ts";
import { keepPlain } from "../base/plain.ts";
import { timed } from "../base/timings.ts";
import { type ByteRange, type ByteSource, FileBytes } from "./bytes.ts";
import { checkModel, quoted } from "./check.ts";
import { identify } from "./identify.ts";
import { resolveOperatorCode } from "./operator-codes.ts";
import { Pages } from "./pages.ts";
import { ARRAYS, READ_SCALAR, SCALAR_SIZE, type Scalar, SHORT_VECTOR } from "./scalars.ts";
import {
  type Buffer,
  DIALECTS,
  type Dialect,
  type DialectSchema,
  ENUMS,
  type FieldSchema,
  type Model,
  type Operator,
  type OperatorCode,
  type ScalarType,
} from "./schema.gen.ts";
import { archiveBehind } from "./zip.ts";

/** A model and the bytes behind it. */
export interface OpenedModel {
  /** The tables, in the Circle dialect whatever the file's. */
  readonly model: Model;
  /** The file's dialect; write with the same one to keep the format. */
  readonly dialect: Dialect;
  readonly source: ByteSource;
  /** What the file has beyond the schema, one line each; empty for nearly all files. */
  readonly unknown: string[];
  /** True when weights lie behind the FlatBuffer (Buffer.offset/size), as in files past 2 GiB. */
  readonly external: boolean;
  /** The ZIP behind the model: associated files that its metadata name (labels.txt). Written behind the model again. */
  readonly archive?: ByteRange;
  /** Closes the source; after that the model's buffers cannot be read any more. */
  close(): void;
}

/** A table as the reader sees it. */
type Table = Record<string, unknown>;

const BUDGET_BASE = 16 * 2 ** 20;
const BUDGET_CAP = 512 * 2 ** 20;
/** What a table costs at least in memory, bytes. */
const TABLE_COST = 128;
const NOTES_KEPT = 200;
const DECODER = new TextDecoder("utf-8", { ignoreBOM: true });

/** Opens a model file. Throws a MinmaxqError of one line for anything wrong with it. */
export function openModel(path: string): OpenedModel {
  return timed("open", () => openTables(path));
}

function openTables(path: string): OpenedModel {
  const source = new FileBytes(path);
  try {
    return readModel(source);
  } catch (error) {
    source.close();
    throw error;
  }
}

/** Reads a model's tables from any bytes. Throws a MinmaxqError of one line for anything wrong with them. */
export function readModel(source: ByteSource): OpenedModel {
  const dialect = identify(source);
  const reader = new Reader(source, dialect);
  const model = reader.root() as Model;
  checkModel(model, source.size, (path, what, near) => reader.damaged(what, path, near));
  const { unknown, external } = reader;
  return {
    model,
    dialect,
    source,
    unknown,
    external,
    archive: archiveBehind(source, reader.end),
    close: () => source.close(),
  };
}

/** Reads tables of another FlatBuffer format, as its description says. Throws a MinmaxqError for damage. */
export function readTables(source: ByteSource, schema: DialectSchema, root: string): object {
  return new Reader(source, "tflite", schema).root(root);
}

/** What a vtable says about the tables of a kind that have it. */
interface FieldList {
  /** Its own size. */
  readonly bytes: number;
  /** Fields that are there, by their distance from the table's first byte; a union has a tag besides. 0 is absent. */
  readonly present: readonly { readonly field: FieldSchema; readonly offset: number; readonly tagOffset: number }[];
  /** Slots that the schema does not know. */
  readonly newer: readonly number[];
}

class Reader {
  readonly unknown: string[] = [];
  external = false;
  /** End of the last vector, string or content: what stands behind them is not the model's. */
  end = 0;
  private readonly pages: Pages;
  /** Where we are: names of fields and indices of elements. */
  private readonly path: (string | number)[] = [];
  /** Where each table lies, for messages. */
  private readonly places = new Map<object, number>();
  /** By kind of table, then by the vtable's place. */
  private readonly fieldLists = new Map<string, Map<number, FieldList>>();
  private readonly unionNames = new Map<string, Map<number, string>>();
  private readonly enumNumbers = new Map<string, Map<number, number>>();
  private budget: number;

  constructor(
    private readonly source: ByteSource,
    private readonly dialect: Dialect,
    private readonly schema: DialectSchema = DIALECTS[dialect],
  ) {
    this.budget = BUDGET_BASE + Math.min(2 * source.size, BUDGET_CAP);
    this.pages = new Pages(source, (position, length) =>
      this.damaged(`needs ${length} bytes at byte ${position}, the file has ${source.size}`),
    );
    for (const [union, tags] of Object.entries(this.schema.unions))
      this.unionNames.set(union, new Map(Object.entries(tags).map(([table, tag]) => [tag, table])));
  }

  root(name = "Model"): Table {
    return this.table(name, this.follow(0));
  }

  /** Throws the one error for damage; `near` is a table whose place is told. */
  damaged(what: string, path = this.pathText(), near?: object): never {
    const place = near && this.places.get(near);
    const at = place === undefined ? "" : ` (table at byte ${place})`;
    throw new FileError(
      this.source.name,
      `${path ? `${path}: ` : ""}${what}${at}; the file is damaged or truncated; copy or export it again`,
      { code: "damaged-file" },
    );
  }

  private pathText(): string {
    return this.path.map((part, i) => (typeof part === "number" ? `[${part}]` : i ? `.${part}` : part)).join("");
  }

  private note(what: string): void {
    if (this.unknown.length < NOTES_KEPT) this.unknown.push(`${this.pathText() || "model"}: ${what}`);
    else if (this.unknown.length === NOTES_KEPT) this.unknown.push("… and more");
  }

  private charge(bytes: number): void {
    this.budget -= bytes;
    if (this.budget < 0) this.damaged("describes far more than the file can hold");
  }

  /** Where a reference points. */
  private follow(position: number): number {
    const offset = this.pages.u32(position);
    if (offset === 0) this.damaged(`points to itself at byte ${position}`);
    const target = position + offset;
    this.pages.check(target, 4);
    return target;
  }

  /** Length of a vector whose elements are all inside the file. */
  private vectorLength(at: number, elementSize: number): number {
    const length = this.pages.u32(at);
    if (at + 4 + length * elementSize > this.source.size) {
      this.damaged(`has ${length} elements at byte ${at}, past the end of the file at byte ${this.source.size}`);
    }
    this.end = Math.max(this.end, at + 4 + length * elementSize);
    return length;
  }

  private table(name: string, at: number): Table {
    const { path } = this;
    const { bytes, present, newer } = this.fieldList(name, at - this.pages.i32(at));
    this.charge(TABLE_COST + bytes);
    const result: Table = {};
    this.places.set(result, at);
    for (const { field, offset, tagOffset } of present) {
      path.push(field.name);
      const fieldAt = offset && at + offset;
      const value =
        field.kind === "union" ? this.union(field, tagOffset && at + tagOffset, fieldAt) : this.field(field, fieldAt);
      if (value !== undefined) result[field.name] = value;
      path.pop();
    }
    for (const slot of newer) this.note(`field ${slot} of ${name} is newer than the schema and is not kept`);
    this.adapt(name, result);
    return result;
  }

  /** The fields of tables that have the vtable at `at`; tables of a kind share vtables, so each is read once. */
  private fieldList(name: string, at: number): FieldList {
    let known = this.fieldLists.get(name);
    if (!known) {
      known = new Map();
      this.fieldLists.set(name, known);
    }
    let list = known.get(at);
    if (!list) {
      list = this.readFieldList(name, at);
      known.set(at, list);
    }
    return list;
  }

  private readFieldList(name: string, at: number): FieldList {
    const { pages } = this;
    pages.check(at, 4);
    const bytes = pages.u16(at);
    if (bytes < 4 || bytes % 2) this.damaged(`has a broken field list at byte ${at}`);
    pages.check(at, bytes);
    const slots = (bytes - 4) / 2;
    const offsetOf = (slot: number) => {
      const offset = slot < slots ? pages.u16(at + 4 + 2 * slot) : 0;
      if (offset > 0 && offset < 4) this.damaged(`has a broken field list at byte ${at}`);
      return offset;
    };
    const fields = this.schema.tables[name]!;
    const present = fields
      .map((field) => {
        const tagOffset = field.kind === "union" ? offsetOf(field.slot - 1) : 0;
        return { field, offset: offsetOf(field.slot), tagOffset };
      })
      .filter(({ offset, tagOffset }) => offset || tagOffset);
    const newer: number[] = [];
    for (let slot = (fields.at(-1)?.slot ?? -1) + 1; slot < slots; slot++) if (offsetOf(slot)) newer.push(slot);
    return { bytes, present, newer };
  }

  private field(field: FieldSchema, at: number): unknown {
    switch (field.kind) {
      case "scalar":
        return this.scalar(field, at);
      case "string":
        return this.string(this.follow(at));
      case "table":
        return this.table(field.type, this.follow(at));
      case "scalars":
        return this.scalars(field.type as ScalarType, this.follow(at));
      case "tables":
        return this.tables(field.type, this.follow(at));
      case "content":
        return this.content(this.follow(at));
      case "union":
        return undefined;
    }
  }

  private scalar(field: FieldSchema, at: number): Scalar {
    const value = READ_SCALAR[field.type as ScalarType](this.pages, at);
    if (!field.enum) return value;
    const translated = this.enumNumber(field.enum, value as number);
    if (translated !== undefined) return translated;
    // A number that means something else in memory cannot be kept.
    if (field.enum === "BuiltinOperator") return value;
    if (Object.values(ENUMS[field.enum]!).includes(value as number)) {
      throw new FileError(
        this.source.name,
        `${this.pathText()}: ${value} is no ${field.enum} of the ${this.dialect} format; export the model again`,
      );
    }
    this.note(`${value} is no ${field.enum} of the schema; it is kept as a number`);
    return value;
  }

  /** The number in memory of an enum's number in the file. */
  private enumNumber(name: string, value: number): number | undefined {
    let numbers = this.enumNumbers.get(name);
    if (!numbers) {
      numbers = new Map(Object.entries(this.schema.enums[name]!).map(([member, n]) => [n, ENUMS[name]![member]!]));
      this.enumNumbers.set(name, numbers);
    }
    return numbers.get(value);
  }

  private string(at: number): string {
    const length = this.vectorLength(at, 1);
    this.charge(16 + length);
    const bytes = this.pages.bytes(at + 4, length);
    const text = DECODER.decode(bytes);
    if (text.includes("\ufffd") && differ(new TextEncoder().encode(text), bytes)) {
      this.note("is not UTF-8; the bytes that are not are replaced");
    }
    return keepPlain(text);
  }

  private scalars(type: ScalarType, at: number): unknown {
    const size = SCALAR_SIZE[type];
    const length = this.vectorLength(at, size);
    this.charge(32 + length * size);
    if (type === "int" && length <= SHORT_VECTOR) {
      const values = new Int32Array(length);
      for (let i = 0; i < length; i++) values[i] = this.pages.i32(at + 4 + 4 * i);
      return values;
    }
    // A copy, because real files have misaligned vectors.
    return new ARRAYS[type](this.pages.bytes(at + 4, length * size).buffer);
  }

  private tables(type: string, at: number): Table[] {
    const length = this.vectorLength(at, 4);
    this.charge(length * 8);
    const result: Table[] = [];
    for (let i = 0; i < length; i++) {
      this.path.push(i);
      result.push(this.table(type, this.follow(at + 4 + 4 * i)));
      this.path.pop();
    }
    return result;
  }

  private content(at: number): ByteRange {
    return { source: this.source, offset: at + 4, length: this.vectorLength(at, 1) };
  }

  private union(field: FieldSchema, tagAt: number, at: number): unknown {
    const tag = tagAt && this.pages.u8(tagAt);
    if (tag === 0) {
      if (at) this.note("has a value without a type, which is not kept");
      return tagAt ? { type: "NONE", value: null } : undefined;
    }
    const type = this.unionNames.get(field.type)!.get(tag);
    if (type === undefined) {
      this.note(`type ${tag} of ${field.type} is newer than the schema and is not kept`);
      return undefined;
    }
    return { type, value: at ? this.table(type, this.follow(at)) : null };
  }

  /** Bytes at an offset from the file's beginning; offsets 0 and 1 mean none (1 is a placeholder of writers). */
  private outside(offset: bigint | undefined, size: bigint | undefined): ByteRange | undefined {
    if (offset === undefined || offset <= 1n) return undefined;
    const length = size ?? 0n;
    if (offset + length > BigInt(this.source.size)) {
      this.damaged(`has ${length} bytes at byte ${offset}, past the end of the file at byte ${this.source.size}`);
    }
    this.end = Math.max(this.end, Number(offset + length));
    return { source: this.source, offset: Number(offset), length: Number(length) };
  }

  /** The tables that are not in memory as they are in the file, or not understood. */
  private adapt(name: string, table: Table): void {
    if (name === "OperatorCode") {
      const code = resolveOperatorCode(table as { deprecatedBuiltinCode?: number }, this.dialect);
      if (typeof code === "string") {
        throw new FileError(this.source.name, `${this.pathText()}: ${code}`);
      }
      (table as OperatorCode).builtinCode = code;
      delete table.deprecatedBuiltinCode;
    } else if (name === "Buffer") {
      const buffer = table as Buffer;
      const range = this.outside(buffer.offset, buffer.size);
      if (!range) return;
      delete buffer.offset;
      delete buffer.size;
      if (buffer.data && "source" in buffer.data && buffer.data.length > 0) {
        this.note("has data inside and outside the FlatBuffer; that inside is kept");
        return;
      }
      this.external = true;
      buffer.data = range;
    } else if (name === "Operator") {
      const operator = table as Operator;
      const range = this.outside(operator.largeCustomOptionsOffset, operator.largeCustomOptionsSize);
      if (!range) return;
      delete operator.largeCustomOptionsOffset;
      delete operator.largeCustomOptionsSize;
      operator.largeCustomOptions = range;
    } else if (name === "Tensor" && table.externalBuffer) {
      throw new FileError(
        this.source.name,
        `${this.pathText()}${quoted(table.name as string)}: its data lies in another file (external buffer ${table.externalBuffer}), which minmaxq cannot read; export the model with its weights inside`,
      );
    }
  }
}

/** True when the bytes differ. */
function differ(a: Uint8Array, b: Uint8Array): boolean {
  return a.length !== b.length || a.some((byte, i) => byte !== b[i]);
}
