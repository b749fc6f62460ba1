/**
 * Records as files: a list file, or a folder. Source of the rules: reference §7.2.
 *
 * List file: one record per line, names separated by single spaces. As many names as the model has inputs: one file an input;
 * one name: one raw file with all inputs one after the other. Names are looked up from the current folder first (the reference's
 * rule), then from the list file's folder. Blank lines are no records.
 *
 * Folder: files sorted by name (by code units, so number them 000, 001 …), those beginning with "." left out.
 * Raw files hold all inputs one after the other. `.npy` files hold one record: with one input, one file per record; with several,
 * `NAME_0.npy`, `NAME_1.npy` … are the inputs 0, 1 … of the record NAME.
 *
 * Where the model leaves sizes open, each file tells its own: `.npy` by its header, a raw file of one input by its size if one dimension alone
 * is open.
 *
 * Files ending in `.npy` are read as NumPy arrays (shape and type checked), all others as raw little-endian bytes (only the
 * size can be checked).
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import { FileError, reasonOf } from "../base/errors.ts";
import { counted } from "../base/text.ts";
import { fileSize, fileStream, StreamReader } from "./chunks.ts";
import { byteLength, type DataSet, elementOf, type InputSpec, inputText, isOpen, patternOf, sized } from "./inputs.ts";
import { stackOf } from "./npy.ts";
import { collect, throwAll } from "./problems.ts";

/** Opens a list file. Throws MinmaxqError with every missing or ill-sized file. */
export function openList(path: string, inputs: readonly InputSpec[]): DataSet {
  fileSize(path);
  const lines = readFileSync(path, "utf8").split("\n");
  const problems: string[] = [];
  const records: FileRecord[] = [];
  lines.forEach((raw, number) => {
    const line = raw.trim();
    if (line === "") return;
    const place = `${path}:${number + 1}`;
    const names = split(line, path);
    if (names.length !== inputs.length && names.length !== 1) {
      problems.push(
        `${place}: wrong number of inputs: ${names.length} names for ${inputs.length} model inputs; give one file an input, or one with all of them`,
      );
      return;
    }
    const files = names.map((name) => find(name, path));
    const missing = names.filter((_, i) => files[i] === undefined);
    for (const name of missing) {
      problems.push(`${place}: there is no file "${name}", neither from the current folder nor from the list's`);
    }
    if (missing.length > 0) return;
    records.push(checkRecord(files as string[], inputs, problems));
  });
  throwAll(problems, `${path}: records that cannot be used`, path);
  return dataSetOfFiles(path, records);
}

/** A line that as a whole names a file is that file, so one-file records may have spaces in their names. */
function split(line: string, list: string): string[] {
  return find(line, list) === undefined ? line.split(" ") : [line];
}

function find(name: string, list: string): string | undefined {
  const places = isAbsolute(name) ? [name] : [name, join(dirname(list), name)];
  return places.find((place) => existsSync(place));
}

/** Opens a folder. Throws MinmaxqError with every ill-sized file. */
export function openDirectory(path: string, inputs: readonly InputSpec[]): DataSet {
  let names: string[];
  try {
    names = readdirSync(path, { withFileTypes: true })
      .filter((entry) => !entry.name.startsWith(".") && !entry.isDirectory())
      .map((entry) => entry.name)
      .sort();
  } catch (error) {
    throw new FileError(path, `is not a readable folder (${reasonOf(error)})`, { cause: error });
  }
  const arrays = names.filter(isNpy).length;
  if (arrays > 0 && arrays < names.length) {
    throw new FileError(
      path,
      `holds .npy files and others (e.g. "${names.find((name) => !isNpy(name))}"); a folder holds one kind`,
    );
  }
  const problems: string[] = [];
  const groups =
    arrays > 0 && inputs.length > 1 ? byInput(path, names, inputs.length, problems) : names.map((n) => [n]);
  const records = groups.map((group) =>
    checkRecord(
      group.map((name) => join(path, name)),
      inputs,
      problems,
    ),
  );
  throwAll(problems, `${path}: files that cannot be used`, path);
  return dataSetOfFiles(path, records);
}

