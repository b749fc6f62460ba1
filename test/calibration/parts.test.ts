/** Models in slices and parts: the same bits as in one piece, within the memory that was asked for. */
import { afterAll, describe, expect, test } from "bun:test";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { constantsKnown } from "../../src/calibration/fold.ts";
import { type DataSet, inputSpecs, openDataSet, recordSamples } from "../../src/calibration/index.ts";
import { instrument } from "../../src/calibration/instrument.ts";
import { sliceModel } from "../../src/calibration/slices.ts";
import { ActivationFunctionType, type Model, openModel, Padding, TensorType } from "../../src/model/index.ts";
import { GraphBuilder, ModelBuilder, model } from "./models.ts";
import { bytesOf, dataOf, floats, folder, messageOf, shared } from "./support.ts";

const made: string[] = [];
afterAll(() => {
  for (const path of made) rmSync(path, { recursive: true, force: true });
});

/** Bits of every minimum and maximum (NaN has many), and histograms. */
async function bits(of: Model, data: DataSet, options: Parameters<typeof recordSamples>[2], histogram = false) {
  const samples = await recordSamples(of, data, { workers: 1, ...options }, histogram);
  return samples.map(({ tensor, name, mins, maxs, histogram }) => ({
    tensor,
    name,
    mins: [...new Uint32Array(mins.buffer)],
    maxs: [...new Uint32Array(maxs.buffer)],
    histogram,
  }));
}

async function slicesOf(of: Model): Promise<number> {
  return sliceModel(instrument(of, 0, await constantsKnown(of, of.subgraphs![0]!))).length;
}

describe("real models: slices, parts of one slice, and limits give the bits of one piece", () => {
  const REAL = join(import.meta.dir, "../../node_modules/@mediapipe/face_detection/face_detection_short_range.tflite");
  const names = ["hand_landmark_lite", "iris_landmark", "pose_detection", "selfie_segmentation"];
  for (const path of [REAL, ...names.map((name) => `models/${name}.tflite`)]) {
    const place = path === REAL ? REAL : shared(path);
    if (place === undefined) continue;
    test(path.split("/").at(-1)!, async () => {
      const opened = openModel(place);
      const data = await openDataSet("random:3:5", inputSpecs(opened.model));
      const whole = await bits(opened.model, data, { cut: "never" });
      expect(whole.length).toBeGreaterThan(60);
      expect(await slicesOf(opened.model)).toBeGreaterThan(20);
      expect(await bits(opened.model, data, { workers: 2 })).toEqual(whole);
      expect(await bits(opened.model, data, { cut: "always" })).toEqual(whole);
      const least = await smallestLimit(opened.model, data);
      for (const more of [0, 20e6])
        expect(await bits(opened.model, data, { memoryLimit: least + more })).toEqual(whole);
      opened.close();
    });
  }

  test("histograms too", async () => {
    const opened = openModel(REAL);
    const data = await openDataSet("random:2:5", inputSpecs(opened.model));
    const whole = await bits(opened.model, data, { cut: "never" }, true);
    expect(whole.every(({ histogram }) => histogram!.bins.length > 0)).toBe(true);
    expect(await bits(opened.model, data, {}, true)).toEqual(whole);
    expect(await bits(opened.model, data, { cut: "always" }, true)).toEqual(whole);
    opened.close();
  });
});

/** The limit that the refusal of a too small one names. */
async function smallestLimit(of: Model, data: DataSet): Promise<number> {
  const text = await messageOf(() => recordSamples(of, data, { workers: 1, memoryLimit: 1e6 }));
  return 1e6 * Number(/^--memory-limit 1MB: .* the smallest limit that does is (\d+)MB$/.exec(text)![1]);
}

/** Small seeded numbers. */
function random(seed: number) {
  let state = seed * 2654435761 + 1;
  const next = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  return {
    below: (n: number) => Math.floor(next() * n),
    floats: (n: number) => Float32Array.from({ length: n }, () => (next() * 4 - 2) * (next() < 0.05 ? 0 : 1)),
  };
}

/** An image is larger than what ends a slice (256 KiB). */
const SIDE = 46;
const DEPTH = 32;
const SHAPE = [1, SIDE, SIDE, DEPTH];
const NONE = { fusedActivationFunction: ActivationFunctionType.NONE };
/** Those that fuse. */
const ACTIVATIONS = (["NONE", "RELU", "RELU_N1_TO_1", "RELU6"] as const).map((name) => ActivationFunctionType[name]);

