/**
 * Numbers of a file's metadata, read through a small cache of pages.
 *
 * A model's tables are a few kilobytes among gigabytes of weights, and every Buffer table may lie beside its weights.
 * So pages are small (few bytes read in vain) and their number is bounded (2 MiB in all).
 */
import type { ByteSource } from "./bytes.ts";

const PAGE = 8192;
const PAGES_KEPT = 256;

/** Little-endian numbers by absolute position. Positions are JS numbers, so files past 2^32 bytes are fine. */
export class Pages {
  private view = new DataView(new ArrayBuffer(0));
  private start = 0;
  private end = 0;
  private readonly kept = new Map<number, DataView<ArrayBuffer>>();

  /** `outside` throws; it is called for every read that is not wholly inside the source. */
  constructor(
    private readonly source: ByteSource,
    private readonly outside: (position: number, length: number) => never,
  ) {}

  u8(position: number): number {
    const at = this.locate(position, 1);
    return this.view.getUint8(at);
  }

  i8(position: number): number {
    const at = this.locate(position, 1);
    return this.view.getInt8(at);
  }

  u16(position: number): number {
    const at = this.locate(position, 2);
    return this.view.getUint16(at, true);
  }

  i16(position: number): number {
    const at = this.locate(position, 2);
    return this.view.getInt16(at, true);
  }

  u32(position: number): number {
    const at = this.locate(position, 4);
    return this.view.getUint32(at, true);
  }

  i32(position: number): number {
    const at = this.locate(position, 4);
    return this.view.getInt32(at, true);
  }

  f32(position: number): number {
    const at = this.locate(position, 4);
    return this.view.getFloat32(at, true);
  }

  f64(position: number): number {
    const at = this.locate(position, 8);
    return this.view.getFloat64(at, true);
  }

  i64(position: number): bigint {
    const at = this.locate(position, 8);
    return this.view.getBigInt64(at, true);
  }

  u64(position: number): bigint {
    const at = this.locate(position, 8);
    return this.view.getBigUint64(at, true);
  }

  /** A fresh, aligned copy of `length` bytes. */
  bytes(position: number, length: number): Uint8Array<ArrayBuffer> {
    this.check(position, length);
    const result = new Uint8Array(length);
    if (length >= PAGE) {
      this.source.readInto(result, position);
      return result;
    }
    for (let done = 0; done < length; ) {
      const at = this.locate(position + done, 1);
      const count = Math.min(length - done, this.end - this.start - at);
      result.set(new Uint8Array(this.view.buffer, at, count), done);
      done += count;
    }
    return result;
  }

  /** Calls `outside` unless the bytes are all there. */
  check(position: number, length: number): void {
    if (!(position >= 0 && position + length <= this.source.size)) this.outside(position, length);
  }

  /** Makes `view` a window that holds the bytes; gives their place in it. */
  private locate(position: number, length: number): number {
    if (position >= this.start && position + length <= this.end) return position - this.start;
    this.check(position, length);
    const page = Math.floor(position / PAGE);
    if (position + length <= (page + 1) * PAGE) {
      this.view = this.load(page);
      this.start = page * PAGE;
    } else {
      // A number across two pages gets a window of its own.
      const bytes = new Uint8Array(length);
      this.source.readInto(bytes, position);
      this.view = new DataView(bytes.buffer);
      this.start = position;
    }
    this.end = this.start + this.view.byteLength;
    return position - this.start;
  }

  private load(page: number): DataView<ArrayBuffer> {
    const known = this.kept.get(page);
    if (known) return known;
    const bytes = new Uint8Array(Math.min(PAGE, this.source.size - page * PAGE));
    this.source.readInto(bytes, page * PAGE);
    const view = new DataView(bytes.buffer);
    if (this.kept.size >= PAGES_KEPT) this.kept.delete(this.kept.keys().next().value!);
    this.kept.set(page, view);
    return view;
  }
}
