/**
 * Tables → file. The layout is known first; then contents go to their places, then the tables.
 *
 *     encode ─▶ lay out ─▶ temporary file ─▶ fill (deferred contents) ─▶ copy ─▶ refresh ─▶ tables ─▶ rename
 *
 * The tables come last because `fill` may compute numbers (scales) into their typed arrays, which are taken over then.
 * A reader of the path sees the old file or the whole new one, never a part.
 */
import { timed } from "../base/timings.ts";
import { type ByteRange, type Content, type Deferred, isDeferred } from "./bytes.ts";
import { copyContents } from "./copy.ts";
import { type Encoded, encodeModel, refresh } from "./encode.ts";
import { type ContentPlan, type FileLayout, FLATBUFFER_LIMIT, layOut, patch, withArchive } from "./layout.ts";
import { OutputFile, writeError } from "./output-file.ts";
import type { Dialect, Model } from "./schema.gen.ts";

/** Where deferred contents go. */
export interface FillTarget {
  /** The file under way, for Workers that open it by themselves; absent when writing to memory. */
  readonly path?: string;
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
  /** Bytes behind everything else, whatever the size; OpenedModel.archive keeps what was read. */
  archive?: ByteRange;
  /** Size in bytes from which weights lie behind the FlatBuffer. For tests. */
  limit?: number;
  /** Called when the file is whole and has no name yet, with the path where it is; what it throws leaves no file. Not in memory. */
  whole?: (path: string) => void | Promise<void>;
  /** The file, with contents that had their places before the tables were known. Those that are not as planned are filled anew. */
  begun?: BegunFile;
}

/** A file that is written to already. */
export interface BegunFile {
  readonly file: OutputFile;
  readonly plan: ContentPlan;
}

/**
 * Writes a model to a file. Throws a MinmaxqError of one line when the dialect cannot say what the model says or the
 * file cannot be written; then nothing is left behind and an old file is as it was. What is wrong with the model does not name the file.
 */
export function writeModel(model: Model, path: string, options: WriteOptions): Promise<void> {
  return timed("write", () => writeBeside(model, path, options));
}

async function writeBeside(model: Model, path: string, options: WriteOptions): Promise<void> {
  let file = options.begun?.file ?? new OutputFile(path);
  let size: number | undefined;
  try {
    await serializeInto(model, options, (bytes, asPlanned) => {
      size = bytes;
      if (options.begun && !asPlanned) {
        file.discard();
        file = new OutputFile(path);
      }
      return { path: file.temporary, write: (bytes, offset) => file.write(bytes, offset) };
    });
    await file.finish(size!, options.whole);
  } catch (error) {
    file.discard();
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

/** The same, to where the caller says once it knows the size in bytes, and whether the plan held. */
export async function serializeInto(
  model: Model,
  options: WriteOptions,
  open: (size: number, asPlanned: boolean) => FillTarget,
): Promise<void> {
  const { fill } = options;
  const { encoded, layout } = placed(model, options);
  const target = open(layout.size, layout.planned);
  const deferred: Placed[] = [];
  for (const { content, offset } of layout.places) if (isDeferred(content)) deferred.push({ content, offset });
  const kept = new Map<Content, Uint8Array>();
  const into = { ...target, keep: (content: Deferred, bytes: Uint8Array) => void kept.set(content, bytes) };
  if (fill) await fill(into, deferred);
  else if (deferred.length > 0) throw new Error(`${deferred.length} deferred buffers and no function to fill them`);
  await timed("copy", () => copyContents(layout, kept, (bytes, offset) => target.write(bytes, offset)));
  timed("write tables", () => {
    if (fill) refresh(encoded);
    patch(encoded, layout);
    target.write(encoded.bytes, 0);
  });
}

/** Bytes that the file of a model would have; nothing is filled or copied. Throws a MinmaxqError when the dialect cannot say what the model says. */
export function sizeOfFile(model: Model, options: WriteOptions): number {
  return placed(model, options).layout.size;
}

/** The tables, and the place of everything. */
function placed(model: Model, options: WriteOptions): { encoded: Encoded; layout: FileLayout } {
  const { dialect, limit = FLATBUFFER_LIMIT, begun, archive } = options;
  let external = options.external ?? false;
  let encoded = timed("encode tables", () => encodeModel(model, dialect, external));
  let layout = timed("lay out", () => {
    const planned = begun && layOut(encoded, begun.plan);
    return planned && planned.size < limit ? planned : layOut(encoded);
  });
  if (!external && layout.size >= limit) {
    external = true;
    encoded = encodeModel(model, dialect, external);
    layout = layOut(encoded);
  }
  return { encoded, layout: archive ? withArchive(layout, archive) : layout };
}