/** A graph of `size` operators over images of one shape, each reading what came before; some are pairs that XNNPACK could fuse. */
function randomGraph(seed: number, size: number): Model {
  const { below, floats } = random(seed);
  const graph = new GraphBuilder(new ModelBuilder());
  graph.tensor("x", SHAPE).tensor("z", SHAPE);
  const alive = ["x", "z"];
  const pick = () => alive[alive.length - 1 - below(Math.min(alive.length, 6))]!;
  const add = (name: string) => {
    alive.push(name);
    return name;
  };
  const pads = Int32Array.of(0, 0, 1, 1, 1, 1, 0, 0);
  for (let i = 0; i < size; i++) {
    const a = pick();
    const b = pick();
    const y = `y${i}`;
    const image = (name: string) => graph.tensor(name, SHAPE);
    switch (below(11)) {
      case 0: {
        image(y);
        graph.constant(
          `w${i}`,
          [DEPTH, 3, 3, DEPTH],
          floats(DEPTH * 9 * DEPTH).map((v) => v / 8),
        );
        graph.constant(`b${i}`, [DEPTH], floats(DEPTH));
        const value = { padding: Padding.SAME, strideW: 1, strideH: 1, fusedActivationFunction: ACTIVATIONS[below(4)] };
        graph.operator("CONV_2D", [a, `w${i}`, `b${i}`], [y], { type: "Conv2DOptions", value });
        break;
      }
      case 1: {
        // PAD before a VALID convolution: XNNPACK makes one operator of both unless somebody looks between them.
        graph.tensor(`p${i}`, [1, SIDE + 2, SIDE + 2, DEPTH]).constant(`pads${i}`, [4, 2], pads);
        graph.operator("PAD", [a, `pads${i}`], [`p${i}`]);
        image(y)
          .constant(`w${i}`, [1, 3, 3, DEPTH], floats(9 * DEPTH))
          .constant(`b${i}`, [DEPTH], floats(DEPTH));
        const value = {
          padding: Padding.VALID,
          strideW: 1,
          strideH: 1,
          depthMultiplier: 1,
          fusedActivationFunction: ACTIVATIONS[below(2)],
        };
        graph.operator("DEPTHWISE_CONV_2D", [`p${i}`, `w${i}`, `b${i}`], [y], {
          type: "DepthwiseConv2DOptions",
          value,
        });
        break;
      }
      case 2:
        image(y).operator("ADD", [a, b], [y], { type: "AddOptions", value: NONE });
        break;
      case 3:
        image(`m${i}`).operator("MUL", [a, b], [`m${i}`], { type: "MulOptions", value: NONE });
        image(y).operator("RELU", [`m${i}`], [y]);
        break;
      case 4:
        image(y).operator(below(2) ? "HARD_SWISH" : "LOGISTIC", [a], [y]);
        break;
      case 5: {
        graph.tensor(`c${i}`, [1, SIDE, SIDE, 2 * DEPTH]);
        graph.operator("CONCATENATION", [a, b], [`c${i}`], { type: "ConcatenationOptions", value: { axis: 3 } });
        graph.constant(`axis${i}`, [], Int32Array.of(3)).tensor(`s${i}`, SHAPE);
        image(y).operator("SPLIT", [`axis${i}`, `c${i}`], [`s${i}`, y], {
          type: "SplitOptions",
          value: { numSplits: 2 },
        });
        add(`s${i}`);
        break;
      }
      case 6: {
        // A BOOL between operators, and a constant that is unpacked.
        const half = new Uint16Array(DEPTH).fill(0x3800 + below(1024));
        graph.tensor(`g${i}`, SHAPE, "BOOL").operator("GREATER", [a, b], [`g${i}`]);
        const data = bytesOf(half);
        const buffer =
          graph.builder.buffers.push({ data: { source: memory(data), offset: 0, length: data.length } }) - 1;
        graph.tensor(`h${i}`, [DEPTH], "FLOAT16", { buffer }).tensor(`f${i}`, [DEPTH]);
        graph.operator("DEQUANTIZE", [`h${i}`], [`f${i}`]);
        image(`t${i}`).operator("MUL", [a, `f${i}`], [`t${i}`], { type: "MulOptions", value: NONE });
        image(y).operator("SELECT", [`g${i}`, `t${i}`, b], [y]);
        break;
      }
      case 7: {
        const value = {
          padding: Padding.SAME,
          strideW: 1,
          strideH: 1,
          filterWidth: 3,
          filterHeight: 3,
          fusedActivationFunction: ActivationFunctionType.NONE,
        };
        image(y).operator(below(2) ? "MAX_POOL_2D" : "AVERAGE_POOL_2D", [a], [y], { type: "Pool2DOptions", value });
        break;
      }
      case 8: {
        graph.tensor(`r${i}`, [SIDE * SIDE, DEPTH]).constant(`d${i}`, [2], Int32Array.of(SIDE * SIDE, DEPTH));
        graph.operator("RESHAPE", [a, `d${i}`], [`r${i}`]);
        graph.constant(`w${i}`, [DEPTH, DEPTH], floats(DEPTH * DEPTH)).tensor(`q${i}`, [SIDE * SIDE, DEPTH]);
        const value = { fusedActivationFunction: ACTIVATIONS[below(2)] };
        graph.operator("FULLY_CONNECTED", [`r${i}`, `w${i}`, ""], [`q${i}`], { type: "FullyConnectedOptions", value });
        image(y)
          .constant(`e${i}`, [4], Int32Array.from(SHAPE))
          .operator("RESHAPE", [`q${i}`, `e${i}`], [y]);
        break;
      }
      case 9: {
        // One operator of Circle becomes many; what is between those is nobody's.
        graph.constant(`gamma${i}`, [DEPTH], floats(DEPTH)).constant(`beta${i}`, [DEPTH], floats(DEPTH));
        const value = { epsilon: 0.01, fusedActivationFunction: ActivationFunctionType.NONE };
        image(y).operator("INSTANCE_NORM", [a, `gamma${i}`, `beta${i}`], [y], { type: "InstanceNormOptions", value });
        break;
      }
      default: {
        // Integers between operators.
        graph.constant(`axis${i}`, [], Int32Array.of(3)).tensor(`i${i}`, [1, SIDE, SIDE], "INT32");
        graph.operator("ARG_MAX", [a, `axis${i}`], [`i${i}`], {
          type: "ArgMaxOptions",
          value: { outputType: TensorType.INT32 },
        });
        graph.tensor(`k${i}`, [1, SIDE, SIDE]).operator("CAST", [`i${i}`], [`k${i}`]);
        graph.constant(`d${i}`, [4], Int32Array.of(1, SIDE, SIDE, 1)).tensor(`l${i}`, [1, SIDE, SIDE, 1]);
        graph.operator("RESHAPE", [`k${i}`, `d${i}`], [`l${i}`]);
        image(y).operator("SUB", [b, `l${i}`], [y], { type: "SubOptions", value: NONE });
      }
    }
    add(y);
  }
  return graph.builder.model(graph.graph(["x", "z"], [alive.at(-1)!, alive.at(-3)!]));
}

