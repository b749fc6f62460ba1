/** Files under way: written beside their target, renamed when they are whole, removed when anything goes wrong. */
import { rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";

const underWay = new Set<string>();

/** A name for a file under way beside `path`, on the same disk so that renaming is one step. */
export function temporaryPath(path: string): string {
  // File names end at 255 bytes, and letters may take several.
  const start = Buffer.from(basename(path)).subarray(0, 180).toString();
  // Not of node:crypto, which takes longer to load than a small model to write.
  const random = Buffer.from(crypto.getRandomValues(new Uint8Array(4))).toString("hex");
  const name = `.${start}.${process.pid}.${random}.tmp`;
  const result = join(dirname(path), name);
  underWay.add(result);
  return result;
}

/** The file has its final name now. */
export function temporaryDone(path: string): void {
  underWay.delete(path);
}

/** Removes one file under way. Never throws. */
export function removeTemporary(path: string): void {
  underWay.delete(path);
  try {
    // A folder for the time being, too.
    rmSync(path, { force: true, recursive: true });
  } catch {
    // Nothing better can be done about a file that cannot be removed.
  }
}

/** Removes all files under way; for a handler of SIGINT. Never throws. */
export function removeTemporaryFiles(): void {
  for (const path of [...underWay]) removeTemporary(path);
}
