/** Bytes that are kept until they are read again (pictures in the size that the model wants, what layers read, weights that were rounded): in memory while there is room, else in a temporary file (TMPDIR). */
import { closeSync, openSync, readSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MinmaxqError, reasonOf } from "../base/errors.ts";
import { TEMPORARY_FOLDER } from "../base/platform.ts";
import { removeTemporary, temporaryPath } from "../base/temporary.ts";
import { type ByteRange, type ByteSource, rangeOf, readRange, writeAll } from "../model/bytes.ts";

/** Bytes that stay in memory. */
const ROOM = 64 * 2 ** 20;

export class KeptBytes {
  private used = 0;
  private file: KeptFile | undefined;

  /** `what` they are, for messages. */
  constructor(
    private readonly room = ROOM,
    private readonly what = "pictures",
  ) {}

  /** Bytes of it that are in memory. */
  get inMemory(): number {
    return this.used;
  }

  /** Keeps bytes; gives what reads them again. Throws MinmaxqError when there can be no file. */
  add(bytes: Uint8Array): () => Uint8Array {
    return this.takes(bytes) ? () => bytes : reader(this.write(bytes));
  }

  /** The same; gives where they are now. */
  range(bytes: Uint8Array): ByteRange {
    return this.takes(bytes) ? rangeOf(bytes) : this.write(bytes);
  }

  private takes({ length }: Uint8Array): boolean {
    if (this.used + length > this.room) return false;
    this.used += length;
    return true;
  }

  private write(bytes: Uint8Array): ByteRange {
    try {
      this.file ??= new KeptFile();
      return this.file.append(bytes);
    } catch (error) {
      throw new MinmaxqError(
        `${this.what} cannot be kept in ${tmpdir()} (${reasonOf(error)}); make room there, or set ${TEMPORARY_FOLDER} to a folder with room`,
        { cause: error, subject: tmpdir() },
      );
    }
  }

  close(): void {
    this.file?.close();
    this.file = undefined;
  }
}

/** A function of its own: closures of one function share its variables, and would keep in memory what went to the file. */
function reader(range: ByteRange): () => Uint8Array {
  return () => readRange(range);
}

/** The temporary file, which grows. */
class KeptFile implements ByteSource {
  readonly path = temporaryPath(join(tmpdir(), "minmaxq-kept"));
  readonly name = this.path;
  size = 0;
  private readonly fd = openSync(this.path, "wx+");

  append(bytes: Uint8Array): ByteRange {
    const range = { source: this, offset: this.size, length: bytes.length };
    writeAll(this.fd, bytes, this.size);
    this.size += bytes.length;
    return range;
  }

  readInto(target: Uint8Array, offset: number): void {
    for (let done = 0; done < target.length; ) {
      const count = readSync(this.fd, target, done, target.length - done, offset + done);
      if (count === 0) throw new MinmaxqError(`${this.path}: was cut while it was in use`);
      done += count;
    }
  }

  close(): void {
    closeSync(this.fd);
    removeTemporary(this.path);
  }
}
