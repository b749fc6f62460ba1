/**
 * FlatBuffers from front to back: a table, then what it refers to. The format wants references to point forwards, and nothing else.
 *
 *     0  root   4  identifier   8  vtable │ table → string, vector, vtable │ table → …
 *
 * The `flatbuffers` package builds from back to front, field by field, in some six calls each, which for models with thousands of tables
 * took as long as reading them and all the passes together. Here tables of one kind with the same fields present share a vtable, and
 * where their fields lie is known after the first one.
 */

/** A field's place: which slot of the vtable, how many bytes. */
export interface Slot {
  readonly slot: number;
  readonly size: 1 | 2 | 4 | 8;
}

/** Where the present fields of a table lie, from its beginning, in the order in which they were given. */
export interface Shape {
  readonly vtable: number;
  readonly size: number;
  readonly align: number;
  readonly offsets: readonly number[];
}

const IDENTIFIER_END = 8;
/** Bytes of a table's reference to its vtable. */
const HEAD = 4;

export class TableWriter {
  private bytes: Uint8Array<ArrayBuffer>;
  private end = IDENTIFIER_END;
  private readonly encoder = new TextEncoder();
  /** The bytes as numbers; another one after each write, since they grow. */
  view: DataView<ArrayBuffer>;

  /** `capacity` is about how many bytes will come. */
  constructor(capacity: number) {
    this.bytes = new Uint8Array(Math.max(64, capacity));
    this.view = new DataView(this.bytes.buffer);
  }

  /** All bytes, with the root table at `root` and the format's four letters. */
  finish(root: number, identifier: string): Uint8Array<ArrayBuffer> {
    this.view.setUint32(0, root, true);
    this.encoder.encodeInto(identifier, this.bytes.subarray(4, IDENTIFIER_END));
    return this.bytes.subarray(0, this.end);
  }

  /** Writes the vtable of tables that have these fields. */
  shape(fields: readonly Slot[]): Shape {
    const offsets = new Array<number>(fields.length);
    let size = HEAD;
    let align = HEAD;
    // Large ones first: then nothing but the head needs padding behind it.
    for (const width of [8, 4, 2, 1] as const) {
      for (const [i, field] of fields.entries()) {
        if (field.size !== width) continue;
        size = Math.ceil(size / width) * width;
        align = Math.max(align, width);
        offsets[i] = size;
        size += width;
      }
    }
    const slots = fields.reduce((count, { slot }) => Math.max(count, slot + 1), 0);
    const vtable = this.reserve(4 + 2 * slots, 2);
    this.view.setUint16(vtable, 4 + 2 * slots, true);
    this.view.setUint16(vtable + 2, size, true);
    for (const [i, { slot }] of fields.entries()) this.view.setUint16(vtable + 4 + 2 * slot, offsets[i]!, true);
    return { vtable, size, align, offsets };
  }

  /** Room for a table whose fields are zero; gives its place. */
  table({ vtable, size, align }: Shape): number {
    const at = this.reserve(size, align);
    this.view.setInt32(at, at - vtable, true);
    return at;
  }

  /** Sets the reference at `from`. */
  refer(from: number, to: number): void {
    this.view.setUint32(from, to - from, true);
  }

  /** UTF-8, and a zero that its length does not count. */
  string(text: string): number {
    // At most three bytes a UTF-16 unit.
    const at = this.vector(0, 3 * text.length + 1, 1);
    const { written } = this.encoder.encodeInto(text, this.bytes.subarray(at + 4, this.end));
    this.view.setUint32(at, written, true);
    this.bytes[at + 4 + written] = 0;
    this.end = at + 4 + written + 1;
    return at;
  }

  /** A vector of `length` elements in `size` bytes of zeros; they begin 4 bytes behind its place, at a multiple of `align`. */
  vector(length: number, size: number, align: number): number {
    const alignment = Math.max(4, align);
    const elements = Math.ceil((this.end + 4) / alignment) * alignment;
    this.reserve(elements + size - this.end, 1);
    this.view.setUint32(elements - 4, length, true);
    return elements - 4;
  }

  /** Fills a vector. */
  set(at: number, bytes: Uint8Array): void {
    this.bytes.set(bytes, at + 4);
  }

  private reserve(size: number, align: number): number {
    const at = Math.ceil(this.end / align) * align;
    const end = at + size;
    if (end > this.bytes.length) {
      const larger = new Uint8Array(Math.max(end, 2 * this.bytes.length));
      larger.set(this.bytes);
      this.bytes = larger;
      this.view = new DataView(larger.buffer);
    }
    this.end = end;
    return at;
  }
}
