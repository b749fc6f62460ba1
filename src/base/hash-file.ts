/** SHA-256 of files. */
import { closeSync, openSync, readSync } from "node:fs";
import { FileError, type MinmaxqError, reasonOf } from "./errors.ts";

const PIECE = 4 * 2 ** 20;

/** SHA-256 of a file in bounded memory; others get their turn in between. */
export async function hashFile(path: string, signal?: AbortSignal): Promise<string> {
  const hasher = new Bun.CryptoHasher("sha256");
  const piece = new Uint8Array(PIECE);
  let fd: number | undefined;
  try {
    fd = openSync(path, "r");
    for (;;) {
      const count = readSync(fd, piece, 0, PIECE, null);
      if (count === 0) return hasher.digest("hex");
      hasher.update(piece.subarray(0, count));
      await new Promise((resume) => setImmediate(resume));
      signal?.throwIfAborted();
    }
  } catch (error) {
    if (signal?.aborted) throw error;
    throw unreadable(path, error);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** What is told of a file that cannot be read. */
export function unreadable(path: string, error: unknown): MinmaxqError {
  const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
  const what = missing ? "there is no such file; check the path" : `cannot be read (${reasonOf(error)})`;
  return new FileError(path, what, { cause: error });
}
