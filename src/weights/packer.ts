/** Values smaller than a byte on their way to the output. */
import type { Block, KernelStream } from "./kernels.ts";
import type { Sink } from "./output.ts";

/**
 * Packs values of 4 or 2 bits that come one a byte, in parts of any length, in order: the first of a byte in its lowest bits. Parts lie
 * in kernel memory, and so does what is done here. Only what a part leaves of a byte is kept until the next one.
 */
export class BitPacker implements Sink {
  /** Values that do not fill a byte yet. */
  private left = new Uint8Array(0);
  /** Where they belong, in bytes of the packed constant; unknown before the first part. */
  private at = -1;
  private readonly each: number;

  /** Packed bytes go to the sink, the constant's first one to `offset`. `size`: bytes of a value, ½ or ¼. */
  constructor(
    private readonly stream: KernelStream,
    private readonly sink: Sink,
    private readonly offset: number,
    size: number,
  ) {
    this.each = 1 / size;
  }

  /** `first` is the number of the first value; that of the first part begins a byte. */
  add(values: Uint8Array<ArrayBuffer>, first: number): void {
    if (this.at < 0) this.at = first / this.each;
    const { stream, left } = this;
    const part = stream.blockOf(values);
    stream.scoped(() => {
      let all = part;
      if (left.length > 0) {
        all = stream.reserve(left.length + part.byteLength);
        all.bytes().set(left);
        all.bytes().set(part.bytes(), left.length);
      }
      const whole = all.byteLength - (all.byteLength % this.each);
      this.left = all.bytes().slice(whole);
      this.pack(stream.part(all, 0, whole));
    });
  }

  room(): null {
    return null;
  }

  end(): void {
    const { left, stream } = this;
    if (left.length > 0) stream.scoped(() => this.pack(stream.copyIn(left)));
  }

  private pack(values: Block): void {
    const { stream, sink } = this;
    const length = Math.ceil(values.byteLength / this.each);
    if (length === 0) return;
    const packed = () => (this.each === 2 ? stream.nibbles(values) : stream.crumbs(values));
    const at = this.offset + this.at;
    const room = sink.room(length, at);
    if (room) stream.into(room, packed);
    else sink.add(packed(), at);
    this.at += length;
  }
}