function memory(bytes: Uint8Array) {
  return {
    size: bytes.length,
    name: "memory",
    readInto: (target: Uint8Array, offset: number) => target.set(bytes.subarray(offset, offset + target.length)),
    close() {},
  };
}

describe("random graphs", () => {
  for (let seed = 1; seed <= 6; seed++)
    test(`seed ${seed}`, async () => {
      const of = randomGraph(seed, 24);
      const { floats } = random(seed + 100);
      const image = () => bytesOf(floats(SIDE * SIDE * DEPTH));
      const data = dataOf([image(), image()], [image(), image()], [image(), image()]);
      const whole = await bits(of, data, { cut: "never" });
      expect(whole.length).toBeGreaterThan(20);
      expect(await slicesOf(of)).toBeGreaterThan(12);
      expect(await bits(of, data, {})).toEqual(whole);
      expect(await bits(of, data, { cut: "always" })).toEqual(whole);
    });
});

describe("where is cut", () => {
  const pieces = async (of: Model) => ({
    whole: await bits(of, image, { cut: "never" }),
    slices: await bits(of, image, {}),
    parts: await bits(of, image, { cut: "always" }),
  });
  const LARGE = 1 << 16;
  const image = dataOf([bytesOf(random(3).floats(LARGE))], [bytesOf(random(4).floats(LARGE))]);

  test("an input that a later part reads, and one that nobody reads", async () => {
    const of = model(["x", "unused"], ["c"], (graph) => {
      for (const name of ["x", "a", "b", "c"]) graph.tensor(name, [LARGE]);
      graph.tensor("unused", [2]).operator("NEG", ["x"], ["a"]).operator("ABS", ["a"], ["b"]);
      graph.operator("ADD", ["x", "b"], ["c"], { type: "AddOptions", value: NONE });
    });
    expect(await slicesOf(of)).toBe(3);
    const values = () => bytesOf(random(9).floats(LARGE));
    const data = dataOf([values(), floats(1, 2)], [values(), floats(-3, 0)]);
    const whole = await bits(of, data, { cut: "never" });
    expect(whole.map(({ name }) => name)).toEqual(["x", "unused", "a", "b", "c"]);
    expect(await bits(of, data, { cut: "always" })).toEqual(whole);
  });

  test("not where a tensor's size follows from data", async () => {
    const of = model(["x"], ["y"], (graph) => {
      for (const name of ["x", "a", "y"]) graph.tensor(name, [LARGE]);
      graph.constant("zero", [1], Float32Array.of(0)).tensor("g", [LARGE], "BOOL").tensor("n", [1, 1], "INT64");
      graph.tensor("k", [1, 1]).tensor("s", [1, 1]).constant("axis", [2], Int32Array.of(0, 1));
      graph.operator("GREATER", ["x", "zero"], ["g"]).operator("WHERE", ["g"], ["n"]);
      graph.operator("NEG", ["x"], ["a"]).operator("ABS", ["a"], ["y"]);
    });
    const { whole, slices, parts } = await pieces(of);
    expect(slices).toEqual(whole);
    expect(parts).toEqual(whole);
  });

  test("a weight that several slices unpack", async () => {
    const of = model(["x"], ["c"], (graph) => {
      const half = bytesOf(new Uint16Array(LARGE).map((_, i) => 0x3000 + (i % 2048)));
      const buffer = graph.builder.buffers.push({ data: { source: memory(half), offset: 0, length: half.length } }) - 1;
      graph.tensor("half", [LARGE], "FLOAT16", { buffer }).tensor("w", [LARGE]);
      for (const name of ["x", "a", "b", "c"]) graph.tensor(name, [LARGE]);
      graph.operator("DEQUANTIZE", ["half"], ["w"]);
      graph.operator("MUL", ["x", "w"], ["a"], { type: "MulOptions", value: NONE });
      graph.operator("ADD", ["a", "w"], ["b"], { type: "AddOptions", value: NONE });
      graph.operator("SUB", ["w", "b"], ["c"], { type: "SubOptions", value: NONE });
    });
    expect(await slicesOf(of)).toBe(3);
    const { whole, slices, parts } = await pieces(of);
    expect(whole.map(({ name }) => name)).toEqual(["x", "a", "b", "c"]);
    expect(slices).toEqual(whole);
    expect(parts).toEqual(whole);
  });
});

