/**
 * The folders a worker may touch. Jobs come from a queue that others write to, so every path of a job, and every file that its
 * data stand for, must lie below a root once all links are followed. The job then gets these paths, not those it came with.
 */
import fs, { existsSync, lstatSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, isAbsolute, join, resolve, sep } from "node:path";
import { Problems, UsageError } from "../base/errors.ts";
import { isMadeUp } from "../options/sources.ts";
import { dataFiles } from "./data-files.ts";
import { dataOf, type Entry, type Job, jobOf, pathsOf, samplesIn } from "./job.ts";

export class Roots {
  /** Real paths. */
  readonly folders: readonly string[];

  /** Throws a UsageError for roots that are no folders. */
  constructor(folders: readonly string[]) {
    this.folders = folders.map((folder) => {
      if (!existsSync(folder) || !statSync(folder).isDirectory())
        throw new UsageError(`--root ${folder}: is no folder; give one that is there`);
      return realpathSync(folder);
    });
  }

  /** The job with its paths resolved. Throws a MinmaxqError that names every path outside the roots. */
  confine(job: Job): Job {
    const problems = new Problems();
    const entry: Record<string, Entry[string]> = { ...job.entry };
    const confined = (key: string, path: string): string => {
      const found = this.inside(path);
      if (found === undefined)
        problems.add(`${key} ${path}: lies outside the folders that this worker may touch (--root)`);
      return found ?? path;
    };
    for (const { key, path, use } of pathsOf(job.entry)) if (use !== "samples") entry[key] = confined(key, path);
    const given = samplesIn(job.entry);
    const samples = given.map((source) =>
      isMadeUp(source) ? source : { ...source, location: confined("data", source.location) },
    );
    if (given.length > 0) entry.data = dataOf(job.entry, samples);
    // A path outside is not even looked into.
    problems.throwIfAny("paths that this worker may not touch");
    for (const [i, { location, format }] of samples.entries())
      for (const file of dataFiles(location, format).files)
        if (this.inside(file) === undefined)
          problems.add(
            `data ${given[i]!.location}: its file ${file} lies outside the folders that this worker may touch (--root)`,
          );
    problems.throwIfAny("paths that this worker may not touch");
    return jobOf(entry);
  }

  /** Where the path leads, if that is below a root. */
  private inside(path: string): string | undefined {
    if (!isAbsolute(path)) return undefined;
    const real = realPath(resolve(path));
    return real !== undefined && isInside(real, this.folders) ? real : undefined;
  }
}

function isInside(path: string, roots: readonly string[]): boolean {
  return roots.some((root) => path === root || path.startsWith(root.endsWith(sep) ? root : root + sep));
}

/**
 * Has this process open no files outside the roots, for what a file itself refers to: HDF5 data can link to other files, and
 * the library opens them through `fs.openSync`. Our own code opens only what Roots has looked at.
 */
export function guardFiles(roots: readonly string[]): void {
  const open = fs.openSync;
  fs.openSync = (path, ...rest) => {
    const real = realPath(resolve(String(path)));
    if (real === undefined || !isInside(real, roots))
      throw Object.assign(new Error(`EACCES: ${path} lies outside the roots`), {
        code: "EACCES",
        errno: -13,
        syscall: "open",
      });
    return open(path, ...rest);
  };
}

/** All links followed; of what is still to be written, those of the folders that are there. Links to nowhere lead nowhere. */
function realPath(path: string): string | undefined {
  if (existsSync(path)) return realpathSync(path);
  if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) return undefined;
  const folder = dirname(path);
  if (folder === path) return undefined;
  const real = realPath(folder);
  return real === undefined ? undefined : join(real, basename(path));
}

/** Words for a log: what a job is about. */
export function titleOf({ model, output }: Job): string {
  return `${model} → ${output}`;
}
