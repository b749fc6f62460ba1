/** Bytes that are kept until they are read again (pictures in the size that the model wants, what layers read): in memory while there is room, else in a temporary file (TMPDIR). */
import { closeSync, openSync, readSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MinmaxqError, reasonOf } from "../base/errors.ts";
import { TEMPORARY_FOLDER } from "../base/platform.ts";
import { removeTemporary, temporaryPath } from "../base/temporary.ts";
import { writeAll } from "../model/bytes.ts";

/** Bytes that stay in memory. */
const ROOM = 64 * 2 ** 20;

export class KeptBytes {
  private used = 0;
  private file: { readonly path: string; readonly fd: number } | undefined;
  private written = 0;

  /** `what` they are, for messages. */
  constructor(
    private readonly room = ROOM,
    private readonly what = "pictures",
  ) {}

  /** Keeps bytes; gives what reads them again. Throws MinmaxqError when there can be no file. */
  add(bytes: Uint8Array): () => Uint8Array {
    if (this.used + bytes.length <= this.room) {
      this.used += bytes.length;
      return () => bytes;
    }
    const [at, size] = [this.written, bytes.length];
    try {
      this.file ??= newFile();
      writeAll(this.file.fd, bytes, at);
    } catch (error) {
      throw new MinmaxqError(
        `${this.what} cannot be kept in ${tmpdir()} (${reasonOf(error)}); make room there, or set ${TEMPORARY_FOLDER} to a folder with room`,
        { cause: error, subject: tmpdir() },
      );
    }
    this.written += size;
    return () => this.read(at, size);
  }

  private read(at: number, size: number): Uint8Array {
    const bytes = new Uint8Array(size);
    for (let done = 0; done < size; ) {
      const count = readSync(this.file!.fd, bytes, done, size - done, at + done);
      if (count === 0) throw new MinmaxqError(`${this.file!.path}: was cut while it was in use`);
      done += count;
    }
    return bytes;
  }

  close(): void {
    if (!this.file) return;
    closeSync(this.file.fd);
    removeTemporary(this.file.path);
    this.file = undefined;
  }
}

function newFile() {
  const path = temporaryPath(join(tmpdir(), "minmaxq-pictures"));
  return { path, fd: openSync(path, "wx+") };
}
