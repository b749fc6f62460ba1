/**
 * NumPy arrays as records. Format: numpy/lib/format.py (versions 1.0 to 3.0).
 *
 *     \x93NUMPY  major  minor  length(u16 LE in 1.x, u32 LE later)  "{'descr': '<f4', 'fortran_order': False, 'shape': (16, 3), }"  data
 *
 * How an array is a stack of records, for a model input of shape S:
 *   rank(S) + 1 axes, S behind the first            → the first axis counts the records
 *   rank(S) axes, S[0] is 1, equal behind the first → the first axis counts the records (batches concatenated)
 *   exactly S                                       → one record
 */
import { FileError, type MinmaxqError } from "../base/errors.ts";
import { counted } from "../base/text.ts";
import { refuseBomb } from "./bombs.ts";
import { type ByteStream, fileStream, StreamReader } from "./chunks.ts";
import {
  type DataSet,
  dtypeOfNumpy,
  elementCount,
  elementOf,
  fits,
  type InputSpec,
  inputText,
  patternOf,
  shapeText,
} from "./inputs.ts";
import { throwAll } from "./problems.ts";

/** What an `.npy` header says. */
export interface NpyHeader {
  /** Type code without byte order, e.g. "f4". */
  readonly code: string;
  readonly bigEndian: boolean;
  readonly fortran: boolean;
  readonly shape: readonly number[];
  /** Where the data begin, in bytes. */
  readonly dataOffset: number;
}

/** An array whose elements are one model input's, record after record. */
export interface Stack {
  readonly count: number;
  /** Of each record. */
  readonly shape: readonly number[];
  /** A pass over the records in order. */
  open(): Iterator<Uint8Array, void, void>;
}

/** Opens one `.npy` file for a model with one input. */
export function openNpy(path: string, inputs: readonly InputSpec[]): DataSet {
  if (inputs.length !== 1) {
    throw new FileError(
      path,
      `one .npy array cannot feed ${inputs.length} model inputs (${inputs.map((input) => `"${input.name}"`).join(", ")}); use an .npz with one entry an input`,
    );
  }
  const stack = stackOf(fileStream(path), inputs[0]!);
  return dataSetOfStacks(path, [stack]);
}

/** A data set from one stack per model input; all of the same count. */
export function dataSetOfStacks(name: string, stacks: readonly Stack[]): DataSet {
  const count = stacks[0]?.count ?? 0;
  return {
    description: `${name} (${counted(count, "record")})`,
    count,
    shapes: () => stacks.map(({ shape }) => shape),
    async *records() {
      const passes = stacks.map((stack) => stack.open());
      try {
        for (let record = 0; record < count; record++) {
          yield passes.map((pass) => {
            const next = pass.next();
            if (next.done) throw new Error(`${name}: record ${record} is missing`);
            return next.value;
          });
        }
      } finally {
        for (const pass of passes) pass.return?.();
      }
    },
    close() {},
  };
}

/** Reads the header of an array and checks it against an input. Throws MinmaxqError with everything that does not fit. */
export function stackOf(stream: ByteStream, input: InputSpec): Stack {
  const header = readHeader(stream);
  const element = elementOf(input);
  const problems: string[] = [];
  if (header.code !== element.numpy) {
    const found = dtypeOfNumpy(header.code) ?? header.code;
    problems.push(
      `${stream.name}: holds ${found}, ${inputText(input)} wants ${input.dtype}; save it with .astype("${element.numpy}")`,
    );
  }
  const wanted = patternOf(input);
  const count = recordCount(header.shape, wanted);
  if (count === undefined) {
    const open = wanted.map((dim) => (dim < 0 ? "?" : dim));
    const rest = wanted[0] === 1 ? ` or [${["N", ...open.slice(1)].join(", ")}]` : "";
    problems.push(
      `${stream.name}: has shape ${shapeText(header.shape)}, ${inputText(input)} wants [${["N", ...open].join(", ")}]${rest} for N records`,
    );
  }
  throwAll(problems, `${stream.name}: does not fit the model`, stream.name);
  const bytes = elementCount(header.shape) * element.bytes;
  if (stream.size - header.dataOffset !== bytes) {
    throw new FileError(
      stream.name,
      `has ${stream.size - header.dataOffset} bytes of data where its header (${header.code} ${shapeText(header.shape)}) announces ${bytes}; it is damaged or incomplete`,
    );
  }
  const shape =
    header.shape.length === wanted.length
      ? count === 1
        ? header.shape
        : [1, ...header.shape.slice(1)]
      : header.shape.slice(1);
  const record = elementCount(shape) * element.bytes;
  refuseBomb({ name: stream.name, packed: stream.packed ?? stream.size, all: bytes, record });
  const layout = { stream, header, count: count!, recordElements: elementCount(shape), width: element.bytes };
  return { count: count!, shape, open: () => (header.fortran ? fortranRecords(layout) : plainRecords(layout)) };
}

function recordCount(shape: readonly number[], wanted: readonly number[]): number | undefined {
  if (shape.length === wanted.length + 1 && fits(shape.slice(1), wanted)) return shape[0]!;
  if (shape.length !== wanted.length) return undefined;
  if (fits(shape, wanted)) return 1;
  return wanted[0] === 1 && fits(shape.slice(1), wanted.slice(1)) ? shape[0]! : undefined;
}

