/**
 * Byte streams in pieces: what `.npy` data is read from, whether it lies in a file or packed in a `.npz`.
 */
import { closeSync, openSync, readSync, statSync } from "node:fs";
import { FileError, reasonOf } from "../base/errors.ts";

/** Bytes that can be read from the start, again and again. */
export interface ByteStream {
  /** How messages call it. */
  readonly name: string;
  /** Size in bytes. */
  readonly size: number;
  /** Bytes of it as it lies in its file, where it is packed. */
  readonly packed?: number;
  /** Pieces in order, each valid until the next is asked for. */
  open(): Iterator<Uint8Array, void, void>;
}

const CHUNK = 1 << 18;

/** Size of a regular file. Throws MinmaxqError naming it when it cannot be read or is none. */
export function fileSize(path: string): number {
  try {
    const stat = statSync(path);
    if (stat.isFile()) return stat.size;
  } catch (error) {
    const reason = (error as { code?: string }).code === "ENOENT" ? "there is no such file" : reasonOf(error);
    throw new FileError(path, reason, { cause: error });
  }
  throw new FileError(path, "is not a file");
}

/** The bytes `[offset, offset + size)` of a file; the file is open only while it is read. */
export function fileStream(path: string, offset = 0, size = fileSize(path) - offset, name = path): ByteStream {
  function* pieces(): Generator<Uint8Array, void, void> {
    let fd: number;
    try {
      fd = openSync(path, "r");
    } catch (error) {
      throw new FileError(path, `cannot be read (${reasonOf(error)})`, { cause: error });
    }
    try {
      const chunk = new Uint8Array(Math.min(CHUNK, Math.max(1, size)));
      for (let done = 0; done < size; ) {
        const count = readSync(fd, chunk, 0, Math.min(chunk.length, size - done), offset + done);
        if (count === 0) throw new FileError(name, `ends too early, after ${done} of ${size} bytes`);
        yield chunk.subarray(0, count);
        done += count;
      }
    } finally {
      closeSync(fd);
    }
  }
  return { name, size, open: pieces };
}

/** Reads a stream in the sizes its user wants. `close` must be called when reading stops before the end. */
export class StreamReader {
  private readonly pieces: Iterator<Uint8Array, void, void>;
  private piece: Uint8Array = new Uint8Array(0);
  private position = 0;

  constructor(private readonly stream: ByteStream) {
    this.pieces = stream.open();
  }

  /** Fills `target`. Throws MinmaxqError when the stream ends before. */
  fill(target: Uint8Array): void {
    for (let done = 0; done < target.length; ) {
      if (!this.more()) throw new FileError(this.stream.name, "is truncated: its data end too early");
      const part = this.piece.subarray(this.position, this.position + target.length - done);
      target.set(part, done);
      done += part.length;
      this.position += part.length;
    }
  }

  read(count: number): Uint8Array {
    const bytes = new Uint8Array(count);
    this.fill(bytes);
    return bytes;
  }

  skip(count: number): void {
    for (let left = count; left > 0; ) {
      if (!this.more()) throw new FileError(this.stream.name, "is truncated: its data end too early");
      const step = Math.min(left, this.piece.length - this.position);
      this.position += step;
      left -= step;
    }
  }

  /** Checks that nothing is left, which makes a packed stream check its checksum. */
  end(): void {
    if (this.more()) throw new FileError(this.stream.name, "has more data than its header announces");
  }

  close(): void {
    this.pieces.return?.();
  }

  private more(): boolean {
    while (this.position === this.piece.length) {
      const next = this.pieces.next();
      if (next.done) return false;
      this.piece = next.value;
      this.position = 0;
    }
    return true;
  }
}
