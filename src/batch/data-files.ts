/** The files behind `--data`: what a job's key hashes, and what a worker holds to its roots. */
import { existsSync, readdirSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, isAbsolute, join } from "node:path";
import { FileError, reasonOf } from "../base/errors.ts";
import { readText } from "../base/read-text.ts";
import { isPattern, matchingFiles } from "../calibration/locations.ts";
import { isMadeUp } from "../options/sources.ts";

export interface DataFiles {
  /** Made-up samples: the word; else nothing. */
  readonly word: string;
  /** Names as the samples' order depends on them. */
  readonly names: readonly string[];
  readonly files: readonly string[];
  /** The folder from which names inside a list file are looked up. */
  readonly folder: string | undefined;
}

const LIST = /^(list|filelist|txt)$/;

/**
 * Every file that `data` may stand for. Of a list file all readings of a line count (as one name, and as several), so this is
 * what src/calibration/files.ts reads, or more. In a batch, names in a list are looked up from the list's folder.
 * Throws a MinmaxqError when it cannot be read.
 */
export function dataFiles(data: string, format?: string): DataFiles {
  if (isMadeUp({ location: data, format })) return { word: data, names: [], files: [], folder: undefined };
  if (format === undefined && isPattern(data)) {
    const files = matchingFiles(data);
    return { word: "", names: files.map((file) => basename(file)), files, folder: undefined };
  }
  try {
    const stat = statSync(data);
    if (!stat.isFile() && !stat.isDirectory()) throw new Error("it is neither a file nor a folder");
    if (stat.isDirectory()) {
      const names = readdirSync(data, { withFileTypes: true })
        .filter((entry) => !entry.name.startsWith(".") && !entry.isDirectory())
        .map((entry) => entry.name)
        .sort();
      return { word: "", names, files: names.map((name) => join(data, name)), folder: undefined };
    }
    if (!LIST.test(format ?? /\.([^./]+)$/.exec(data)?.[1]?.toLowerCase() ?? ""))
      return { word: "", names: [], files: [data], folder: undefined };
    const folder = dirname(realpathSync(data));
    const lines = readText(data)
      .split("\n")
      .map((line) => line.trim());
    const named = [...new Set(lines.flatMap((line) => [line, ...line.split(" ")]))].filter((name) => name !== "");
    // A list may be reached by a link; then its names count from either folder.
    const places = [...new Set([folder, dirname(data)])];
    const files = named.flatMap((name) => (isAbsolute(name) ? [name] : places.map((place) => join(place, name))));
    return { word: "", names: [], files: [data, ...files.filter((path) => existsSync(path))], folder };
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
    const what = missing ? "there is no such file or folder" : `cannot be read (${reasonOf(error)})`;
    throw new FileError(
      data,
      `${what}; give sample data (a folder of pictures, .npy, .npz, .h5, a list …) or "random"`,
      {
        cause: error,
      },
    );
  }
}
