/** Rules about input and output paths that all commands share. */
import { existsSync, realpathSync, statSync } from "node:fs";
import { dirname, extname } from "node:path";
import { MinmaxqError, UsageError } from "../errors.ts";
import type { Dialect } from "../model/index.ts";

/**
 * Refuses outputs that cannot be: stdout, a missing folder, the input itself (unless `force`). Before any work is done.
 */
export function checkOutput(input: string, output: string, force = false): void {
  if (output === "-")
    throw new UsageError("-o -: a model cannot be written to stdout, because its tables are written last; give a path");
  const folder = dirname(output);
  if (!existsSync(folder)) throw new MinmaxqError(`${output}: the folder ${folder} does not exist; create it first`);
  if (existsSync(output) && statSync(output).isDirectory())
    throw new MinmaxqError(`${output}: is a folder; give a file name`);
  if (!force && existsSync(output) && existsSync(input) && realpathSync(input) === realpathSync(output))
    throw new MinmaxqError(`${output}: is the input itself; give another path, or --force to replace it`);
}

/** The format of an output: asked for, or by its ending, else circle. */
export function dialectOf(output: string, asked?: Dialect): Dialect {
  return asked ?? (extname(output).toLowerCase() === ".tflite" ? "tflite" : "circle");
}
