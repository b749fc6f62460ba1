/**
 * Sample inputs: where a location is looked at and given to the reader of its format.
 *
 * | location | what it is |
 * |---|---|
 * | `x.npy`, `x.npz` | NumPy arrays, one stack of records a model input (npy.ts, npz.ts) |
 * | `x.h5`, `x.hdf5` | the reference's HDF5 layout, §7.2 (hdf5.ts) |
 * | `x.txt`, `x.list` | names of raw files, one line per record, §7.2 (files.ts) |
 * | a folder, a pattern such as `photos/*.jpg` | one picture, sound, raw or `.npy` file a record (files.ts, media.ts) |
 * | `x.png`, `x.jpg`, `x.webp`, `x.bmp`, `x.wav` | one record (media.ts) |
 * | `random`, `random:N`, `random:N:SEED` | made up, reproducible (random.ts) |
 *
 * The word `random` always means made-up data; a file or folder of that name is written `./random`.
 */
import { closeSync, openSync, readSync, statSync } from "node:fs";
import { FileError, reasonOf, UsageError } from "../base/errors.ts";
import { kindOf, mediaText } from "../media/kinds.ts";
import { openDirectory, openFiles, openList } from "./files.ts";
import { openHdf5 } from "./hdf5.ts";
import { type DataSet, elementOf, type InputSpec, isOpen } from "./inputs.ts";
import { isPattern, matchingFiles } from "./locations.ts";
import type { MediaContext } from "./media.ts";
import type { MediaSettings } from "./media-plan.ts";
import { openNpy } from "./npy.ts";
import { openNpz } from "./npz.ts";
import { openRandom } from "./random.ts";

export type { DataSet };

type Opener = (location: string, inputs: readonly InputSpec[], media?: MediaContext) => DataSet | Promise<DataSet>;

/** Values of `--input_data_format` (§7.1) and ours; also the meaning of file endings. */
const FORMATS: Readonly<Record<string, Opener>> = {
  npy: openNpy,
  npz: openNpz,
  h5: openHdf5,
  hdf5: openHdf5,
  list: openList,
  filelist: openList,
  txt: openList,
  directory: openDirectory,
  dir: openDirectory,
  random: openRandom,
  pattern: (...given) => openPattern(...given),
  media: (...given) => openOne(...given),
};

/** Formats that the location alone tells. */
const TOLD = ["pattern", "media"];
/** Formats of several files, of which some can be left out. */
const SEVERAL = ["pattern", "directory", "dir", "list", "filelist", "txt"];
const NAMES = Object.keys(FORMATS)
  .filter((name) => !TOLD.includes(name))
  .join(", ");

export interface DataSetOptions {
  /** One of FORMATS. Without it the location tells: the word `random`, a folder, the file's ending, its first bytes. */
  format?: string;
  /** How pictures and sounds become values. Without it they are not taken. */
  media?: MediaContext;
  /** The settings of `media` serve other data sets, too: the caller sees to it that they serve one (`refuseUseless`). */
  shared?: boolean;
}

/**
 * Opens sample data for a model and checks everything that can be checked without reading it whole: presence, types,
 * shapes, sizes, number of inputs. Throws MinmaxqError with all problems found.
 */
export async function openDataSet(
  location: string,
  inputs: readonly InputSpec[],
  options: DataSetOptions = {},
): Promise<DataSet> {
  const { media, shared } = options;
  const format = options.format ?? formatOf(location);
  const open = Object.hasOwn(FORMATS, format) ? FORMATS[format] : undefined;
  if (open === undefined || TOLD.includes(options.format ?? "")) {
    throw new UsageError(`data format "${format}" is not known; known formats: ${NAMES} (exactly so written)`);
  }
  for (const input of inputs) elementOf(input);
  const { shapes, ...rest } = await open(location, inputs, media);
  // Where the model leaves no size open, no record says its own.
  const varies = inputs.some((input) => input.given || isOpen(input));
  const own = inputs.map(({ shape }) => shape);
  const data: DataSet = varies ? { ...rest, shapes: shapes ?? (() => own) } : rest;
  if (data.count === 0) {
    data.close();
    throw new FileError(location, "holds no records; at least one sample is needed");
  }
  if (!media || shared) return data;
  try {
    refuseUseless(media.settings, [{ location, format, data }]);
    return data;
  } catch (error) {
    data.close();
    throw error;
  }
}

