/** Small float models, the driver's file for them, and a naive reader of what is in it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compileLibrary, loadEngine } from "../../src/calibration/litert.ts";
import type { Report } from "../../src/driver/report.ts";
import { quantizeWeightsAlone, type WeightsAloneSettings } from "../../src/driver/weights-alone.ts";
import { readRange } from "../../src/model/bytes.ts";
import {
  type Model,
  nameOf,
  openModel,
  operatorTexts,
  serializeModel,
  TensorType,
  writeModel,
} from "../../src/model/index.ts";
import { WEIGHT_SCHEMES, type WeightSchemeName } from "../../src/rules/schemes.ts";
import { generator } from "../kernels/oracle.ts";

const f32 = Math.fround;

export const folder = mkdtempSync(join(tmpdir(), "minmaxq-weights-alone-"));
// Several test files of one process share it.
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

/** Values whose rows differ in size. */
export function weights(shape: readonly number[], seed = 1): Float32Array<ArrayBuffer> {
  const next = generator(seed);
  const count = shape.reduce((a, b) => a * b, 1);
  const row = count / shape[0]!;
  return Float32Array.from({ length: count }, (_, i) => (next() / 2 ** 31 - 1) * (1 + (Math.floor(i / row) % 5)));
}

/** A tensor of a written file: its values as they count, and the integers that they are. */
export interface Stored {
  readonly dtype: string;
  readonly shape: number[];
  readonly bytes: Uint8Array;
  readonly integers: number[];
  readonly scale: number[];
  readonly zeroPoint: number[];
  readonly axis: number;
  readonly block?: { readonly size: number; readonly scales: string; readonly shape: number[] };
  readonly values: Float32Array<ArrayBuffer>;
}

export interface Result {
  readonly model: Model;
  readonly bytes: Uint8Array;
  readonly report: Report;
  /** Constants by name. */
  readonly constants: Map<string, Stored>;
  /** The same of each subgraph. */
  readonly subgraphs: readonly Map<string, Stored>[];
  readonly operators: string[];
}

/** The driver's result for a model. */
export async function alone(
  model: Model,
  scheme: WeightSchemeName,
  more: Partial<WeightsAloneSettings> & { block?: number } = {},
): Promise<Result> {
  const input = join(folder, "in.tflite");
  const output = join(folder, "out.tflite");
  await writeModel({ ...model, version: 3 }, input, { dialect: "tflite" });
  const { block, ...settings } = more;
  const report = await quantizeWeightsAlone({
    model: input,
    output,
    weights: { scheme: WEIGHT_SCHEMES[scheme], block },
    // Many of these models are no more than their tables; that results run is what runs.test.ts is about.
    withoutRun: true,
    ...settings,
  });
  const bytes = await Bun.file(output).bytes();
  const opened = openModel(output);
  try {
    const operators = operatorTexts(opened.model, 0);
    const subgraphs = opened.model.subgraphs!.map((_, index) => constantsOf(opened.model, index));
    return { model: opened.model, bytes, report, constants: subgraphs[0]!, subgraphs, operators };
  } finally {
    opened.close();
  }
}

/** Constants of a subgraph, read by the format's text alone: low bits first, two's complement. */
export function constantsOf(model: Model, index = 0): Map<string, Stored> {
  const tensors = model.subgraphs![index]!.tensors!;
  const bytesOf = (buffer = 0) => {
    const data = model.buffers![buffer]!.data;
    return data && "source" in data && data.length > 0 ? readRange(data).slice() : undefined;
  };
  const found = new Map<string, Stored>();
  for (const { name, type, shape: dims, buffer, quantization } of tensors) {
    const bytes = bytesOf(buffer);
    if (!bytes) continue;
    const dtype = nameOf(TensorType, type ?? 0)!;
    const shape = [...(dims ?? [])];
    const count = shape.reduce((a, b) => a * b, 1);
    const { scale = [], zeroPoint = [], quantizedDimension: axis = 0, details } = quantization ?? {};
    const bits = { INT8: 8, INT4: 4, INT2: 2 }[dtype];
    let integers: number[] = [];
    let values: Float32Array<ArrayBuffer>;
    let block: Stored["block"];
    if (bits) {
      const raw = Array.from({ length: count }, (_, i) => {
        const at = i * bits;
        const field = (bytes[at >> 3]! >> (at & 7)) & ((1 << bits) - 1);
        return field >= 1 << (bits - 1) ? field - (1 << bits) : field;
      });
      integers = raw;
      const inner = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
      let scaleAt = (i: number) => scale[scale.length > 1 ? Math.floor(i / inner) % scale.length : 0]!;
      if (details) {
        const { scales, zeroPoints, blockSize } = details.value as {
          scales: number;
          zeroPoints: number;
          blockSize: number;
        };
        if (details.type !== "BlockwiseQuantization" || zeroPoints !== -1) throw new Error("no blocks");
        const table = tensors[scales]!;
        const halves = new Float16Array(bytesOf(table.buffer)!.buffer);
        scaleAt = (i) => halves[Math.floor(i / blockSize)]!;
        block = { size: blockSize, scales: table.name!, shape: [...table.shape!] };
      }
      values = new Float32Array(raw.map((q, i) => f32(q * scaleAt(i))));
    } else {
      values = new Float32Array(dtype === "FLOAT32" || dtype === "FLOAT16" ? count : 0);
      if (dtype === "FLOAT32") new Uint8Array(values.buffer).set(bytes);
      else if (dtype === "FLOAT16") values.set(new Float16Array(bytes.buffer));
    }
    const lists = { scale: [...scale], zeroPoint: [...zeroPoint].map(Number) };
    found.set(name!, { dtype, shape, bytes, integers, ...lists, axis, block, values });
  }
  return found;
}

/** The outputs of a model in the LiteRT inside. */
export async function run(
  model: Model | Uint8Array,
  inputs: readonly (Float32Array | Int32Array)[],
  outputs: readonly string[] = ["y"],
): Promise<Float32Array<ArrayBufferLike>[]> {
  const bytes =
    model instanceof Uint8Array ? model : await serializeModel({ ...model, version: 3 }, { dialect: "tflite" });
  const engine = await loadEngine(bytes, outputs, await compileLibrary(false), false);
  const results: Float32Array[] = [];
  try {
    await engine.run(
      inputs.map(({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength)),
      (output, seen) => {
        results[output] = new Float32Array(Uint8Array.from(seen).buffer);
      },
    );
  } finally {
    engine.close();
  }
  return results;
}

/** Symmetric integers of channels of [outer, channels, inner]: scale max|w| / high, ties away from zero. */
export function symmetric(values: Float32Array, channels: number, inner: number, high: number) {
  const channel = (i: number) => Math.floor(i / inner) % channels;
  const largest = new Array<number>(channels).fill(0);
  values.forEach((v, i) => {
    largest[channel(i)] = Math.max(largest[channel(i)]!, Math.abs(v));
  });
  const scale = largest.map((most) => f32(Math.max(most, 1e-9) / high));
  const integers = Array.from(values, (v, i) => {
    const x = f32(v * f32(1 / scale[channel(i)]!));
    return Math.max(-high, Math.min(high, Math.sign(x) * Math.floor(Math.abs(x) + 0.5))) + 0;
  });
  return { scale, integers };
}
