// Patterns that name sample files: `photos/*.jpg`, `photos/**/*.{jpg,png}`.
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { FileError } from "../base/errors.ts";
import { keepPlain } from "../base/plain.ts";
import { withSlashes } from "../base/platform.ts";

const SIGNS = /[*?[{]/;

/** Whether a location is a pattern; a file or folder whose name has such signs is that file. */
export function isPattern(location: string): boolean {
  return SIGNS.test(location) && !existsSync(location);
}

/**
 * The files that a pattern matches, sorted by code units; hidden ones are left out unless the pattern names them. Paths begin as the pattern does.
 * Throws FileError where there are none.
 */
export function matchingFiles(pattern: string): string[] {
  const steps = withSlashes(pattern).split("/");
  const first = steps.findIndex((step) => SIGNS.test(step));
  const folder = steps.slice(0, first).join("/");
  const cwd = pattern.startsWith("/") && folder === "" ? "/" : folder || ".";
  const rest = steps.slice(first).join("/");
  const found = existsSync(cwd) ? matched(rest, cwd) : [];
  if (found.length === 0) throw new FileError(pattern, "no file has such a name; check the pattern and the folder");
  return found.map((name) => keepPlain(cwd === "." ? name : join(cwd, name)));
}

/** Links to files count, as in a folder; folders that are links are not entered, so it ends. */
function matched(pattern: string, cwd: string): string[] {
  const names = [...new Bun.Glob(pattern).scanSync({ cwd, onlyFiles: false })];
  return names.filter((name) => statSync(join(cwd, name), { throwIfNoEntry: false })?.isFile()).sort();
}
