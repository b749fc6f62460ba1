/** WebAssembly files as sections: as much of the format as splitting needs (https://webassembly.github.io/spec/core/binary). */

/** Ids of sections, in the order that they have in a file. */
export const SECTION = {
  type: 1,
  import: 2,
  function: 3,
  table: 4,
  memory: 5,
  global: 6,
  export: 7,
  element: 9,
  code: 10,
} as const;
const ORDER = [0, 1, 2, 3, 4, 5, 13, 6, 7, 8, 9, 12, 10, 11];

/** Kinds of imports and exports. */
export const KIND = { function: 0, table: 1, memory: 2, global: 3 } as const;

const FUNCREF = 0x70;
const LIMITED = 1;
const MUTABLE = 1;

/** Reads from bytes, one thing after the other. */
export class Reader {
  constructor(
    readonly bytes: Uint8Array,
    public at = 0,
  ) {}

  get done(): boolean {
    return this.at >= this.bytes.length;
  }

  byte(): number {
    return this.bytes[this.at++]!;
  }

  /** An unsigned number in LEB128. */
  number(): number {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = this.byte();
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  }

  take(length: number): Uint8Array {
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  name(): string {
    return new TextDecoder().decode(this.take(this.number()));
  }

  list<T>(read: () => T): T[] {
    return Array.from({ length: this.number() }, read);
  }
}

/** An unsigned number in LEB128. `end`: what the last byte stays below. */
export function leb(value: number, end = 128): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < end) return [...bytes, rest];
    bytes.push((rest % 128) | 128);
  }
}

/** A number from 0 up as `i32.const` has it: signed LEB128, whose last byte has a bit for the sign. */
export const signed = (value: number): number[] => leb(value, 64);

export function named(text: string): number[] {
  const bytes = new TextEncoder().encode(text);
  return [...leb(bytes.length), ...bytes];
}

export function joined(parts: readonly (Uint8Array | readonly number[])[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** A list: how many, then each. */
export function listed(parts: readonly (Uint8Array | readonly number[])[]): Uint8Array {
  return joined([leb(parts.length), ...parts]);
}

/** Contents of sections by id. A file that has one of an id twice, or custom ones, is not for this. */
export type Sections = ReadonlyMap<number, Uint8Array>;

const HEADER = [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0];

export function readSections(file: Uint8Array): Map<number, Uint8Array> {
  if (!HEADER.every((byte, i) => file[i] === byte)) throw new Error("not a WebAssembly module of version 1");
  const reader = new Reader(file, HEADER.length);
  const sections = new Map<number, Uint8Array>();
  while (!reader.done) {
    const id = reader.byte();
    const content = reader.take(reader.number());
    if (id === 0) continue;
    if (sections.has(id) || !ORDER.includes(id)) throw new Error(`a section of id ${id} that is not understood`);
    sections.set(id, content);
  }
  return sections;
}

export function writeSections(sections: Sections): Uint8Array<ArrayBuffer> {
  const parts: (Uint8Array | readonly number[])[] = [HEADER];
  for (const id of ORDER) {
    const content = sections.get(id);
    if (content) parts.push([id, ...leb(content.length)], content);
  }
  return joined(parts);
}

/** Something imported: its description as in the file. */
interface Import {
  readonly module: string;
  readonly name: string;
  readonly kind: number;
  readonly description: Uint8Array;
}

/** What splitting has to know of a module. */
export interface Module {
  readonly sections: Sections;
  readonly imports: readonly Import[];
  /** How many parameters functions of each type have. */
  readonly parameters: readonly number[];
  /** The type of each function that it defines. */
  readonly types: readonly number[];
  /** Code of the same: local variables and instructions, without the size. */
  readonly bodies: readonly Uint8Array[];
  /** Types and limits of its tables and memories, and types of its globals, as in the file. */
  readonly tables: readonly Uint8Array[];
  readonly memories: readonly Uint8Array[];
  readonly globals: readonly Uint8Array[];
}

/** Reads a module. Throws an Error where it has what is not understood. */
export function readModule(file: Uint8Array): Module {
  const sections = readSections(file);
  const readerOf = (id: number) => new Reader(sections.get(id) ?? new Uint8Array(1));
  const types = readerOf(SECTION.type);
  const imports = readerOf(SECTION.import);
  const functions = readerOf(SECTION.function);
  const tables = readerOf(SECTION.table);
  const memories = readerOf(SECTION.memory);
  const globals = readerOf(SECTION.global);
  const code = readerOf(SECTION.code);
  return {
    sections,
    parameters: types.list(() => {
      if (types.byte() !== 0x60) throw new Error("a type that is not a function's");
      const count = types.number();
      types.take(count);
      types.take(types.number());
      return count;
    }),
    imports: imports.list(() => {
      const [module, name, kind] = [imports.name(), imports.name(), imports.byte()];
      const start = imports.at;
      if (kind === KIND.function) imports.number();
      else if (kind === KIND.table) tableType(imports);
      else if (kind === KIND.memory) limits(imports);
      else if (kind === KIND.global) imports.take(2);
      else throw new Error(`an import of a kind ${kind} that is not understood`);
      return { module, name, kind, description: imports.bytes.subarray(start, imports.at) };
    }),
    types: functions.list(() => functions.number()),
    tables: tables.list(() => part(tables, () => tableType(tables))),
    memories: memories.list(() => part(memories, () => limits(memories))),
    globals: globals.list(() => {
      const type = globals.take(2);
      constant(globals);
      return type;
    }),
    bodies: code.list(() => code.take(code.number())),
  };
}

function part(reader: Reader, pass: () => void): Uint8Array {
  const start = reader.at;
  pass();
  return reader.bytes.subarray(start, reader.at);
}

function tableType(reader: Reader): void {
  reader.byte();
  limits(reader);
}

function limits(reader: Reader): void {
  const flags = reader.byte();
  if (flags > LIMITED) throw new Error("a memory or table of a kind that is not understood");
  reader.number();
  if (flags === LIMITED) reader.number();
}

/** Passes over `i32.const n`, which is all that LiteRT's globals begin with. */
function constant(reader: Reader): void {
  if (reader.byte() !== 0x41) throw new Error("a global that does not begin as a constant");
  while (reader.byte() >= 128);
  if (reader.byte() !== 0x0b) throw new Error("a global that does not begin as a constant");
}

/** The type of a table of functions of fixed size, and of a global number that may change. */
export const tableOf = (size: number): number[] => [FUNCREF, LIMITED, ...leb(size), ...leb(size)];
const I32 = 0x7f;
export const CHANGING_I32 = [I32, MUTABLE];

/** A body with its size, as in the code section. */
export function sized(body: Uint8Array | readonly number[]): Uint8Array {
  return joined([leb(body.length), body]);
}
