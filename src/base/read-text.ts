/** Texts that people write (job lists, layer settings, lists of files), read as a whole and in bounded memory. */
import { closeSync, openSync, readSync } from "node:fs";
import { FileError, reasonOf } from "./errors.ts";
import { keepTextsPlain } from "./plain.ts";

const MIB = 2 ** 20;
const PIECE = 1 << 16;

/**
 * The text of a file, a pipe or a device, of at most `most` MiB. Throws an Error whose message follows "cannot be read": that of the system, or that it
 * is larger, which a device without an end is in any case.
 */
export function readText(path: string, most = 64): string {
  const fd = openSync(path, "r");
  try {
    const pieces: Uint8Array[] = [];
    for (let size = 0; ; ) {
      const piece = new Uint8Array(PIECE);
      const count = readSync(fd, piece, 0, PIECE, null);
      if (count === 0) break;
      pieces.push(piece.subarray(0, count));
      size += count;
      if (size > most * MIB) throw new Error(`it is larger than ${most} MiB`);
    }
    return Buffer.concat(pieces).toString("utf8");
  } finally {
    closeSync(fd);
  }
}

/**
 * The value of a JSON file, its texts kept plain (plain.ts). Throws a FileError for what cannot be read; `what` is the matter then, and `remedy` what
 * to do.
 */
export function readJson(path: string, { most = 64, what = "cannot be read as JSON", remedy = "" } = {}): unknown {
  try {
    return keepTextsPlain(JSON.parse(readText(path, most)));
  } catch (error) {
    throw new FileError(path, `${what} (${reasonOf(error)})${remedy && `; ${remedy}`}`, { cause: error });
  }
}
