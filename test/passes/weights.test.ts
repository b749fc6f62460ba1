/** The weight stream: every way through it gives what a naive oracle gives, in memory and in a file. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Graph } from "../../src/graph/graph.ts";
import { readRange } from "../../src/model/bytes.ts";
import { type Model, openModel, type Tensor, TensorType, writeModel } from "../../src/model/index.ts";
import type { Workspace } from "../../src/passes/context.ts";
import { quantizeGraph } from "../../src/passes/minmax/index.ts";
import { exportWorkspace, workspace } from "../../src/passes/workspace.ts";
import { SCHEMES } from "../../src/rules/schemes.ts";
import { fillConstants } from "../../src/weights/fill.ts";
import { type GraphBuilder, model, recorded } from "../helpers/models.ts";
import { asym, generator, half, sym } from "../kernels/oracle.ts";
import { f32, hex, scaledOf } from "../operators/oracle.ts";
import { dropIn, optionsOf, refusal, written } from "./support.ts";

/** Elements that the stream handles at once (src/weights/encode.ts). */
const PIECE = 1 << 20;

const folder = mkdtempSync(join(tmpdir(), "minmaxq-weights-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

type Dtype = "UINT8" | "INT16";
interface Weights {
  dtype: Dtype;
  layer?: true;
  shape: number[];
  axis: 0 | 3;
}

/** Values whose range differs from channel to channel; the extremes lie anywhere. */
function values(count: number, seed = count): Float32Array<ArrayBuffer> {
  const next = generator(seed);
  const result = new Float32Array(count);
  for (let i = 0; i < count; i++) result[i] = (next() / 2 ** 32 - 0.5) * (1 + (next() & 1023) / 100);
  return result;
}

/** x → CONV_2D or DEPTHWISE_CONV_2D with weights "w" → y. */
function convolution({ shape, axis }: Weights, fill: (graph: GraphBuilder) => void): Model {
  return model(["x"], ["y"], (graph) => {
    graph.tensor("x", [1, 1, 1, 1], "FLOAT32", recorded(-1, 1)).tensor("y", [1, 1, 1, 1], "FLOAT32", recorded(-1, 1));
    fill(graph);
    graph
      .constant("b", [shape[axis]!], new Float32Array(shape[axis]!).fill(0.5))
      .operator(axis === 0 ? "CONV_2D" : "DEPTHWISE_CONV_2D", ["x", "w", "b"], ["y"]);
  });
}

/** One pass over the values, channel by channel; the whole as one channel when by layer. */
function expected(w: Float32Array, { dtype, layer, shape, axis }: Weights) {
  const inner = layer ? w.length : shape.slice(axis + 1).reduce((a, b) => a * b, 1);
  const channels = layer ? 1 : shape[axis]!;
  const mins = new Float32Array(channels).fill(Number.POSITIVE_INFINITY);
  const maxs = new Float32Array(channels).fill(Number.NEGATIVE_INFINITY);
  for (let i = 0; i < w.length; i++) {
    const c = Math.floor(i / inner) % channels;
    if (w[i]! < mins[c]!) mins[c] = w[i]!;
    if (w[i]! > maxs[c]!) maxs[c] = w[i]!;
  }
  const scaled = Array.from(mins, (min, c) => scaledOf(dtype, min, maxs[c]!));
  const scale = Float32Array.from(scaled, (s) => s.scale);
  const p = {
    scale,
    nmin: Float32Array.from(scaled, (s) => s.nudgedMin),
    nmax: Float32Array.from(scaled, (s) => s.nudgedMax),
    inv: scale.map((s) => f32(1 / s)),
  };
  const integers = dtype === "UINT8" ? asym(w, { channels, inner }, p) : sym(w, { channels, inner }, p, 32767);
  return { scale: Array.from(scale, hex), zeroPoint: scaled.map((s) => s.zeroPoint), axis: layer ? 0 : axis, integers };
}

/** Quantizes an opened file and writes it to another. */
async function throughFiles(made: Model, weights: Weights, threads?: number): Promise<Model> {
  const input = join(folder, "in.circle");
  const output = join(folder, "out.circle");
  await writeModel(made, input, { dialect: "circle" });
  const opened = openModel(input);
  const space = quantized(workspace(opened, options(weights), true));
  await writeModel(exportWorkspace(space).model, output, {
    dialect: "circle",
    fill: (target, placed) => fillConstants(target, placed, threads),
  });
  opened.close();
  return openModel(output).model;
}

const options = ({ dtype, layer }: Weights) => optionsOf({ dtype, granularity: layer ? "layer" : "channel" });

function quantized(space: Workspace): Workspace {
  const graph: Graph = space.graphs[0]!;
  quantizeGraph(graph, space.context);
  return space;
}

/** Compares tensor "w" of a model; the bytes at once, as they may be millions. */
function compare(after: Model, w: Float32Array, weights: Weights): void {
  const tensor = after.subgraphs![0]!.tensors!.find(({ name }) => name === "w")! as Tensor;
  const { scale, zeroPoint, axis, integers } = expected(w, weights);
  expect(tensor.type).toBe(TensorType[weights.dtype]);
  expect(Array.from(tensor.quantization!.scale!, hex)).toEqual(scale);
  expect(Array.from(tensor.quantization!.zeroPoint!, Number)).toEqual(zeroPoint);
  expect(tensor.quantization!.quantizedDimension ?? 0).toBe(axis);
  const bytes = readRange(after.buffers![tensor.buffer!]!.data as never);
  const wanted = new Uint8Array(integers.buffer, integers.byteOffset, integers.byteLength);
  expect(Buffer.compare(bytes, wanted)).toBe(0);
}

const SMALL: [string, Weights][] = [
  ["axis 0", { dtype: "UINT8", shape: [7, 3, 3, 5], axis: 0 }],
  ["axis 0, int16", { dtype: "INT16", shape: [7, 3, 3, 5], axis: 0 }],
  ["depthwise", { dtype: "UINT8", shape: [1, 5, 5, 9], axis: 3 }],
  ["depthwise, int16", { dtype: "INT16", shape: [1, 5, 5, 9], axis: 3 }],
  ["layer", { dtype: "UINT8", layer: true, shape: [7, 3, 3, 5], axis: 0 }],
  ["one channel of one value", { dtype: "UINT8", shape: [1, 1, 1, 1], axis: 0 }],
];

/** Around what is read at once: whole channels, a channel in pieces, interleaved channels. */
const LARGE: [string, Weights][] = [
  ["axis 0, one piece exactly", { dtype: "UINT8", shape: [16, 1, 1, PIECE / 16], axis: 0 }],
  ["axis 0, one channel more than a piece", { dtype: "UINT8", shape: [17, 1, 1, PIECE / 16], axis: 0 }],
  ["axis 0, channels that do not divide a piece", { dtype: "INT16", shape: [5, 1, 1, 300_007], axis: 0 }],
  ["axis 0, a channel is a piece exactly", { dtype: "UINT8", shape: [2, 1, 1, PIECE], axis: 0 }],
  ["axis 0, a channel is one value more than a piece", { dtype: "UINT8", shape: [2, 1, 1, PIECE + 1], axis: 0 }],
  ["depthwise, one value more than a piece", { dtype: "UINT8", shape: [1, 1, PIECE / 64 + 1, 64], axis: 3 }],
  ["depthwise, int16", { dtype: "INT16", shape: [1, 3, 150_001, 3], axis: 3 }],
  ["layer, one value more than a piece", { dtype: "UINT8", layer: true, shape: [1, 1, 1, PIECE + 1], axis: 0 }],
];

describe.each([...SMALL, ...LARGE])("%s", (_, weights) => {
  const w = values(weights.shape.reduce((a, b) => a * b, 1));
  const made = convolution(weights, (graph) => graph.constant("w", weights.shape, w));

  test("in memory", async () => {
    const space = await dropIn(made, options(weights));
    const { model: after } = await written(space);
    compare(after, w, weights);
  });

  test("in a file", async () => {
    compare(await throughFiles(made, weights), w, weights);
  });
});

describe("more than is ever read at once (32 MiB of float32)", () => {
  test.each<[string, Weights, number]>([
    ["depthwise, scanned before it is encoded", { dtype: "UINT8", shape: [1, 1, (1 << 23) + 3, 2], axis: 3 }, 1],
    ["int16 on several threads", { dtype: "INT16", shape: [4096, 1, 1, 4096], axis: 0 }, 3],
    ["layer, scanned on several threads", { dtype: "UINT8", layer: true, shape: [4097, 1, 1, 3333], axis: 0 }, 3],
    ["depthwise, scanned on two threads", { dtype: "INT16", shape: [1, 1, (1 << 21) + 3, 7], axis: 3 }, 2],
  ])(
    "%s",
    async (_, weights, threads) => {
      const w = values(weights.shape.reduce((a, b) => a * b, 1));
      const made = convolution(weights, (graph) => graph.constant("w", weights.shape, w));
      compare(await throughFiles(made, weights, threads), w, weights);
    },
    60_000,
  );
});

describe("float16", () => {
  test.each<[string, Weights]>([
    ["small", { dtype: "UINT8", shape: [3, 1, 1, 50], axis: 0 }],
    ["depthwise, larger than a piece", { dtype: "INT16", shape: [1, 1, PIECE / 8 + 1, 8], axis: 3 }],
  ])("%s", async (_, weights) => {
    const next = generator(3);
    // Finite ones of every size and sign.
    const halves = Uint16Array.from({ length: weights.shape.reduce((a, b) => a * b, 1) }, () => {
      const bits = next() & 0xffff;
      return (bits & 0x7c00) === 0x7c00 ? bits & 0x83ff : bits;
    });
    const w = new Float32Array(Uint32Array.from(halves, half).buffer);
    const made = convolution(weights, (graph) =>
      graph
        .constant("h", weights.shape, halves, { type: TensorType.FLOAT16 })
        .tensor("w", weights.shape)
        .operator("DEQUANTIZE", ["h"], ["w"]),
    );
    compare((await written(await dropIn(made, options(weights)))).model, w, weights);
    compare(await throughFiles(made, weights), w, weights);
  });
});

describe("values that cannot be quantized", () => {
  /** Convolutions in a row with one weight of `bad[i]` each. */
  const withBad = (bad: readonly number[]) =>
    model(["x"], [`y${bad.length - 1}`], (graph) => {
      graph.tensor("x", [1, 2], "FLOAT32", recorded(-1, 1));
      bad.forEach((value, i) => {
        graph
          .constant(`w${i}`, [2, 2], Float32Array.of(1, 2, value, 3))
          .constant(`b${i}`, [2], Float32Array.of(1, 2))
          .tensor(`y${i}`, [1, 2], "FLOAT32", recorded(-1, 1))
          .operator("FULLY_CONNECTED", [i ? `y${i - 1}` : "x", `w${i}`, `b${i}`], [`y${i}`]);
      });
    });
  const LARGEST = 3.4028234663852886e38;
  const BAD = [Number.NaN, 1, Number.POSITIVE_INFINITY, 2, Number.NEGATIVE_INFINITY, LARGEST, -LARGEST];

  async function write(made: Model, path: string): Promise<void> {
    const input = join(folder, "bad.circle");
    await writeModel(made, input, { dialect: "circle" });
    const opened = openModel(input);
    const space = quantized(workspace(opened, { scheme: SCHEMES.uint8, granularity: "channel" }, true));
    await writeModel(exportWorkspace(space).model, path, { dialect: "circle", fill: fillConstants });
  }

  test("one error names all of them, and no file is left", async () => {
    const place = mkdtempSync(join(folder, "result-"));
    const message = await refusal(() => write(withBad(BAD), join(place, "bad.circle")));
    for (const i of [0, 2, 4, 5, 6]) expect(message).toContain(`"w${i}"`);
    for (const i of [1, 3]) expect(message).not.toContain(`"w${i}"`);
    expect(readdirSync(place)).toEqual([]);
  });

  test("an old file stays as it was", async () => {
    const place = mkdtempSync(join(folder, "old-"));
    const path = join(place, "old.circle");
    writeFileSync(path, "old");
    await refusal(() => write(withBad([Number.NaN]), path));
    expect(readdirSync(place)).toEqual(["old.circle"]);
    expect(await Bun.file(path).text()).toBe("old");
  });

  test("a NaN that is not the first of its channel is found, by layer, too", async () => {
    const message = await refusal(async () => written(await dropIn(withBad([Number.NaN]), { granularity: "layer" })));
    expect(message).toMatch(/"w0".*NaN/);
  });

  test("constants and units by their own values, all in one error", async () => {
    const made = model(["x"], ["z"], (graph) =>
      graph
        .tensor("x", [2], "FLOAT32", recorded(-1, 1))
        .tensor("y", [2], "FLOAT32", recorded(-1, 1))
        .tensor("z", [2], "FLOAT32", recorded(-1, 1))
        .constant("k", [2], Float32Array.of(1, Number.NaN))
        .constant("alpha", [2], Float32Array.of(Number.POSITIVE_INFINITY, 1))
        .operator("ADD", ["x", "k"], ["y"])
        .operator("PRELU", ["y", "alpha"], ["z"]),
    );
    const message = await refusal(() => dropIn(made));
    expect(message).toContain('"k"');
    expect(message).toContain('"alpha"');
  });
});

describe("biases that do not fit (§10.15)", () => {
  const bias = (dtype: Dtype, b: Float32Array) =>
    dropIn(
      model(["x"], ["y"], (graph) =>
        graph
          .tensor("x", [1, 1], "FLOAT32", recorded(-1e-6, 1e-6))
          .tensor("y", [1, 4], "FLOAT32", recorded(-1, 1))
          .constant("w", [4, 1], new Float32Array(4).fill(1e-7))
          .constant("b", [4], b)
          .operator("FULLY_CONNECTED", ["x", "w", "b"], ["y"]),
      ),
      { dtype },
    );

  test("are set to the nearer limit, with a warning that names both", async () => {
    const space = await bias("UINT8", Float32Array.of(1, -1, 0.1, 1e-9));
    // Both scales are 1e-5: 1 becomes 1e10, which is past int32, and a tenth of it is not.
    const { tensors } = await written(space);
    const [high, low, fits, small] = tensors.get("b")!.values as number[];
    expect([high, low]).toEqual([2147483647, -2147483648]);
    expect(fits).toBeGreaterThan(9e8);
    expect(small).toBe(10);
    expect(space.context.notes).toEqual([
      {
        kind: "warning",
        code: "bias-overflow",
        text: expect.stringMatching(/FULLY_CONNECTED "y".*2 of 4.*"b"/),
        tensor: "y",
        subgraph: 0,
        numbers: { values: 2, of: 4 },
      },
    ]);
  });

  test("past int64", async () => {
    const space = await bias("INT16", Float32Array.of(1, 3e38, -3e38, 0));
    const { tensors } = await written(space);
    expect(tensors.get("b")!.values!.slice(1)).toEqual([2n ** 63n - 1n, -(2n ** 63n), 0n]);
    expect(space.context.notes).toMatchObject([{ code: "bias-overflow", numbers: { values: 2, of: 4 } }]);
  });

  test("NaN and infinities are refused by name", async () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
      expect(await refusal(async () => written(await bias("UINT8", Float32Array.of(0, value, 1, 2))))).toContain('"b"');
  });
});

test.each([[[2, 1]], [[2, 2]], [[]]])("alpha of shape %p has no channels (§3.5.3)", async (shape) => {
  const count = shape.reduce((a, b) => a * b, 1);
  const made = model(["x"], ["y"], (graph) =>
    graph
      .tensor("x", [2, 2], "FLOAT32", recorded(-1, 1))
      .tensor("y", [2, 2], "FLOAT32", recorded(-1, 1))
      .constant("alpha", shape, new Float32Array(count).fill(0.5))
      .operator("PRELU", ["x", "alpha"], ["y"]),
  );
  expect(await refusal(() => dropIn(made))).toContain(`"alpha": has shape [${shape}]`);
});
