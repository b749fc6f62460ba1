/**
 * HDF5 sample data in the reference's layout (§7.2):
 *
 *     /value            group; an attribute `rawData` (any value) says: take bytes as they are, check sizes only
 *     /value/0, /1 …    one group per record
 *     /value/0/0, /1 …  one dataset a model input: its type and shape are the model input's
 *
 * Records are taken in the order of their numbers ("2" before "10").
 */
import type { Dataset, File, Group, Metadata, ready } from "h5wasm/node";
import { FileError, type MinmaxqError, reasonOf } from "../base/errors.ts";
import { keepPlain } from "../base/plain.ts";
import { counted } from "../base/text.ts";
import { refuseBomb } from "./bombs.ts";
import { fileSize } from "./chunks.ts";
import {
  byteLength,
  type DataSet,
  elementOf,
  fits,
  type InputSpec,
  inputText,
  isOpen,
  patternOf,
  shapeText,
  sized,
} from "./inputs.ts";
import { throwAll } from "./problems.ts";

/** The library itself; its declarations leave out the memory functions every Emscripten module has. */
type H5Module = Awaited<typeof ready> & {
  _malloc(size: number): number;
  _free(pointer: number): void;
  HEAPU8: Uint8Array;
};

export async function openHdf5(path: string, inputs: readonly InputSpec[]): Promise<DataSet> {
  fileSize(path);
  // Loaded on demand: the library is 4 MB of WASM that only this format needs.
  const h5 = await import("h5wasm/node");
  const library = (await h5.ready) as H5Module;
  // Errors are to be thrown; without this the library prints its own stack to the terminal.
  library.activate_throwing_error_handler();
  const file = openFile(path, h5.File);
  try {
    const names = checkFile(path, file, inputs);
    const size = fileSize(path);
    const shapeOf = (name: string, i: number) => {
      const input = inputs[i]!;
      return isOpen(input) ? ((file.get(`value/${name}/${i}`) as Dataset).shape ?? []) : input.shape;
    };
    for (const name of inputs.some(isOpen) ? names : [])
      for (const [i, input] of inputs.entries()) {
        const bytes = byteLength(sized(input, shapeOf(name, i)));
        refuseBomb({ name: `${path}: value/${name}/${i}`, packed: size, all: bytes, record: bytes });
      }
    return {
      description: `${path} (${counted(names.length, "record")})`,
      count: names.length,
      shapes: (record) => inputs.map((_, i) => shapeOf(names[record]!, i)),
      async *records() {
        for (const name of names) {
          yield inputs.map((input, i) =>
            readDataset(path, file, library, `value/${name}/${i}`, sized(input, shapeOf(name, i))),
          );
        }
      },
      close() {
        file.close();
      },
    };
  } catch (error) {
    file.close();
    throw error;
  }
}

function openFile(path: string, FileClass: typeof File): File {
  try {
    const file = new FileClass(path, "r");
    // h5wasm gives an invalid id (0 or negative) for files it cannot open, without throwing.
    if (BigInt(file.file_id) > 0n) return file;
  } catch (error) {
    // The library's own words are a trace of some 20 lines; they stay with --verbose.
    throw notReadable(path, error);
  }
  throw notReadable(path);
}

function notReadable(path: string, cause?: unknown): MinmaxqError {
  return new FileError(path, "is not a readable HDF5 file; it is damaged, incomplete or of another kind", {
    cause,
  });
}

/** Checks every record against the inputs; gives the record names in order. */
function checkFile(path: string, file: File, inputs: readonly InputSpec[]): string[] {
  const value = file.get("value") as Group | null;
  if (value?.type !== "Group") {
    throw new FileError(path, 'has no group "value"; records are expected as value/RECORD/INPUT, e.g. value/0/0');
  }
  const raw = "rawData" in value.attrs;
  const names = value.keys().map(keepPlain);
  const problems = names
    .filter((name) => !/^\d+$/.test(name))
    .map((name) => `${path}: value/${name} is no record: records are named 0, 1, 2 …`);
  names.sort((a, b) => Number(a) - Number(b));
  for (const name of problems.length === 0 ? names : []) {
    const record = value.get(name) as Group | null;
    if (record?.type !== "Group") {
      problems.push(`${path}: value/${name} is no group; a record is a group with a dataset an input`);
      continue;
    }
    const count = record.keys().length;
    if (count !== inputs.length) {
      problems.push(`${path}: value/${name}: wrong number of inputs: it has ${count}, the model ${inputs.length}`);
      continue;
    }
    inputs.forEach((input, i) => {
      const place = `${path}: value/${name}/${i}`;
      const data = record.get(String(i)) as Dataset | null;
      if (data?.type !== "Dataset") problems.push(`${place}: there is no such dataset (${inputText(input)})`);
      else problems.push(...problemsOf(place, data, input, raw));
    });
  }
  throwAll(problems, `${path}: does not fit the model`, path);
  return names;
}

function problemsOf(place: string, data: Dataset, input: InputSpec, raw: boolean): string[] {
  const { metadata } = data;
  const shape = data.shape ?? [];
  const wantedShape = patternOf(input);
  if (raw && isOpen(input))
    return [`${place}: raw data do not tell the size of ${inputText(input)}; give it by --input-shape`];
  if (raw) {
    const size = shape.reduce((product, dim) => product * dim, metadata.size);
    const wanted = byteLength(input);
    return size === wanted ? [] : [`${place}: has ${size} bytes, ${inputText(input)} needs ${wanted}`];
  }
  const problems: string[] = [];
  const code = codeOf(metadata);
  const wanted = elementOf(input).numpy;
  if (code !== wanted) problems.push(`${place}: holds ${code}, ${inputText(input)} wants ${wanted}`);
  if (!fits(shape, wantedShape)) {
    problems.push(`${place}: has shape ${shapeText(shape)}, ${inputText(input)} wants ${shapeText(wantedShape)}`);
  }
  return problems;
}

/** HDF5's type as NumPy's code. h5py stores NumPy's bool as an enum FALSE = 0, TRUE = 1 on int8. */
function codeOf(type: Metadata): string {
  if (type.enum_type !== undefined && type.size === 1) {
    const { members } = type.enum_type;
    return members.FALSE === 0 && members.TRUE === 1 ? "b1" : "an enum";
  }
  const order = type.littleEndian || type.size === 1 ? "" : "big-endian ";
  // H5T_class_t: 0 integer, 1 float.
  if (type.type === 0) return `${order}${type.signed ? "i" : "u"}${type.size}`;
  if (type.type === 1) return `${order}f${type.size}`;
  return "neither integers nor floats";
}

/** The dataset's bytes as they are stored, whatever their type (the library's own `value` knows no float16 and unfolds bools). */
function readDataset(path: string, file: File, library: H5Module, place: string, input: InputSpec): Uint8Array {
  const size = byteLength(input);
  const pointer = library._malloc(Math.max(1, size));
  if (pointer === 0) throw new FileError(path, `${place}: no memory for its ${size} bytes`);
  try {
    library.get_dataset_data(file.file_id, place, null, null, null, BigInt(pointer));
    return library.HEAPU8.slice(pointer, pointer + size);
  } catch (error) {
    throw new FileError(path, `${place} cannot be read (${reasonOf(error)}); the file is damaged`, {
      cause: error,
    });
  } finally {
    library._free(pointer);
  }
}