/** `a_0.npy, a_1.npy, b_0.npy, b_1.npy` → `[[a_0, a_1], [b_0, b_1]]`. */
function byInput(path: string, names: readonly string[], inputs: number, problems: string[]): string[][] {
  const groups = new Map<string, string[]>();
  for (const name of names) {
    const match = /^(.*)_(\d+)\.npy$/.exec(name);
    if (match === null || Number(match[2]) >= inputs) {
      problems.push(
        `${join(path, name)}: a model with ${inputs} inputs needs NAME_0.npy … NAME_${inputs - 1}.npy for the record NAME`,
      );
      continue;
    }
    const group = groups.get(match[1]!) ?? [];
    group[Number(match[2])] = name;
    groups.set(match[1]!, group);
  }
  for (const [record, group] of groups) {
    for (let i = 0; i < inputs; i++) {
      if (group[i] === undefined)
        problems.push(`${join(path, record)}_${i}.npy: there is no such file (input ${i} of record "${record}")`);
    }
  }
  // Incomplete records are reported already.
  return [...groups.values()].filter((group) => group.filter((name) => name !== undefined).length === inputs);
}

function isNpy(name: string): boolean {
  return name.toLowerCase().endsWith(".npy");
}

/** Files of one record. */
interface FileRecord {
  /** One per input, or one with all of them. */
  readonly files: readonly string[];
  /** The inputs, with the shapes that the record has. */
  readonly inputs: readonly InputSpec[];
}

/** Checks sizes (raw) or headers (`.npy`) of one record's files. */
function checkRecord(files: readonly string[], inputs: readonly InputSpec[], problems: string[]): FileRecord {
  if (files.length !== inputs.length) {
    collect(problems, () => checkSize(files[0]!, inputs));
    return { files, inputs };
  }
  const found = files.map((file, i) => {
    const input = inputs[i]!;
    return collect(problems, () => (isNpy(file) ? sized(input, arrayShape(file, input)) : sizedByFile(file, input)));
  });
  return { files, inputs: found.map((input, i) => input ?? inputs[i]!) };
}

/** The input as a raw file of it alone has it. */
function sizedByFile(file: string, input: InputSpec): InputSpec {
  const pattern = patternOf(input);
  const open = pattern.filter((dim) => dim < 0).length;
  const step = pattern.reduce((bytes, dim) => (dim < 0 ? bytes : bytes * dim), elementOf(input).bytes);
  const size = open === 1 ? fileSize(file) / step : 0;
  const found =
    Number.isInteger(size) && size > 0
      ? sized(
          input,
          pattern.map((dim) => (dim < 0 ? size : dim)),
        )
      : input;
  checkSize(file, [found]);
  return found;
}

/** The shape of the one record that a `.npy` file holds. */
function arrayShape(file: string, input: InputSpec): readonly number[] {
  const { count, shape } = stackOf(fileStream(file), input);
  if (count !== 1)
    throw new FileError(file, `holds ${count} records, one is wanted; give the file itself as sample data`);
  return shape;
}

function checkSize(file: string, inputs: readonly InputSpec[]): void {
  const size = fileSize(file);
  const unknown = inputs.find(isOpen);
  if (unknown)
    throw new FileError(
      file,
      `its bytes do not tell the size of ${inputText(unknown)}; give it by --input-shape, or samples as .npy or .npz`,
    );
  const wanted = inputs.reduce((sum, input) => sum + byteLength(input), 0);
  if (size === wanted) return;
  const what = inputs.length === 1 ? inputText(inputs[0]!) : `all ${inputs.length} model inputs one after the other`;
  throw new FileError(file, `has ${size} bytes, ${what} ${inputs.length === 1 ? "needs" : "need"} ${wanted}`);
}

function dataSetOfFiles(path: string, records: readonly FileRecord[]): DataSet {
  const count = records.length;
  return {
    description: `${path} (${counted(count, "record")})`,
    count,
    shapes: (record) => records[record]!.inputs.map(({ shape }) => shape),
    async *records() {
      for (const { files, inputs } of records) {
        if (files.length === inputs.length) {
          yield files.map((file, i) => (isNpy(file) ? readArray(file, inputs[i]!) : readRaw(file, [inputs[i]!])[0]!));
        } else {
          yield readRaw(files[0]!, inputs);
        }
      }
    },
    close() {},
  };
}

function readArray(file: string, input: InputSpec): Uint8Array {
  const pass = stackOf(fileStream(file), input).open();
  try {
    return pass.next().value!;
  } finally {
    pass.return?.();
  }
}

function readRaw(file: string, inputs: readonly InputSpec[]): Uint8Array[] {
  // The size is looked at again: the file may have changed since it was checked.
  checkSize(file, inputs);
  const reader = new StreamReader(fileStream(file));
  try {
    return inputs.map((input) => reader.read(byteLength(input)));
  } finally {
    reader.close();
  }
}