/** Samples that settings of pictures and sounds are for. */
export interface Served {
  readonly location: string;
  readonly format?: string;
  readonly data: DataSet;
}

/** Throws a UsageError for settings that serve none of the samples: nothing is ignored in silence. Arrays are fed as they are. */
export function refuseUseless({ skipBad, ...rest }: MediaSettings, served: readonly Served[]): void {
  const given = Object.entries(rest).find(([, value]) => value !== undefined)?.[0];
  const where = served.map(({ location }) => location).join(" and ");
  const several = served.length > 1;
  if (given !== undefined && !served.some(({ data }) => data.prepared))
    throw new UsageError(
      `--${given}: does nothing with ${where}, which ${several ? "hold" : "holds"} no pictures or sounds but what is fed as it is; leave it out`,
    );
  if (skipBad && !served.some(({ location, format }) => SEVERAL.includes(format ?? formatOf(location))))
    throw new UsageError(
      `--skip-bad: does nothing with ${where}, which ${several ? "are" : "is"} no folder, pattern or list; leave it out`,
    );
}

const openPattern = (location: string, inputs: readonly InputSpec[], media?: MediaContext) =>
  openFiles(location, matchingFiles(location), inputs, media);

/** One picture or sound. */
function openOne(location: string, inputs: readonly InputSpec[], media?: MediaContext): Promise<DataSet> {
  if (media) return openFiles(location, [location], inputs, media);
  throw new FileError(
    location,
    `is ${mediaText(location) ?? "a picture or sound"}, which is not read here; make an array of it: minmaxq data pack ${location} --model MODEL -o samples.npz`,
  );
}

const MAGIC: readonly [string, string][] = [
  ["\x93NUMPY", "npy"],
  ["PK\x03\x04", "npz"],
  ["PK\x05\x06", "npz"],
  ["\x89HDF\r\n\x1a\n", "h5"],
];

function formatOf(location: string): string {
  if (/^random(:|$)/.test(location)) return "random";
  if (isPattern(location)) return "pattern";
  const folder = isFolder(location);
  if (folder) return "directory";
  if (["picture", "sound"].includes(kindOf(location)) || mediaText(location)) return "media";
  const ending = /\.([^./\\]+)$/.exec(location)?.[1]?.toLowerCase() ?? "";
  if (Object.hasOwn(FORMATS, ending) && ending !== "dir") return ending;
  const start = firstBytes(location, 8);
  const known = MAGIC.find(([magic]) => start.startsWith(magic));
  if (known !== undefined) return known[1];
  throw new UsageError(
    `${location}: the format cannot be told from its name; name it .npy, .npz, .h5, .txt or .list, or give the format (${NAMES})`,
  );
}

function isFolder(location: string): boolean {
  try {
    const stat = statSync(location);
    // A pipe would be waited for, a device read without end.
    if (!stat.isFile() && !stat.isDirectory()) throw new Error("is neither a file nor a folder");
    return stat.isDirectory();
  } catch (error) {
    const hint = (error as { code?: string }).code === "ENOENT" ? "there is no such file or folder" : reasonOf(error);
    throw new FileError(
      location,
      `${hint}; give sample data (a folder of pictures, .npy, .npz, .h5, a list …) or "random"`,
      {
        cause: error,
      },
    );
  }
}

function firstBytes(path: string, count: number): string {
  const bytes = new Uint8Array(count);
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch (error) {
    throw new FileError(path, `cannot be read (${reasonOf(error)})`, { cause: error });
  }
  try {
    return String.fromCharCode(...bytes.subarray(0, readSync(fd, bytes, 0, count, 0)));
  } catch (error) {
    throw new FileError(path, `cannot be read (${reasonOf(error)})`, { cause: error });
  } finally {
    closeSync(fd);
  }
}
