/** Layers of all linear kinds as models of one operator, what LiteRT computes of them, and what they read. */
import { columnsOf, type LinearLayer, linearLayersOf } from "../../src/accuracy/layers.ts";
import type { DataSet } from "../../src/calibration/index.ts";
import { compileLibrary, loadEngine } from "../../src/calibration/litert.ts";
import { type LayerMoments, Moments } from "../../src/calibration/moments/moments.ts";
import { recordRuns } from "../../src/calibration/record.ts";
import { importGraph } from "../../src/graph/import.ts";
import { type BuiltinOptions, type Model, serializeModel } from "../../src/model/index.ts";
import { bytesOf, dataOf } from "../calibration/support.ts";
import { model } from "../helpers/models.ts";

/** Numbers between −1 and 1 that are the same in every run. */
export function generator(seed: number): () => number {
  let state = seed | 1;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return state / 2 ** 31;
  };
}

export function randomFloats(length: number, seed: number, scale = 1): Float32Array<ArrayBuffer> {
  const next = generator(seed);
  return Float32Array.from({ length }, () => next() * scale);
}

export interface LayerCase {
  readonly op: "CONV_2D" | "DEPTHWISE_CONV_2D" | "TRANSPOSE_CONV" | "FULLY_CONNECTED";
  readonly input: number[];
  readonly weights: number[];
  readonly output: number[];
  readonly options: BuiltinOptions;
  readonly bias?: false;
}

const SAME = 0;
const VALID = 1;
const conv = (strideH: number, strideW: number, padding: 0 | 1, dilationHFactor = 1, dilationWFactor = 1) =>
  ({ type: "Conv2DOptions", value: { strideH, strideW, padding, dilationHFactor, dilationWFactor } }) as const;
const depthwise = (stride: number, padding: 0 | 1, depthMultiplier = 1, dilation = 1) =>
  ({
    type: "DepthwiseConv2DOptions",
    value: {
      strideH: stride,
      strideW: stride,
      padding,
      depthMultiplier,
      dilationHFactor: dilation,
      dilationWFactor: dilation,
    },
  }) as const;
const transposed = (strideH: number, strideW: number, padding: 0 | 1) =>
  ({ type: "TransposeConvOptions", value: { strideH, strideW, padding } }) as const;

/** Strides, paddings, dilations, groups, odd sizes; shapes after TensorFlow's rules (SAME: ⌈in / stride⌉). */
export const CASES: Readonly<Record<string, LayerCase>> = {
  "1×1": { op: "CONV_2D", input: [1, 5, 4, 6], weights: [3, 1, 1, 6], output: [1, 5, 4, 3], options: conv(1, 1, SAME) },
  "3×3 same": {
    op: "CONV_2D",
    input: [1, 7, 6, 5],
    weights: [4, 3, 3, 5],
    output: [1, 7, 6, 4],
    options: conv(1, 1, SAME),
  },
  "3×3 stride 2": {
    op: "CONV_2D",
    input: [1, 8, 7, 3],
    weights: [4, 3, 3, 3],
    output: [1, 4, 4, 4],
    options: conv(2, 2, SAME),
  },
  "5×3 stride 3×2 valid": {
    op: "CONV_2D",
    input: [1, 12, 9, 2],
    weights: [3, 5, 3, 2],
    output: [1, 3, 4, 3],
    options: conv(3, 2, VALID),
  },
  "3×3 dilated": {
    op: "CONV_2D",
    input: [1, 9, 9, 2],
    weights: [3, 3, 3, 2],
    output: [1, 9, 9, 3],
    options: conv(1, 1, SAME, 2, 3),
  },
  "two pictures": {
    op: "CONV_2D",
    input: [2, 4, 5, 2],
    weights: [3, 3, 2, 2],
    output: [2, 2, 3, 3],
    options: conv(2, 2, SAME),
  },
  groups: {
    op: "CONV_2D",
    input: [1, 5, 5, 6],
    weights: [4, 3, 3, 3],
    output: [1, 5, 5, 4],
    options: conv(1, 1, SAME),
  },
  depthwise: {
    op: "DEPTHWISE_CONV_2D",
    input: [1, 7, 8, 5],
    weights: [1, 3, 3, 5],
    output: [1, 4, 4, 5],
    options: depthwise(2, SAME),
  },
  "depthwise × 2, dilated": {
    op: "DEPTHWISE_CONV_2D",
    input: [1, 9, 8, 3],
    weights: [1, 3, 3, 6],
    output: [1, 5, 4, 6],
    options: depthwise(1, VALID, 2, 2),
  },
  "transposed same": {
    op: "TRANSPOSE_CONV",
    input: [1, 4, 3, 3],
    weights: [2, 3, 3, 3],
    output: [1, 8, 6, 2],
    options: transposed(2, 2, SAME),
  },
  "transposed valid": {
    op: "TRANSPOSE_CONV",
    input: [1, 3, 4, 2],
    weights: [3, 4, 2, 2],
    output: [1, 10, 8, 3],
    options: transposed(3, 2, VALID),
  },
  "fully connected": {
    op: "FULLY_CONNECTED",
    input: [4, 7],
    weights: [5, 7],
    output: [4, 5],
    options: { type: "FullyConnectedOptions", value: {} },
  },
};