/** Reads and checks an `.npy` header. Throws MinmaxqError when it is damaged or the array holds Python objects. */
export function readHeader(stream: ByteStream): NpyHeader {
  const bad = (why: string) => new FileError(stream.name, `is not a readable .npy array: ${why}`);
  const reader = new StreamReader(stream);
  try {
    if (stream.size < 10) throw bad(`it has only ${stream.size} bytes`);
    const start = reader.read(8);
    if (String.fromCharCode(...start.subarray(0, 6)) !== "\x93NUMPY") throw bad("it does not begin with \\x93NUMPY");
    const major = start[6]!;
    if (major < 1 || major > 3) throw bad(`format version ${major}.${start[7]} is not known`);
    const size = reader.read(major === 1 ? 2 : 4);
    const length = size.reduce((sum, byte, i) => sum + byte * 2 ** (8 * i), 0);
    const dataOffset = 8 + size.length + length;
    // NumPy itself refuses headers past 10,000 bytes; a damaged length must not make us allocate gigabytes.
    if (dataOffset > stream.size || length > 1 << 20) throw bad(`its header claims ${length} bytes`);
    const text = new TextDecoder(major === 3 ? "utf-8" : "latin1").decode(reader.read(length));
    return { ...parseHeader(text, stream.name, bad), dataOffset };
  } finally {
    reader.close();
  }
}

function parseHeader(text: string, name: string, bad: (why: string) => MinmaxqError): Omit<NpyHeader, "dataOffset"> {
  if (/'descr'\s*:\s*\[/.test(text)) {
    throw new FileError(name, "holds structured elements (several fields each); save one plain array an input");
  }
  const descr = /'descr'\s*:\s*'([^']*)'/.exec(text)?.[1];
  const fortran = /'fortran_order'\s*:\s*(True|False)/.exec(text)?.[1];
  const shape = /'shape'\s*:\s*\(([\d\sL,]*)\)/.exec(text)?.[1];
  if (descr === undefined || fortran === undefined || shape === undefined) {
    throw bad(`its header says ${JSON.stringify(text.trim().slice(0, 120))}`);
  }
  const type = /^([<>|=]?)([a-zA-Z]\d*)$/.exec(descr);
  if (type === null) throw bad(`element type '${descr}' is not known`);
  if (type[2]![0] === "O") {
    throw new FileError(
      name,
      'holds pickled Python objects, which only Python can read; save plain numbers (np.stack, then .astype("float32"))',
    );
  }
  const dims = shape.match(/\d+/g)?.map(Number) ?? [];
  if (!Number.isSafeInteger(elementCount(dims))) throw bad(`shape (${shape}) is impossible`);
  return { code: type[2]!, bigEndian: type[1] === ">", fortran: fortran === "True", shape: dims };
}

interface ArrayLayout {
  readonly stream: ByteStream;
  readonly header: NpyHeader;
  readonly count: number;
  readonly recordElements: number;
  /** Bytes an element. */
  readonly width: number;
}

function* plainRecords(layout: ArrayLayout): Generator<Uint8Array, void, void> {
  const reader = new StreamReader(layout.stream);
  try {
    reader.skip(layout.header.dataOffset);
    for (let record = 0; record < layout.count; record++) {
      const bytes = reader.read(layout.recordElements * layout.width);
      if (record === layout.count - 1) reader.end();
      if (layout.header.bigEndian) reverseElements(bytes, swapWidth(layout));
      yield bytes;
    }
  } finally {
    reader.close();
  }
}

/** Most bytes of records that are put together in one pass over a Fortran-ordered array. */
const FORTRAN_BATCH = 1 << 27;

/**
 * Fortran order: the first axis varies fastest, so every record is strewn over the whole array. As many records as fit into
 * FORTRAN_BATCH are gathered in one pass over the stream, then the next ones in another: slower, but in bounded memory.
 */
function* fortranRecords(layout: ArrayLayout): Generator<Uint8Array, void, void> {
  const { stream, header, count, recordElements, width } = layout;
  if (count === 0) return;
  // A lone record (shape exactly the input's, whose first dim is not 1) has no record axis in front.
  const alone = count === 1;
  const places = transposedPlaces(alone ? header.shape : header.shape.slice(1));
  const perPass = Math.max(1, Math.floor(FORTRAN_BATCH / Math.max(1, recordElements * width)));
  for (let first = 0; first < count; first += perPass) {
    const records = Array.from(
      { length: Math.min(perPass, count - first) },
      () => new Uint8Array(recordElements * width),
    );
    const reader = new StreamReader(stream);
    try {
      reader.skip(header.dataOffset);
      const run = new Uint8Array(records.length * width);
      for (let i = 0; i < recordElements; i++) {
        reader.skip(first * width);
        reader.fill(run);
        reader.skip((count - first - records.length) * width);
        const to = places[i]! * width;
        for (let r = 0; r < records.length; r++) {
          for (let b = 0; b < width; b++) records[r]![to + b] = run[r * width + b]!;
        }
      }
      reader.end();
    } finally {
      reader.close();
    }
    for (const record of records) {
      if (header.bigEndian) reverseElements(record, swapWidth(layout));
      yield record;
    }
  }
}

/** For the i-th element in Fortran order of `shape`: its place in C order. */
function transposedPlaces(shape: readonly number[]): Uint32Array {
  const strides = shape.map((_, axis) => elementCount(shape.slice(axis + 1)));
  const index = shape.map(() => 0);
  const places = new Uint32Array(elementCount(shape));
  let place = 0;
  for (let i = 0; i < places.length; i++) {
    places[i] = place;
    for (let axis = 0; axis < shape.length; axis++) {
      place += strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      place -= strides[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return places;
}

/** Complex numbers are two halves, each with its own byte order. */
function swapWidth(layout: ArrayLayout): number {
  return layout.header.code[0] === "c" ? layout.width / 2 : layout.width;
}

function reverseElements(bytes: Uint8Array, width: number): void {
  for (let at = 0; at < bytes.length; at += width) bytes.subarray(at, at + width).reverse();
}
