/**
 * What a job depends on, as one hash: bytes of its model, its data and its layer file, its options, and this version.
 *
 * Hashing reads everything, which takes a while for large files. So a file's hash is kept with its size and times
 * (results.jsonl) and taken again where they are the same. They include the time of change (ctime), which programs cannot
 * set, and a hash is only kept when this time was over SETTLED before it was made: two changes in one tick would look like
 * one.
 */
import { statSync } from "node:fs";
import pkg from "../../package.json" with { type: "json" };
import { hashFile, unreadable } from "../base/hash-file.ts";
import { dialectOf } from "../driver/paths.ts";
import { JOB_OPTIONS } from "../options/lists.ts";
import { schemeNameOf } from "../options/scheme.ts";
import { sourcesOf } from "../options/sources.ts";
import { ROWS } from "../options/table.ts";
import type { OptionValues } from "../options/values.ts";
import type { SchemeName } from "../rules/schemes.ts";
import { type DataFiles, dataFiles } from "./data-files.ts";
import { type Job, writtenBy } from "./job.ts";

/** A file as it was when it was hashed. */
export interface FileFacts {
  readonly path: string;
  readonly size: number;
  /** Device, inode, times of the last writing and of the last change. */
  readonly stamp: string;
  readonly sha256: string;
}

/** Milliseconds after a change from which times can be relied on. */
const SETTLED = 2000;

/** Hashes of files, each read once. */
export class Hashes {
  private readonly known = new Map<string, FileFacts>();

  constructor(known: Iterable<FileFacts> = []) {
    for (const facts of known) this.known.set(facts.path, facts);
  }

  /** The file's hash; read only where it may have changed since. Throws a MinmaxqError when it cannot be read. */
  async of(path: string, signal?: AbortSignal): Promise<FileFacts> {
    const now = stampOf(path);
    const known = this.known.get(path);
    if (known && known.stamp === now.stamp && known.size === now.size) return known;
    const facts = { path, ...now, sha256: await hashFile(path, signal) };
    if (now.settled) this.known.set(path, facts);
    return { path, size: facts.size, stamp: now.settled ? facts.stamp : "", sha256: facts.sha256 };
  }
}

function stampOf(path: string): { size: number; stamp: string; settled: boolean } {
  try {
    const stat = statSync(path, { bigint: true });
    if (!stat.isFile()) throw new Error("it is not a file");
    const { dev, ino, size, mtimeNs, ctimeNs } = stat;
    const latest = Math.max(Number(mtimeNs), Number(ctimeNs)) / 1e6;
    return {
      size: Number(size),
      stamp: [dev, ino, mtimeNs, ctimeNs].join(":"),
      settled: Date.now() - latest > SETTLED,
    };
  } catch (error) {
    throw unreadable(path, error);
  }
}

export interface Key {
  /** Same key, same bytes of the result. */
  readonly key: string;
  /** Single files among the inputs. */
  readonly inputs: readonly FileFacts[];
}

/** A file by its contents alone. */
const one = (path: unknown): Pick<DataFiles, "word" | "names" | "files"> => ({
  word: "",
  names: [],
  files: [String(path)],
});

/**
 * The job's key. Every option counts but those that the table says give the same result; of files their contents.
 * Throws a MinmaxqError when an input cannot be read.
 */
export async function keyOfJob({ model, output, options }: Job, hashes: Hashes, signal?: AbortSignal): Promise<Key> {
  const inputs: FileFacts[] = [await hashes.of(model, signal)];
  const parts: unknown[] = [pkg.version, dialectOf(output), inputs[0]!.sha256];
  const add = async (name: string, { word, names, files }: ReturnType<typeof one>, ...more: string[]) => {
    const hashed: FileFacts[] = [];
    for (const each of files) hashed.push(await hashes.of(each, signal));
    parts.push([name, word, names, hashed.map(({ sha256 }) => sha256), ...more]);
    if (files.length === 1) inputs.push(...hashed);
  };
  // The scheme that is meant counts, however it was said.
  const meant: OptionValues = {
    ...options,
    scheme: schemeNameOf({ ...options, output }) as SchemeName,
    dtype: undefined,
  };
  for (const name of [...JOB_OPTIONS].sort()) {
    const { file, sameResult } = ROWS[name];
    const value = meant[name];
    if (value === undefined || sameResult) continue;
    if (file === undefined) parts.push([name, value]);
    // What is written beside the model does not change it, but has to be made, too.
    else if (file === "written") parts.push([name]);
    else if (file === "read") await add(name, one(value));
    else
      for (const { signature, location, format } of sourcesOf(options))
        await add(name, dataFiles(location, format), ...(signature === undefined ? [] : [signature]));
  }
  return { key: sha256(JSON.stringify(parts)), inputs };
}

/** The name of a job in the queue: one for each result in each place. */
export function idOfJob(job: Job, key: string): string {
  return sha256(JSON.stringify([key, writtenBy(job)]));
}

export function sha256(text: string): string {
  return new Bun.CryptoHasher("sha256").update(text).digest("hex");
}