export const sizeOf = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

/** The layer as a model x → y, with its weights and bias. */
export function modelOf({ op, input, weights, output, options, bias }: LayerCase, values: Float32Array): Model {
  return model(["x"], ["y"], (graph) => {
    graph.tensor("x", input).tensor("y", output).constant("w", weights, values);
    const channels = output.at(-1)!;
    if (bias !== false) graph.constant("b", [channels], biasOf(channels));
    const last = bias === false ? [] : ["b"];
    if (op === "TRANSPOSE_CONV")
      graph.constant("shape", [4], Int32Array.from(output)).operator(op, ["shape", "w", "x", ...last], ["y"], options);
    else graph.operator(op, ["x", "w", ...last], ["y"], options);
  });
}

export const biasOf = (channels: number) => randomFloats(channels, 77, 0.25);

/** What LiteRT computes: the result for each record. */
export async function outputsOf(of: Model, records: readonly Float32Array[], name = "y"): Promise<Float32Array[]> {
  const bytes = await serializeModel({ ...of, version: 3 }, { dialect: "tflite" });
  const engine = await loadEngine(bytes, [name], await compileLibrary(false), false);
  const results: Float32Array[] = [];
  try {
    for (const record of records)
      await engine.run([bytesOf(record)], (_, value) => {
        results.push(new Float32Array(value.slice().buffer));
      });
  } finally {
    engine.close();
  }
  return results;
}

export interface Read {
  readonly layer: LinearLayer;
  readonly moments: LayerMoments;
  close(): void;
}

/** What the first layer of a model with one input reads. */
export async function readOf(
  of: Model,
  records: readonly Float32Array[],
  options: { vectors?: number; workers?: number; data?: DataSet } = {},
): Promise<Read> {
  const graph = importGraph(of, 0, "litert");
  const [layer] = linearLayersOf(graph);
  const moments = new Moments();
  const made = moments.wish(0, 0, layer!.taps, options.vectors ?? 0);
  await recordRuns(of, [{ subgraph: 0, data: dataOf(...records.map((each) => [bytesOf(each)])) }], {
    reduction: { kind: "minmax" },
    workers: options.workers ?? 1,
    moments: { wishes: [made.wish], begin: (run, count) => moments.begin(run, count) },
  });
  return { layer: layer!, moments: made.layer, close: () => moments.close() };
}

/** A layer's result for one vector, naively, in float64. */
export function resultOf(layer: LinearLayer, weights: Float32Array, vector: ArrayLike<number>, at = 0): number[] {
  const { outputs, length, groups } = layer;
  return Array.from({ length: outputs }, (_, output) => {
    const columns = columnsOf(layer, Math.floor(output / (outputs / groups)));
    let sum = 0;
    for (let k = 0; k < length; k++) sum += weights[weightAt(layer, output, k)]! * vector[at + columns[k]!]!;
    return sum;
  });
}

/** Where value `k` of row `output` is among the weights. */
function weightAt({ kind, outputs, length }: LinearLayer, output: number, k: number): number {
  return kind.weights === "rows" ? output * length + k : k * outputs + output;
}
