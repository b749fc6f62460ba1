/**
 * Facts of a model file, in the form of the goldens' facts files (../shared/tools/circle_facts.py).
 *
 * The goldens were dumped by an independent reader; this is the same dump by way of ours, so that the two can be
 * compared number by number. Floats are the hex digits of their f32 bits: "3d70f0f1".
 */
import { readFileSync } from "node:fs";
import { type ByteRange, isDeferred, readRange } from "../../src/model/bytes.ts";
import {
  DIALECTS,
  type FieldSchema,
  type Buffer as ModelBuffer,
  nameOf,
  type Operator,
  openModel,
  operatorName,
  type Tensor,
  TensorType,
} from "../../src/model/index.ts";

export interface QuantFacts {
  scale: string[];
  zero_point: (number | string)[];
  min: string[];
  max: string[];
  axis: number;
}

export interface TensorFacts {
  name: string;
  dtype: string;
  shape: number[];
  const: boolean;
  /** Of a constant's bytes. */
  sha256?: string;
  /** A constant's bytes in base64, up to 4 KiB. For people; the hash is what is compared. */
  data?: string;
  quant?: QuantFacts;
}

/** An option: number, boolean, f32 bits, text, list, or null for an absent string or list. */
export type OptionFact = number | string | boolean | null | (number | string)[];

export interface OperatorFacts {
  op: string;
  version: number;
  inputs: number[];
  outputs: number[];
  options: Record<string, OptionFact>;
}

export interface GraphFacts {
  tensors: TensorFacts[];
  operators: OperatorFacts[];
  inputs: number[];
  outputs: number[];
}

export interface ModelFacts {
  identifier: string;
  graphs: GraphFacts[];
}

/** Constants up to this many bytes are told in full. */
const SHOWN_BYTES = 4096;
/** Constants are hashed in pieces of this many bytes. */
const PIECE = 1 << 20;

/** Facts of a golden's facts file. */
export function readFacts(path: string): ModelFacts {
  return JSON.parse(readFileSync(path, "utf8"));
}

/** Facts of a .circle or .tflite file. Throws what openModel throws. */
export function factsOf(path: string): ModelFacts {
  const opened = openModel(path);
  try {
    const { model, dialect } = opened;
    const buffers = model.buffers ?? [];
    const graphs = (model.subgraphs ?? []).map((graph) => ({
      tensors: (graph.tensors ?? []).map((tensor) => tensorFacts(tensor, buffers[tensor.buffer ?? 0])),
      operators: (graph.operators ?? []).map((operator) => ({
        op: operatorName(model, operator),
        version: model.operatorCodes?.[operator.opcodeIndex ?? 0]?.version ?? 1,
        inputs: [...(operator.inputs ?? [])],
        outputs: [...(operator.outputs ?? [])],
        options: optionFacts(operator),
      })),
      inputs: [...(graph.inputs ?? [])],
      outputs: [...(graph.outputs ?? [])],
    }));
    return { identifier: DIALECTS[dialect].identifier, graphs };
  } finally {
    opened.close();
  }
}

/** A float's f32 bits as eight hex digits. */
export function f32hex(value: number): string {
  return hexOfBits(Float32Array.of(value))[0]!;
}

/** Bits of floats; never by way of a number, which may lose the payload of a NaN. */
function hexOfBits(values: Float32Array | undefined): string[] {
  if (!values) return [];
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  return Array.from(bits, (each) => each.toString(16).padStart(8, "0"));
}

/** A number where JSON has one, digits where a number would not be exact. */
function integer(value: bigint): number | string {
  return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
}

function tensorFacts(tensor: Tensor, buffer: ModelBuffer | undefined): TensorFacts {
  const content = buffer?.data;
  if (content && isDeferred(content)) throw new Error(`${tensor.name}: a file's content cannot be deferred`);
  const facts: TensorFacts = {
    name: tensor.name ?? "",
    dtype: nameOf(TensorType, tensor.type ?? 0),
    shape: [...(tensor.shape ?? [])],
    const: content !== undefined && content.length > 0,
  };
  if (content && content.length > 0) {
    facts.sha256 = sha256(content);
    if (content.length <= SHOWN_BYTES) facts.data = Buffer.from(readRange(content)).toString("base64");
  }
  if (tensor.quantization) {
    const { scale, zeroPoint, min, max, quantizedDimension } = tensor.quantization;
    facts.quant = {
      scale: hexOfBits(scale),
      zero_point: Array.from(zeroPoint ?? [], integer),
      min: hexOfBits(min),
      max: hexOfBits(max),
      axis: quantizedDimension ?? 0,
    };
  }
  return facts;
}

function sha256(range: ByteRange): string {
  const hash = new Bun.CryptoHasher("sha256");
  for (let done = 0; done < range.length; done += PIECE) {
    const length = Math.min(PIECE, range.length - done);
    hash.update(readRange({ source: range.source, offset: range.offset + done, length }));
  }
  return hash.digest("hex");
}

/** The option table with every field of the schema; absent ones have their defaults, as in the object API of Python. */
function optionFacts(operator: Operator): Record<string, OptionFact> {
  const options = operator.builtinOptions;
  if (!options || options.type === "NONE" || options.value === null) return {};
  const values = options.value as Readonly<Record<string, unknown>>;
  const facts: Record<string, OptionFact> = {};
  for (const field of DIALECTS.circle.tables[options.type] ?? []) {
    if (!field.deprecated) facts[field.name] = optionFact(field, values[field.name] ?? field.default);
  }
  return facts;
}

function optionFact(field: FieldSchema, value: unknown): OptionFact {
  if (value === undefined || value === null) return null;
  if (field.type === "float" || field.type === "double") {
    if (field.kind === "scalar") return f32hex(value as number);
  }
  if (typeof value === "bigint") return integer(value);
  if (typeof value !== "object") return value as number | string | boolean;
  return Array.from(value as ArrayLike<number | bigint>, (each) => (typeof each === "bigint" ? integer(each) : each));
}
