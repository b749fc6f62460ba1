/** Rules about input and output paths that all commands share. All are checked before any work is done. */
import { accessSync, constants, existsSync, realpathSync, type Stats, statSync } from "node:fs";
import { dirname, extname } from "node:path";
import { MinmaxqError, reasonOf, UsageError } from "../errors.ts";
import type { Dialect } from "../model/index.ts";

/** Refuses a model that is not there. What is there but no model is the reader's to tell. */
export function checkInput(path: string): void {
  if (path === "") throw new UsageError("the path of the model is empty; give a .circle or .tflite file");
  if (!existsSync(path)) throw new MinmaxqError(`${path}: there is no such file; check the path of the model`);
}

/**
 * Refuses outputs that cannot be: stdout, a missing folder, one of the inputs (unless `force`). The first input is the
 * model, others are data: files, or words that are no files.
 */
export function checkPaths(inputs: readonly (string | undefined)[], output: string, force = false): void {
  if (output === "-")
    throw new UsageError("-o -: a model cannot be written to stdout, because its tables are written last; give a path");
  checkInput(inputs[0]!);
  const folder = dirname(output);
  if (!existsSync(folder)) throw new MinmaxqError(`${output}: the folder ${folder} does not exist; create it first`);
  if (!statSync(folder).isDirectory())
    throw new MinmaxqError(`${output}: ${folder} is a file, not a folder; give another path`);
  const stat = statOf(output);
  if (stat?.isDirectory() || output.endsWith("/")) throw new MinmaxqError(`${output}: is a folder; give a file name`);
  if (stat && !stat.isFile())
    throw new MinmaxqError(`${output}: is a device or pipe, and a model needs a regular file; give another path`);
  for (const input of stat && !force ? inputs : []) {
    if (input && existsSync(input) && realpathSync(input) === realpathSync(output))
      throw new MinmaxqError(`${output}: is the input itself; give another path, or --force to replace it`);
  }
  try {
    accessSync(stat ? dirname(realpathSync(output)) : folder, constants.W_OK);
  } catch (error) {
    throw new MinmaxqError(
      `${output}: the folder ${folder} cannot be written (${reasonOf(error)}); change its permissions or give another path`,
      { cause: error },
    );
  }
}

/** What is there already; undefined when nothing is. */
function statOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch (error) {
    const long = (error as NodeJS.ErrnoException).code === "ENAMETOOLONG";
    const reason = long ? "the name is too long; give a shorter one" : `${reasonOf(error)}; give another path`;
    throw new MinmaxqError(`${path}: cannot be written: ${reason}`, { cause: error });
  }
}

/** The format of an output: asked for, or by its ending, else circle. */
export function dialectOf(output: string, asked?: Dialect): Dialect {
  return asked ?? (extname(output).toLowerCase() === ".tflite" ? "tflite" : "circle");
}
