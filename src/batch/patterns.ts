/**
 * Patterns in job lists: which models an entry stands for, and which models an override is for.
 *
 *     models/            every model below the folder
 *     models/*.tflite    a glob (*, **, ?, [a-z], {a,b}); only .circle and .tflite files count
 *     hand*              of an override, without a slash: a model of that name in any folder
 */
import { existsSync, readdirSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, extname, isAbsolute, join, relative, resolve, sep } from "node:path";
import { keepPlain } from "../base/plain.ts";
import { withSlashes } from "../base/platform.ts";

const MODEL_ENDINGS = [".circle", ".tflite"];
const MAGIC = /[*?[{]/;

/** What an entry's model stands for where it is no file. */
export interface Expansion {
  /** Absolute paths, sorted. */
  readonly models: readonly string[];
  /** Whether the model at an absolute path, were it there, would be one of them. */
  takes(path: string): boolean;
}

/**
 * The models of a folder or glob as an entry names it, below `folder`; undefined for anything else. Hidden names and linked folders are left
 * out, and so is what lies in `out`, unless the pattern begins there or below.
 */
export function expansionOf(written: string, folder: string, out: string): Expansion | undefined {
  const path = resolve(folder, written);
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? /[/\\]$/.test(written);
  if (!isFolder && (!MAGIC.test(written) || existsSync(path))) return undefined;
  const glob = isFolder ? undefined : globOf(path);
  const base = real(glob?.base ?? path);
  const without = isBelow(base, real(out)) ? undefined : real(out);
  const takes = (model: string) =>
    MODEL_ENDINGS.includes(extname(model).toLowerCase()) &&
    isBelow(real(model), base) &&
    !(without !== undefined && isBelow(real(model), without)) &&
    (!glob || glob.matches(relative(base, real(model))));
  const found = existsSync(base) ? modelsBelow(base, without, glob?.depth) : [];
  const start = glob?.base ?? path;
  const models = found.filter((name) => !glob || glob.matches(name)).map((name) => join(start, name));
  return { models, takes };
}

/** A glob's fixed beginning, what the rest matches, and so many folders below that it can reach. */
function globOf(path: string): { base: string; depth: number; matches(name: string): boolean } {
  const parts = path.split(sep);
  const fixed = parts.findIndex((part) => MAGIC.test(part));
  const rest = parts.slice(fixed).join("/");
  const glob = new Bun.Glob(rest);
  const depth = /\*\*|[{[]/.test(rest) ? Number.POSITIVE_INFINITY : parts.length - fixed;
  return {
    // Of a drive's top, too: "C:" alone is the current folder of that drive.
    base: parts
      .slice(0, fixed)
      .join(sep)
      .replace(/^$|^[A-Za-z]:$/, `$&${sep}`),
    depth,
    matches: (name) => glob.match(name.split(sep).join("/")),
  };
}

/** Models below a folder, by their paths inside it, sorted; hidden names, linked folders and `without` are left out. */
export function modelsBelow(folder: string, without?: string, depth = Number.POSITIVE_INFINITY, inside = ""): string[] {
  const found: string[] = [];
  for (const entry of readdirSync(join(folder, inside), { withFileTypes: true })) {
    if (entry.name.startsWith(".")) continue;
    const name = keepPlain(join(inside, entry.name));
    if (entry.isDirectory()) {
      if (depth > 1 && real(join(folder, name)) !== without)
        found.push(...modelsBelow(folder, without, depth - 1, name));
    } else if (MODEL_ENDINGS.includes(extname(entry.name).toLowerCase())) {
      if (entry.isFile() || statSync(join(folder, name), { throwIfNoEntry: false })?.isFile()) found.push(name);
    }
  }
  return inside === "" ? found.sort() : found;
}

/** Whether an override's pattern is for a model; `folder` is where the pattern begins. */
export function isFor(pattern: string, model: string, folder: string): boolean {
  const written = withSlashes(pattern);
  const below = written.endsWith("/") ? `${written}**` : written;
  if (!below.includes("/")) return new Bun.Glob(below).match(basename(model));
  const path = isAbsolute(below) ? model : relative(folder, model);
  return new Bun.Glob(below.replace(/^(\.\/)+/, "")).match(path.split(sep).join("/"));
}

function isBelow(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}

/** One name a file, also for those to come: links of the folders that are there are followed. */
export function real(path: string): string {
  if (existsSync(path)) return realpathSync(path);
  const folder = dirname(path);
  return folder === path ? path : join(real(folder), basename(path));
}
