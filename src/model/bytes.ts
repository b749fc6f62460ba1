/**
 * Bytes that stay where they are until they are read.
 *
 * Weights are never loaded with a model: a buffer of a model is a ByteRange, and only the weight streams and the
 * model runner read it, in pieces.
 */
import { closeSync, fstatSync, openSync, readSync, statSync, writeSync } from "node:fs";
import { FileError, type MinmaxqError, reasonOf } from "../base/errors.ts";
import { foreignFolder } from "./foreign.ts";

/** Immutable bytes read by position. */
export interface ByteSource {
  /** Size in bytes; may be past 2^32. */
  readonly size: number;
  /** How messages call it: a path, or "memory". */
  readonly name: string;
  /** Set when the bytes are a file that a Worker can open by itself. */
  readonly path?: string;
  /** Fills `target` with the bytes at `offset`. Throws a MinmaxqError when the source ends too early. */
  readInto(target: Uint8Array, offset: number): void;
  close(): void;
}

/** A piece of a source. */
export interface ByteRange {
  readonly source: ByteSource;
  readonly offset: number;
  readonly length: number;
}

/** Bytes that do not exist yet: they are filled in while the file is written. */
export interface Deferred {
  readonly deferred: true;
  readonly length: number;
}

/** What a model's buffer holds. */
export type Content = ByteRange | Deferred;

export function isDeferred(content: Content): content is Deferred {
  return "deferred" in content;
}

export class MemoryBytes implements ByteSource {
  readonly size: number;

  constructor(
    readonly bytes: Uint8Array,
    readonly name = "memory",
  ) {
    this.size = bytes.byteLength;
  }

  readInto(target: Uint8Array, offset: number): void {
    if (offset + target.byteLength > this.size) throw truncated(this, offset, target.byteLength);
    target.set(this.bytes.subarray(offset, offset + target.byteLength));
  }

  close(): void {}
}

export class FileBytes implements ByteSource {
  readonly size: number;
  readonly name: string;
  private readonly fd: number;

  constructor(readonly path: string) {
    this.name = path;
    // A pipe that nothing writes to would be waited for.
    if (!(statSync(path, { throwIfNoEntry: false })?.isFile() ?? true)) throw noFile(path);
    try {
      this.fd = openSync(path, "r");
    } catch (error) {
      throw new FileError(path, `cannot be read (${reasonOf(error)})`, { code: "unreadable-file", cause: error });
    }
    const stat = fstatSync(this.fd);
    if (!stat.isFile()) {
      closeSync(this.fd);
      throw noFile(path);
    }
    this.size = stat.size;
  }

  readInto(target: Uint8Array, offset: number): void {
    // readSync may return less than asked (signals, 2 GiB limit of the system call), so ask until done.
    for (let done = 0; done < target.byteLength; ) {
      const count = readSync(this.fd, target, done, target.byteLength - done, offset + done);
      if (count === 0) throw truncated(this, offset, target.byteLength);
      done += count;
    }
  }

  close(): void {
    closeSync(this.fd);
  }
}

function noFile(path: string): MinmaxqError {
  const foreign = foreignFolder(path);
  const what = foreign === undefined ? "is not a file; give the path of a .circle or .tflite model" : `is ${foreign}`;
  return new FileError(path, what, { code: "not-a-model" });
}

/** The range's bytes as a fresh array. For small things; weights go through src/weights. */
export function readRange(range: ByteRange): Uint8Array {
  const bytes = new Uint8Array(range.length);
  range.source.readInto(bytes, range.offset);
  return bytes;
}

/** Writes all of `bytes` at a position; the system may take less at a time. */
export function writeAll(fd: number, bytes: Uint8Array, offset: number): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(fd, bytes, done, bytes.length - done, offset + done);
  }
}

/** A range over bytes that are in memory. */
export function rangeOf(bytes: Uint8Array): ByteRange {
  return { source: new MemoryBytes(bytes), offset: 0, length: bytes.byteLength };
}

function truncated(source: ByteSource, offset: number, length: number): MinmaxqError {
  return new FileError(
    source.name,
    `ends too early: ${length} bytes wanted at byte ${offset}, the file has ${source.size}; it is truncated or changed while it was read`,
    { code: "damaged-file" },
  );
}
