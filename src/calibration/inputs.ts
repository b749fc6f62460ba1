/**
 * What a model wants to be fed: name, type and shape of every input, and what those are in bytes.
 */
import { MinmaxqError, UsageError } from "../base/errors.ts";

/** One model input. A record of a data set holds `byteLength(input)` little-endian bytes for each, in model input order. */
export interface InputSpec {
  readonly name: string;
  /** What a signature calls it, where that is another name. */
  readonly signatureName?: string;
  /** Name of the schema's TensorType, e.g. "FLOAT32". */
  readonly dtype: string;
  /** Fully known; `[]` is a scalar. A dimension that the model leaves open is 1 here. */
  readonly shape: readonly number[];
  /** The shape as the model declares it, −1 for an open dimension; absent where none is open, or where `shape` was given for it. */
  readonly signature?: readonly number[];
  /** `shape` was given by the user, instead of an open one. */
  readonly given?: true;
}

/** A shape for an open input, by the input's name or its name in a signature. */
export interface GivenShape {
  readonly name: string;
  readonly shape: readonly number[];
}

/** Shapes of one record, one per model input. */
export type Shapes = readonly (readonly number[])[];

/** Something to tell of a data set: kinds and codes as those of the Report's notes. */
export interface Said {
  readonly kind: "note" | "warning";
  readonly code: string;
  readonly text: string;
}

/** How an input's values look: by channel, what is black (byte 0) and what is white (255). */
export interface Look {
  readonly low: readonly number[];
  readonly high: readonly number[];
  readonly bgr: boolean;
}

/** One input's values in a file. */
export interface FileReader {
  readonly shape: readonly number[];
  /** The bytes; they are the receiver's. */
  read(): Uint8Array;
}

/** Records to feed a model. */
export interface DataSet {
  /** For people: `"face.npz" (16 records)`. */
  readonly description: string;
  /** Number of records; at least 1. */
  readonly count: number;
  /** The records are made up: ranges of them mean nothing. */
  readonly random?: true;
  /** Values were made of pictures or sounds, by rules that were stated (media-plan.ts). */
  readonly prepared?: true;
  /** By input: what values stand for black and white, where they were made of pictures. */
  readonly looks?: readonly (Look | undefined)[];
  /** What was done with the files, and which were left out. */
  readonly said?: readonly Said[];
  /**
   * The records in order: one little-endian byte array per model input, in model input order. The arrays are the
   * receiver's. May be iterated several times; memory does not grow with the count.
   */
  records(): AsyncIterable<Uint8Array[]>;
  /** Shapes of a record (from 0), one per model input; absent where they are the inputs' own, because the model leaves nothing open. */
  shapes?(record: number): Shapes;
  close(): void;
}

interface Element {
  readonly bytes: number;
  /** NumPy's type code without the byte order ("f4"); the same names as in `.npy` headers. */
  readonly numpy: string;
}

/** The types a model input may have; one row a type. */
const ELEMENTS: Readonly<Record<string, Element>> = {
  FLOAT32: { bytes: 4, numpy: "f4" },
  FLOAT16: { bytes: 2, numpy: "f2" },
  FLOAT64: { bytes: 8, numpy: "f8" },
  INT8: { bytes: 1, numpy: "i1" },
  INT16: { bytes: 2, numpy: "i2" },
  INT32: { bytes: 4, numpy: "i4" },
  INT64: { bytes: 8, numpy: "i8" },
  UINT8: { bytes: 1, numpy: "u1" },
  UINT16: { bytes: 2, numpy: "u2" },
  UINT32: { bytes: 4, numpy: "u4" },
  UINT64: { bytes: 8, numpy: "u8" },
  BOOL: { bytes: 1, numpy: "b1" },
  COMPLEX64: { bytes: 8, numpy: "c8" },
};

/** Size, number and NumPy code of an input's elements. Throws for types without fixed-size elements (STRING, RESOURCE …). */
export function elementOf(input: InputSpec): Element {
  const element = ELEMENTS[input.dtype];
  if (element === undefined) {
    throw new MinmaxqError(
      `model input "${input.name}" is ${input.dtype}: sample data of that type cannot be read (known: ${Object.keys(ELEMENTS).join(", ")})`,
      { subject: `model input "${input.name}"` },
    );
  }
  return element;
}

/** Schema name of a NumPy type code ("f4" → "FLOAT32"), or undefined. */
export function dtypeOfNumpy(code: string): string | undefined {
  return Object.keys(ELEMENTS).find((dtype) => ELEMENTS[dtype]!.numpy === code);
}

export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, dim) => product * dim, 1);
}

/** Bytes one record holds for this input. */
export function byteLength(input: InputSpec): number {
  return elementCount(input.shape) * elementOf(input).bytes;
}

/** `[1, 128, ?, 3]`, as messages show shapes. */
export function shapeText(shape: readonly number[]): string {
  return `[${shape.map((dim) => (dim < 0 ? "?" : dim)).join(", ")}]`;
}

