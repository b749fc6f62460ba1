/** Rules about input and output paths that all commands share. All are checked before any work is done. */
import { accessSync, constants, existsSync, realpathSync, type Stats, statSync } from "node:fs";
import { dirname, extname, resolve } from "node:path";
import { FileError, reasonOf, UsageError } from "../base/errors.ts";
import { endsAsFolder } from "../base/platform.ts";
import { promisedFormat } from "../model/foreign.ts";
import type { Dialect } from "../model/index.ts";

/** Refuses a model that is not there. What is there but no model is the reader's to tell. */
export function checkInput(path: string): void {
  if (path === "") throw new UsageError("the path of the model is empty; give a .circle or .tflite file");
  if (!existsSync(path))
    throw new FileError(path, "there is no such file; check the path of the model", { code: "no-such-file" });
}

/**
 * Refuses outputs that cannot be: stdout, a missing folder, one of the inputs (unless `force`). The first input is the
 * model, others are data: files, or words that are no files.
 */
export function checkPaths(inputs: readonly (string | undefined)[], output: string, force = false): void {
  if (output === "-")
    throw new UsageError("-o -: a model cannot be written to stdout, because its tables are written last; give a path");
  checkInput(inputs[0]!);
  const stat = checkPlace(output);
  if (stat && !stat.isFile())
    throw new FileError(output, "is a device or pipe, and a model needs a regular file; give another path");
  if (
    !force &&
    inputs.some((input) => input && existsSync(input) && stat && realpathSync(input) === realpathSync(output))
  )
    throw new FileError(output, "is the input itself; give another path, or --force to replace it");
}

/** File numbers of Windows have 64 bits: as floats, neighbours would be the same file. */
const IN_FULL = { bigint: true, throwIfNoEntry: false } as const;

/** Refuses a file that is written beside the result (a report) where it cannot be, or where a model or data would be lost. */
export function checkReport(
  option: string,
  path: string,
  inputs: readonly (string | undefined)[],
  output?: string,
): void {
  const stat = checkPlace(path) && statSync(path, IN_FULL);
  // Unlike a model it is written in place, so another name of the file (a hard link) is the file, too.
  const isIt = (other: string | undefined) => {
    const known = stat && other ? statSync(other, IN_FULL) : undefined;
    return known !== undefined && known.ino === stat!.ino && known.dev === stat!.dev;
  };
  if (inputs.some(isIt)) throw new FileError(path, `is the input itself; give ${option} another path`);
  if (output !== undefined && (resolve(output) === resolve(path) || isIt(output)))
    throw new FileError(path, `is the output itself; give ${option} another path`);
}

/** Refuses a file whose folder is missing or takes no files; tells what is there already. */
function checkPlace(path: string): Stats | undefined {
  const folder = dirname(path);
  if (!existsSync(folder)) throw new FileError(path, `the folder ${folder} does not exist; create it first`);
  if (!statSync(folder).isDirectory())
    throw new FileError(path, `${folder} is a file, not a folder; give another path`);
  const stat = statOf(path);
  if (stat?.isDirectory() || endsAsFolder(path)) throw new FileError(path, "is a folder; give a file name");
  // A device or pipe is no file of its folder.
  if (stat && !stat.isFile()) return stat;
  try {
    accessSync(stat ? dirname(realpathSync(path)) : folder, constants.W_OK);
  } catch (error) {
    throw new FileError(
      path,
      `the folder ${folder} cannot be written (${reasonOf(error)}); change its permissions or give another path`,
      { cause: error },
    );
  }
  return stat;
}

/** What is there already; undefined when nothing is. */
function statOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch (error) {
    const long = (error as NodeJS.ErrnoException).code === "ENAMETOOLONG";
    const reason = long ? "the name is too long; give a shorter one" : `${reasonOf(error)}; give another path`;
    throw new FileError(path, `cannot be written: ${reason}`, { code: "unwritable-file", cause: error });
  }
}

/** Refuses an output whose ending promises a format that is not written; where the format was asked for, the ending says nothing. */
export function checkEnding(output: string, asked?: Dialect): void {
  const promised = asked === undefined ? promisedFormat(output) : undefined;
  if (promised !== undefined)
    throw new UsageError(
      `${output}: results are .circle or .tflite files, not ${promised}; give an output that ends in one of these`,
    );
}

/** The format of an output: asked for, or by its ending, else circle. */
export function dialectOf(output: string, asked?: Dialect): Dialect {
  return asked ?? (extname(output).toLowerCase() === ".tflite" ? "tflite" : "circle");
}
