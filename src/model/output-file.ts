/** A file under way: written beside its target, and renamed when it is whole. */
import {
  closeSync,
  existsSync,
  ftruncateSync,
  openSync,
  realpathSync,
  renameSync,
  type Stats,
  statSync,
} from "node:fs";
import { dirname, resolve } from "node:path";
import { FileError, MinmaxqError, reasonOf } from "../base/errors.ts";
import { removeTemporary, temporaryDone, temporaryPath } from "../base/temporary.ts";
import { writeAll } from "./bytes.ts";

export class OutputFile {
  /** Where its bytes are until it is whole. */
  readonly temporary: string;
  private readonly final: string;
  private fd: number | undefined;

  /** Opens it. Throws a MinmaxqError of one line where that cannot be, or where a folder or device is in the way. */
  constructor(readonly path: string) {
    const final = finalPath(path);
    this.final = final.path;
    this.temporary = temporaryPath(final.path);
    try {
      this.fd = openSync(this.temporary, "wx", final.stat ? final.stat.mode & 0o777 : 0o666);
    } catch (error) {
      this.discard();
      throw writeError(path, undefined, error);
    }
  }

  /** Writes bytes at a position of the file, which grows as needed. */
  write(bytes: Uint8Array, offset: number): void {
    writeAll(this.fd!, bytes, offset);
  }

  /** Gives the file its size in bytes and its name; `whole` is told in between, and what it throws leaves no file. */
  async finish(size: number, whole?: (path: string) => void | Promise<void>): Promise<void> {
    // Here and not before: ext4 writes into a file of the final size at half the speed of one that grows.
    ftruncateSync(this.fd!, size);
    this.close();
    await whole?.(this.temporary);
    // The last moment at which Ctrl-C leaves no file.
    await new Promise((resume) => setImmediate(resume));
    renameSync(this.temporary, this.final);
    temporaryDone(this.temporary);
  }

  /** Removes what there is, unless it is finished. Never throws. */
  discard(): void {
    try {
      this.close();
    } catch {
      // There is an error already that says more than that of closing.
    }
    removeTemporary(this.temporary);
  }

  private close(): void {
    const { fd } = this;
    this.fd = undefined;
    if (fd !== undefined) closeSync(fd);
  }
}

/** The file that is replaced: symbolic links are followed, folders and devices refused. */
function finalPath(path: string): { path: string; stat?: Stats } {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat) return { path: resolve(path) };
  if (stat.isDirectory()) throw new FileError(path, "is a folder; give a file name");
  if (!stat.isFile()) throw new FileError(path, "is not a regular file; give a file name");
  return { path: realpathSync(path), stat };
}

/** System errors in people's words; others are passed on. */
export function writeError(path: string, size: number | undefined, error: unknown): unknown {
  // What is wrong with the model that is written, whose name the caller knows.
  if (error instanceof MinmaxqError) return error;
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (!/^E[A-Z0-9]+$/.test(code)) return error;
  const folder = dirname(path);
  if (process.platform === "win32" && ["EPERM", "EACCES", "EBUSY"].includes(code) && existsSync(path))
    return new FileError(
      path,
      "cannot be replaced: a program has it open (this one, where it is the model that is read), or it is read-only; give another path",
      { code: "unwritable-file", cause: error },
    );
  const bytes = size === undefined ? "" : ` (${size} bytes needed)`;
  const remedies: Record<string, string> = {
    ENOENT: existsSync(folder)
      ? `the folder ${folder} takes no files; give another path`
      : `the folder ${folder} does not exist; create it first`,
    ENOTDIR: `${folder} is not a folder; give another path`,
    EACCES: `the folder ${folder} may not be written; change its permissions or give another path`,
    EPERM: `the folder ${folder} may not be written; change its permissions or give another path`,
    EROFS: `the disk of ${folder} is read-only; give another path`,
    ENOSPC: `the disk is full${bytes}; free some space or give another path`,
    EDQUOT: `the disk quota is used up${bytes}; free some space or give another path`,
    EFBIG: `the file is too large for this disk or limit${bytes}; give another path`,
    ENAMETOOLONG: "the name is too long; give a shorter one",
  };
  return new FileError(path, `cannot be written: ${remedies[code] ?? reasonOf(error)}`, {
    code: "unwritable-file",
    cause: error,
  });
}
