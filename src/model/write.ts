/**
 * Tables → file. The layout is known first; then contents go to their places, then the tables.
 *
 *     encode ─▶ lay out ─▶ temporary file ─▶ fill (deferred contents) ─▶ copy ─▶ refresh ─▶ tables ─▶ rename
 *
 * The tables come last because `fill` may compute numbers (scales) into their typed arrays, which are taken over then.
 * A reader of the path sees the old file or the whole new one, never a part.
 */
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
import { MinmaxqError, reasonOf } from "../errors.ts";
import { timed } from "../timings.ts";
import { type Content, type Deferred, isDeferred, writeAll } from "./bytes.ts";
import { copyContents } from "./copy.ts";
import { encodeModel, refresh } from "./encode.ts";
import { layOut, patch } from "./layout.ts";
import type { Dialect, Model } from "./schema.gen.ts";
import { removeTemporary, temporaryDone, temporaryPath } from "./temporary.ts";

/** FlatBuffers measure with 31 bits; files from here on keep their weights behind the FlatBuffer. */
const FLATBUFFER_LIMIT = 2 ** 31 - 1;

/** Where deferred contents go. */
export interface FillTarget {
  /** The file under way, for Workers that open it by themselves; absent when writing to memory. */
  readonly path?: string;
  readonly fd?: number;
  /** Writes bytes at a position of the file, which grows as needed. */
  write(bytes: Uint8Array, offset: number): void;
}

/** The same for who fills contents in. */
export interface FillInto extends FillTarget {
  /** Takes the bytes of a small content, to be written together with what lies around it. */
  keep(content: Deferred, bytes: Uint8Array): void;
}

/** A deferred content and the position of its first byte in the file. */
export interface Placed {
  readonly content: Deferred;
  readonly offset: number;
}

/** Fills in every deferred content. It may also set quantization parameters in the model's typed arrays, not their lengths. */
export type Fill = (target: FillInto, placed: Placed[]) => Promise<void> | void;

export interface WriteOptions {
  /** The format of the file; OpenedModel.dialect keeps the one that was read. */
  dialect: Dialect;
  fill?: Fill;
  /** Keep weights behind the FlatBuffer whatever the size; OpenedModel.external keeps what was read. */
  external?: boolean;
  /** Size in bytes from which weights lie behind the FlatBuffer. For tests. */
  limit?: number;
}

/**
 * Writes a model to a file. Throws a MinmaxqError of one line when the dialect cannot say what the model says or the
 * file cannot be written; then nothing is left behind and an old file is as it was.
 */
export function writeModel(model: Model, path: string, options: WriteOptions): Promise<void> {
  return timed("write", () => writeBeside(model, path, options));
}

async function writeBeside(model: Model, path: string, options: WriteOptions): Promise<void> {
  const final = finalPath(path);
  const mode = final.stat ? final.stat.mode & 0o777 : 0o666;
  const temporary = temporaryPath(final.path);
  let fd: number | undefined;
  let size: number | undefined;
  try {
    const place = (bytes: number): FillTarget => {
      size = bytes;
      const opened = openSync(temporary, "wx", mode);
      fd = opened;
      return { path: temporary, fd: opened, write: (bytes, offset) => writeAll(opened, bytes, offset) };
    };
    await serializeInto(model, options, place);
    // Here and not before: ext4 writes into a file of the final size at half the speed of one that grows.
    ftruncateSync(fd!, size!);
    closeSync(fd!);
    fd = undefined;
    // The last moment at which Ctrl-C leaves no file.
    await new Promise((resume) => setImmediate(resume));
    renameSync(temporary, final.path);
    temporaryDone(temporary);
  } catch (error) {
    try {
      if (fd !== undefined) closeSync(fd);
    } catch {
      // The first error says more than that of closing.
    }
    removeTemporary(temporary);
    throw writeError(path, size, error);
  }
}

/** The file of a model as bytes in memory. Throws a MinmaxqError when the dialect cannot say what the model says. */
export async function serializeModel(model: Model, options: WriteOptions): Promise<Uint8Array> {
  let result = new Uint8Array();
  await serializeInto(model, options, (size) => {
    result = new Uint8Array(size);
    return { write: (bytes, offset) => result.set(bytes, offset) };
  });
  return result;
}

/** The same, to where the caller says once it knows the size in bytes. */
export async function serializeInto(
  model: Model,
  options: WriteOptions,
  open: (size: number) => FillTarget,
): Promise<void> {
  const { dialect, fill, limit = FLATBUFFER_LIMIT } = options;
  let external = options.external ?? false;
  let encoded = timed("encode tables", () => encodeModel(model, dialect, external));
  let layout = timed("lay out", () => layOut(encoded));
  if (!external && layout.size >= limit) {
    external = true;
    encoded = encodeModel(model, dialect, external);
    layout = layOut(encoded);
  }
  const target = open(layout.size);
  const placed: Placed[] = [];
  for (const { content, offset } of layout.places) if (isDeferred(content)) placed.push({ content, offset });
  const kept = new Map<Content, Uint8Array>();
  const into = { ...target, keep: (content: Deferred, bytes: Uint8Array) => void kept.set(content, bytes) };
  if (fill) await fill(into, placed);
  else if (placed.length > 0) throw new Error(`${placed.length} deferred buffers and nobody to fill them`);
  await timed("copy", () => copyContents(layout, kept, (bytes, offset) => target.write(bytes, offset)));
  timed("write tables", () => {
    if (fill) refresh(encoded);
    patch(encoded, layout);
    target.write(encoded.bytes, 0);
  });
}

/** The file that is replaced: symbolic links are followed, folders and devices refused. */
function finalPath(path: string): { path: string; stat?: Stats } {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat) return { path: resolve(path) };
  if (stat.isDirectory()) throw new MinmaxqError(`${path}: is a folder; give a file name`);
  if (!stat.isFile()) throw new MinmaxqError(`${path}: is not a regular file; give a file name`);
  return { path: realpathSync(path), stat };
}

/** System errors in people's words; others are passed on. */
function writeError(path: string, size: number | undefined, error: unknown): unknown {
  if (error instanceof MinmaxqError) {
    return error.message.startsWith(path) ? error : new MinmaxqError(`${path}: ${error.message}`, { cause: error });
  }
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (!/^E[A-Z0-9]+$/.test(code)) return error;
  const folder = dirname(path);
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
  return new MinmaxqError(`${path}: cannot be written: ${remedies[code] ?? reasonOf(error)}`, { cause: error });
}
