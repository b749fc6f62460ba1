/**
 * The files of one record: a `.npy` array, picture, sound or raw file for each input, or one raw file with all inputs. Checked when opened, read
 * when the record's turn comes.
 */
import { FileError } from "../base/errors.ts";
import { foreignText, kindOf, mediaText } from "../media/kinds.ts";
import { fileSize, fileStream, StreamReader } from "./chunks.ts";
import {
  byteLength,
  elementOf,
  type FileReader,
  type InputSpec,
  inputText,
  isOpen,
  patternOf,
  sized,
} from "./inputs.ts";
import type { Media } from "./media.ts";
import { stackOf } from "./npy.ts";
import { collect, collectLater } from "./problems.ts";

/** One record. */
export interface FileRecord {
  /** One per input. */
  readonly shapes: readonly (readonly number[])[];
  /** One array per input; they are the receiver's. */
  read(): Uint8Array[];
}

/** Checks the files of one record. Lines for what is wrong are added to `problems`; then the record is not to be read. */
export async function openRecord(
  files: readonly string[],
  inputs: readonly InputSpec[],
  problems: string[],
  media?: Media,
): Promise<FileRecord | undefined> {
  if (files.length !== inputs.length) {
    collect(problems, () => checkSize(files[0]!, inputs));
    return { shapes: inputs.map(({ shape }) => shape), read: () => readRaw(files[0]!, inputs) };
  }
  const readers: FileReader[] = [];
  for (const [i, file] of files.entries()) {
    const reader = await collectLater(problems, () => openFile(file, inputs[i]!, i, media));
    if (reader) readers.push(reader);
  }
  if (readers.length < files.length) return undefined;
  return { shapes: readers.map(({ shape }) => shape), read: () => readers.map((reader) => reader.read()) };
}

function openFile(file: string, input: InputSpec, position: number, media?: Media): FileReader | Promise<FileReader> {
  const kind = kindOf(file);
  if (media && (kind === "picture" || kind === "sound")) return media.open(kind, file, position);
  if (media && kind === "foreign") throw new FileError(file, foreignText(file));
  if (kind === "array") {
    const shape = arrayShape(file, input);
    return { shape, read: () => readArray(file, sized(input, shape)) };
  }
  const found = sizedByFile(file, input);
  return { shape: found.shape, read: () => readRaw(file, [found])[0]! };
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
  if (kindOf(file) === "foreign") throw new FileError(file, foreignText(file));
  const media = mediaText(file);
  if (media)
    throw new FileError(
      file,
      `is ${media}, and raw bytes are read here; give its folder or file as --data of quantize, or make an array of it: minmaxq data pack FILES --model MODEL -o samples.npz`,
    );
  const what = inputs.length === 1 ? inputText(inputs[0]!) : `all ${inputs.length} model inputs one after the other`;
  throw new FileError(file, `has ${size} bytes, ${what} ${inputs.length === 1 ? "needs" : "need"} ${wanted}`);
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