/** `input "x" (FLOAT32 [1, 128, 128, 3])`, as messages name inputs; `"x" = "image"` where a signature says "image". */
export function inputText(input: InputSpec): string {
  const { name, signatureName, dtype } = input;
  const names = signatureName === undefined ? `"${name}"` : `"${name}" = "${signatureName}"`;
  return `model input ${names} (${dtype} ${shapeText(patternOf(input))})`;
}

/**
 * What one record's shape has to be, −1 for any size. A first dimension that is open is the batch where others follow: each
 * record has 1 there. Of an open vector it is the length.
 *
 *     declared [-1, -1, -1, 3]  →  [1, -1, -1, 3]          declared [-1]  →  [-1]
 */
export function patternOf({ shape, signature }: InputSpec): readonly number[] {
  return (signature ?? shape).map((dim, axis) => (axis === 0 && shape.length > 1 ? shape[0]! : dim));
}

/** Whether a record of this input may have several sizes. */
export function isOpen(input: InputSpec): boolean {
  return patternOf(input).some((dim) => dim < 0);
}

/** What is to be said of made-up samples for an open input: they have the size 1 wherever one is open. */
export function openSizeText(input: InputSpec): string {
  const name = input.signatureName ?? input.name;
  const pattern = shapeText(input.signature ?? input.shape);
  return `input "${name}": ${pattern} has sizes that the model leaves open, and random samples are ${shapeText(input.shape)}, so they say nothing about real ones; give samples, or --input-shape "${name}=${pattern.replace(/[[\] ]/g, "")}" with numbers for ?`;
}

/** Whether a shape is what a pattern asks for; an open dimension takes any size from 1. */
export function fits(shape: readonly number[], pattern: readonly number[]): boolean {
  return shape.length === pattern.length && pattern.every((dim, i) => (dim < 0 ? shape[i]! > 0 : shape[i] === dim));
}

/** The input with the shape of one record. */
export function sized(input: InputSpec, shape: readonly number[]): InputSpec {
  return { ...input, shape, signature: undefined };
}

/** The inputs with given shapes. Throws one MinmaxqError for all names and shapes that do not fit. */
export function withShapes(inputs: readonly InputSpec[], given: readonly GivenShape[] = []): InputSpec[] {
  const problems: string[] = [];
  const specs = [...inputs];
  for (const { name, shape } of given) {
    const at = inputs.findIndex((input) => input.name === name || input.signatureName === name);
    const input = inputs[at];
    const declared = input && (input.signature ?? input.shape);
    if (!input) {
      const names = inputs.map(({ name, signatureName }) => `"${signatureName ?? name}"`).join(", ");
      problems.push(`--input-shape: the model has no input "${name}"; its inputs are ${names || "none"}`);
    } else if (!fits(shape, declared!))
      problems.push(
        `--input-shape: ${shapeText(shape)} does not fit input "${name}", which is ${shapeText(declared!)}`,
      );
    else specs[at] = { ...sized(input, shape), given: true };
  }
  if (problems.length > 0) throw new UsageError(problems.join("; "));
  return specs;
}

/** Inputs of a part of the model, by its signature. */
export interface PartInputs {
  readonly signature?: string;
  readonly inputs: readonly InputSpec[];
}

/**
 * As withShapes, for several parts of a model: a shape is for the input of that name in every part, or by `SIGNATURE/INPUT` in one.
 */
export function withShapesOf(parts: readonly PartInputs[], given: readonly GivenShape[] = []): InputSpec[][] {
  const has = ({ inputs }: PartInputs, name: string) =>
    inputs.some((input) => input.name === name || input.signatureName === name);
  const [only] = parts;
  if (only && parts.length === 1) {
    const prefix = `${only.signature}/`;
    const ownName = (name: string) => (!has(only, name) && name.startsWith(prefix) ? name.slice(prefix.length) : name);
    return [
      withShapes(
        only.inputs,
        given.map(({ name, shape }) => ({ name: ownName(name), shape })),
      ),
    ];
  }
  const problems: string[] = [];
  const byPart: GivenShape[][] = parts.map(() => []);
  for (const { name, shape } of given) {
    const everywhere = parts.some((part) => has(part, name));
    let found = false;
    for (const [i, part] of parts.entries()) {
      const prefix = `${part.signature}/`;
      const own = everywhere ? name : name.startsWith(prefix) ? name.slice(prefix.length) : undefined;
      if (own === undefined || !has(part, own)) continue;
      byPart[i]!.push({ name: own, shape });
      found = true;
    }
    if (!found) problems.push(`--input-shape: the model has no input "${name}"; its inputs are ${inputNames(parts)}`);
  }
  if (problems.length > 0) throw new UsageError(problems.join("; "));
  return parts.map(({ inputs }, i) => withShapes(inputs, byPart[i]));
}

function inputNames(parts: readonly PartInputs[]): string {
  const of = ({ inputs, signature }: PartInputs) =>
    inputs.map(({ name, signatureName = name }) => `"${signature}/${signatureName}"`);
  return parts.flatMap(of).join(", ") || "none";
}

export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((dim, i) => dim === b[i]);
}
