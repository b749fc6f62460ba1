/** The drop-in front of ONE's `q-implant` (§8.4): parameters and integers from NumPy files, put into a float model. */

import { dirname, resolve } from "node:path";
import { z } from "zod";
import { FileError, Problems } from "../base/errors.ts";
import type { Output } from "../base/output.ts";
import { readJson } from "../base/read-text.ts";
import { fileStream } from "../calibration/chunks.ts";
import { elementCount } from "../calibration/inputs.ts";
import { type NpyHeader, readHeader } from "../calibration/npy.ts";
import { checkInput, checkPaths } from "../driver/paths.ts";
import { reference } from "../driver/quantize.ts";
import type { Dtype, Graph } from "../graph/graph.ts";
import { quantParam } from "../graph/quantparam.ts";
import { type ByteRange, FileBytes, rangeOf, readRange } from "../model/bytes.ts";
import { type Implant, implant } from "../passes/transform/implant.ts";
import { stored } from "../weights/constant.ts";
import { COMMON_WORDS, type FrontText, parseWords, usage, type WordOption } from "./words.ts";

export const OPTIONS: Readonly<Record<string, WordOption>> = { ...COMMON_WORDS };

const TEXT: FrontText = {
  name: "q-implant",
  positionals: " INPUT QPARAM_JSON OUTPUT",
  options: OPTIONS,
  short: { "-V": "--verbose" },
  example: "model.circle qparam.json model.q.circle",
};

export const HELP = () => usage(TEXT);

/** dtypes by the file's names, with NumPy's type code and the bytes of an element. */
const DTYPES = {
  int8: { dtype: "INT8", code: "i1", bytes: 1 },
  uint8: { dtype: "UINT8", code: "u1", bytes: 1 },
  int16: { dtype: "INT16", code: "i2", bytes: 2 },
  int32: { dtype: "INT32", code: "i4", bytes: 4 },
  int64: { dtype: "INT64", code: "i8", bytes: 8 },
} as const satisfies Record<string, { dtype: Dtype; code: string; bytes: number }>;
const DTYPE_NAMES = Object.keys(DTYPES) as (keyof typeof DTYPES)[];

/** Larger arrays stay in their files, which are open until the model is written: a process may have few files open. */
const IN_MEMORY = 1 << 20;

const TENSOR = z.object({
  // In any case, as in ONE.
  dtype: z.string().toLowerCase().pipe(z.enum(DTYPE_NAMES)),
  scale: z.string(),
  zerop: z.string(),
  quantized_dimension: z.number().int().min(0).default(0),
  value: z.string().optional(),
});
const FILE = z.record(z.string(), TENSOR);

export async function runQImplant(words: readonly string[], output: Output): Promise<void> {
  const [model, path, to] = parseWords(words, TEXT).positionals as [string, string, string];
  checkPaths([model, path], to, true);
  const files: FileBytes[] = [];
  try {
    const implants = readImplants(path, files);
    const report = await reference({
      model,
      output: to,
      dialect: "circle",
      force: true,
      verified: false,
      change: ({ graphs }) => implant(only(graphs, model), implants),
    });
    for (const note of report.notes) output.tell(`warning: ${note.text}`);
  } finally {
    for (const file of files) file.close();
  }
}

function only(graphs: readonly Graph[], model: string): Graph {
  if (graphs.length === 1) return graphs[0]!;
  throw new FileError(model, `has ${graphs.length} subgraphs; parameters are put into models of one`);
}

/** The file's tensors; values stay in their files, which are added to `files` and closed by the caller. Throws one MinmaxqError for all problems. */
function readImplants(path: string, files: FileBytes[]): Implant[] {
  checkInput(path);
  const parsed = FILE.safeParse(readJson(path, { most: 1024 }));
  const problems = new Problems(path);
  if (!parsed.success) {
    for (const { path: place, message } of parsed.error.issues)
      problems.add(`${path}: ${place.map(String).join(": ") || "the file"}: ${message}`);
    problems.throwIfAny(`${path}: is no valid file of parameters`);
  }
  // Relative to the file, also where its path has no folder.
  const at = (name: string) => resolve(dirname(path), name);
  return Object.entries(parsed.data!).map(([name, tensor]): Implant => {
    const { dtype, code, bytes } = DTYPES[tensor.dtype];
    const scale = new Float32Array(vector(at(tensor.scale), "f4", 4, files));
    const zeroPoint = new BigInt64Array(vector(at(tensor.zerop), "i8", 8, files));
    const quant = quantParam({ scale, zeroPoint, axis: tensor.quantized_dimension, provenance: { from: "given" } });
    if (tensor.value === undefined) return { name, dtype, quant };
    const { range, header } = array(at(tensor.value), code, bytes, files);
    return { name, dtype, quant, value: { constant: stored(range, range.length / bytes), shape: header.shape } };
  });
}

function vector(path: string, code: string, bytes: number, files: FileBytes[]): ArrayBuffer {
  const { range, header } = array(path, code, bytes, files);
  if (header.shape.length !== 1)
    throw new FileError(path, `has shape [${header.shape.join(", ")}]; give a vector (1 dimension)`);
  return readRange(range).slice().buffer;
}

/** An array's header and where its elements lie. Throws FileError for what is not of the type, in C order and little-endian. */
function array(path: string, code: string, bytes: number, files: FileBytes[]): { range: ByteRange; header: NpyHeader } {
  const header = readHeader(fileStream(path));
  if (header.code !== code) throw new FileError(path, `holds ${header.code} elements; save it with .astype("${code}")`);
  const isSwapped = header.bigEndian && bytes > 1;
  if (isSwapped || (header.fortran && header.shape.length > 1))
    throw new FileError(
      path,
      `is ${isSwapped ? "big-endian" : "in Fortran order"}; save it with np.ascontiguousarray(a, dtype="<${code}")`,
    );
  const file = new FileBytes(path);
  files.push(file);
  const range = { source: file, offset: header.dataOffset, length: elementCount(header.shape) * bytes };
  if (file.size - range.offset !== range.length)
    throw new FileError(
      path,
      `has ${file.size - range.offset} bytes of data where its header announces ${range.length}; it is damaged or incomplete`,
    );
  if (range.length > IN_MEMORY) return { range, header };
  const inMemory = rangeOf(readRange(range));
  files.pop();
  file.close();
  return { range: inMemory, header };
}

export const FRONT = { text: TEXT, run: runQImplant, help: HELP };