describe("tensors between parts", () => {
  test("are kept in TMPDIR and removed, also when a part fails", async () => {
    const where = folder();
    made.push(where);
    const before = process.env.TMPDIR;
    process.env.TMPDIR = where;
    try {
      const of = (custom: boolean) =>
        model(["x"], ["c"], (graph) => {
          for (const name of ["x", "a", "b", "c"]) graph.tensor(name, [1 << 16]);
          graph.operator("NEG", ["x"], ["a"]).operator("ABS", ["a"], ["b"]);
          graph.operator(custom ? "CUSTOM" : "EXP", ["b"], ["c"], undefined, custom ? "Nobody" : undefined);
        });
      const seen: number[] = [];
      const data = dataOf(...[1, 2, 3].map((seed) => [bytesOf(random(seed).floats(1 << 16))]));
      const onProgress = () => seen.push(readdirSync(where).length);
      const found = await recordSamples(of(false), data, { cut: "always", onProgress });
      expect(found.length).toBe(4);
      // Between the first and second part, then the second and third; a tensor is dropped when its last reader is done.
      expect(seen).toEqual([1, 1, 1, 2, 2, 2, 1, 1, 1]);
      expect(readdirSync(where)).toEqual([]);
      const text = await messageOf(() => recordSamples(of(true), data, { cut: "always" }));
      expect(text).toStartWith('CUSTOM:Nobody "c": LiteRT does not know this custom operator');
      expect(readdirSync(where)).toEqual([]);
    } finally {
      if (before === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = before;
    }
  });

  test("a folder that takes no files", async () => {
    const before = process.env.TMPDIR;
    process.env.TMPDIR = "/nowhere";
    try {
      const of = model(["x"], ["b"], (graph) => {
        for (const name of ["x", "a", "b"]) graph.tensor(name, [1 << 16]);
        graph.operator("NEG", ["x"], ["a"]).operator("ABS", ["a"], ["b"]);
      });
      const data = dataOf([bytesOf(random(1).floats(1 << 16))]);
      expect(await messageOf(() => recordSamples(of, data, { cut: "always" }))).toMatch(
        /^\/nowhere: takes no files .*name another folder in TMPDIR$/,
      );
    } finally {
      if (before === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = before;
    }
  });
});
