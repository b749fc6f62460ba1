/**
 * WASM memory of the kernels: blocks of it, scopes that give it back, and the calls that take and leave pointers.
 *
 * What the kernels compute is said in kernel-stream.ts; here is how bytes get there and results are found.
 */

/** Values as [outer, channels, inner]; parameters and ranges have one value per channel. */
export interface KernelLayout {
  readonly channels: number;
  readonly inner: number;
}

/** A piece of WASM memory. */
export interface Block {
  readonly pointer: number;
  readonly byteLength: number;
  /** The memory itself; valid until memory grows, so ask again after any other call. */
  bytes(): Uint8Array<ArrayBuffer>;
}

type TypedArray =
  | Float64Array
  | Float32Array
  | Uint32Array
  | Int32Array
  | Uint16Array
  | Int16Array
  | Int8Array
  | Uint8Array
  | BigInt64Array;

/** The module's exports: each list is a pointer and a count, a result a pointer to a record (see kernels/). */
type Exports = Record<string, (...parameters: number[]) => number>;

export class KernelMemory {
  private readonly memory: WebAssembly.Memory;
  private readonly exports: Exports;
  private current: ArrayBuffer;

  constructor(instance: WebAssembly.Instance) {
    this.memory = instance.exports.memory as WebAssembly.Memory;
    this.exports = instance.exports as unknown as Exports;
    this.current = this.memory.buffer as ArrayBuffer;
  }

  /** All of the memory, until it grows. Asked for once each time that it has grown: the engine takes long to say it (a microsecond). */
  protected get buffer(): ArrayBuffer {
    if (this.current.byteLength === 0) this.current = this.memory.buffer as ArrayBuffer;
    return this.current;
  }

  /** Bytes that the memory has grown to. */
  get size(): number {
    return this.buffer.byteLength;
  }

  /** `byteLength` bytes of WASM memory, not cleared, starting at a multiple of 16. Free again after the scope or reset(). */
  reserve(byteLength: number): Block {
    return this.block(this.call("reserve", byteLength), byteLength);
  }

  /** A part of a block; may start at any byte. */
  part(block: Block, byteOffset: number, byteLength: number): Block {
    if (byteOffset < 0 || byteOffset + byteLength > block.byteLength)
      throw new RangeError("part is outside of its block");
    return this.block(block.pointer + byteOffset, byteLength);
  }

  /** From the start of a block to the end of one that was reserved later, with everything between them. */
  span(first: Block, last: Block): Block {
    return this.block(first.pointer, last.pointer + last.byteLength - first.pointer);
  }

  /** A kernel's result, which lies in WASM memory, as the block that the next kernel reads. */
  blockOf(result: TypedArray): Block {
    if (result.buffer !== this.buffer) throw new RangeError("the result is not in this memory any more");
    return this.block(result.byteOffset, result.byteLength);
  }

  /** A block with a copy of `values`. */
  copyIn(values: TypedArray): Block {
    const block = this.reserve(values.byteLength);
    block.bytes().set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    return block;
  }

  /** Runs `work` and frees what was reserved meanwhile. */
  scoped<R>(work: () => R): R {
    const mark = this.call("mark");
    try {
      return work();
    } finally {
      this.call("release", mark);
    }
  }

  /** The result of a call that encodes, put at `to` instead of behind everything that was reserved. */
  into<T>(to: Block, encode: () => T): T {
    this.call("place", to.pointer);
    return encode();
  }

  /** Frees everything. The memory itself stays with the instance. */
  reset(): void {
    this.exports.reset!();
  }

  private block(pointer: number, byteLength: number): Block {
    return { pointer, byteLength, bytes: () => new Uint8Array(this.buffer, pointer, byteLength) };
  }

  /** Pointers come back as signed numbers; WASM memory may be larger than 2 GiB. */
  protected call(name: string, ...parameters: number[]): number {
    return this.exports[name]!(...parameters) >>> 0;
  }

  /** A kernel's result record as its 32-bit words. */
  protected record(name: string, words: number, ...parameters: number[]): Uint32Array {
    const pointer = this.call(name, ...parameters);
    return new Uint32Array(this.buffer, pointer, words);
  }

  /** A kernel's result list as a view. */
  protected result<T>(
    Type: new (buffer: ArrayBuffer, offset: number, length: number) => T,
    name: string,
    ...parameters: number[]
  ): T {
    const [pointer, length] = this.record(name, 2, ...parameters);
    return new Type(this.buffer, pointer!, length!);
  }

  /** Pointer and count of the values, then channels and inner. */
  protected layout(values: Block, { channels, inner }: KernelLayout): number[] {
    const count = elements(values, 4);
    if (!(channels > 0 && inner > 0) || count % (channels * inner) !== 0) {
      throw new RangeError(`${count} values cannot be [outer, ${channels}, ${inner}]`);
    }
    return [values.pointer, count, channels, inner];
  }

  protected list(list: Float32Array, channels: number): number[] {
    if (list.length !== channels) throw new RangeError(`a list of ${list.length} values for ${channels} channels`);
    return [this.copyIn(list).pointer, channels];
  }

  protected lists({ channels }: KernelLayout, ...lists: Float32Array[]): number[] {
    return lists.flatMap((list) => this.list(list, channels));
  }
}

/** How many elements of `size` bytes a block holds. */
export function elements(block: Block, size: number): number {
  if (block.byteLength % size !== 0) throw new RangeError(`${block.byteLength} bytes are no whole elements of ${size}`);
  return block.byteLength / size;
}

/** Pointer and count of float values. */
export function floats(block: Block): number[] {
  return [block.pointer, elements(block, 4)];
}
