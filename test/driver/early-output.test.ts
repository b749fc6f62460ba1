/** Outputs that are begun while passes still decide: the same file, whatever began it and however wrong the guess was. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generateModel } from "../../scripts/generate-model.ts";
import { keepTimings, takeSpans } from "../../src/base/timings.ts";
import { begin } from "../../src/driver/early-output.ts";
import { quantize } from "../../src/driver/quantize.ts";
import { writeWorkspace } from "../../src/driver/write.ts";
import type { Node } from "../../src/graph/graph.ts";
import { rangeOf, readRange } from "../../src/model/bytes.ts";
import { BuiltinOperator, type Model, openModel, type Tensor, TensorType, writeModel } from "../../src/model/index.ts";
import type { Workspace } from "../../src/passes/context.ts";
import { quantizeGraph } from "../../src/passes/minmax/index.ts";
import { foldConstants } from "../../src/passes/prepare/fold-constants.ts";
import { workspace } from "../../src/passes/workspace.ts";
import { SCHEMES } from "../../src/rules/schemes.ts";
import { WeightStream } from "../../src/weights/fill.ts";
import { inferAll } from "../passes/support.ts";

const folder = mkdtempSync(join(tmpdir(), "minmaxq-begin-"));
const input = join(folder, "in.circle");
const output = join(folder, "out.circle");

/** One filter of 64 MiB, which has to be scanned as a whole when it has one scale. */
const wide = join(folder, "wide.circle");

beforeAll(async () => {
  await generateModel(60e6, input);
  await writeModel(fullyConnected(4096), wide, { dialect: "circle" });
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** y = x · w + b. With `folded`, b is the product of two constants, which a step of the preparation computes. */
function fullyConnected(side: number, folded = false): Model {
  const weights = Float32Array.from({ length: side * side }, (_, i) => Math.sin(i));
  const activation = (name: string): Tensor => ({
    name,
    shape: Int32Array.of(1, side),
    quantization: { min: Float32Array.of(-1), max: Float32Array.of(1) },
  });
  const constant = (name: string, shape: number[], buffer: number): Tensor => ({
    ...{ name, shape: Int32Array.from(shape), type: TensorType.FLOAT32, buffer },
  });
  const factors = folded ? [constant("b1", [side], 2), constant("b2", [side], 2)] : [];
  const product = { inputs: Int32Array.of(4, 5), outputs: Int32Array.of(2) };
  const products = folded
    ? [{ opcodeIndex: 1, ...product, builtinOptions: { type: "MulOptions" as const, value: {} } }]
    : [];
  return {
    operatorCodes: [{ builtinCode: BuiltinOperator.FULLY_CONNECTED }, { builtinCode: BuiltinOperator.MUL }],
    buffers: [
      {},
      ...[weights, new Float32Array(side)].map((array) => ({ data: rangeOf(new Uint8Array(array.buffer)) })),
    ],
    subgraphs: [
      {
        tensors: [
          activation("x"),
          constant("w", [side, side], 1),
          constant("b", [side], folded ? 0 : 2),
          activation("y"),
          ...factors,
        ],
        inputs: Int32Array.of(0),
        outputs: Int32Array.of(3),
        operators: [
          ...products,
          {
            inputs: Int32Array.of(0, 1, 2),
            outputs: Int32Array.of(3),
            builtinOptions: { type: "FullyConnectedOptions", value: {} },
          },
        ],
      },
    ],
  };
}

interface Way {
  readonly model?: string;
  readonly granularity?: "channel" | "layer";
  /** Begins the output, with a Worker that is up. */
  readonly begun: boolean;
  /** What a pass might do to the filters after they were begun. */
  readonly change?: (filters: Node[]) => void;
}

const filtersOf = ({ graphs }: Workspace) =>
  graphs[0]!.nodes.filter((node) => node.kind === "constant" && node.shape.length > 1);

/** The model with something behind its end that is no table. */
const appended = join(folder, "appended.circle");

/** Quantizes the model; gives whether the begun file became the output, a hash of it, and what is in it. */
async function quantized({ model = input, granularity = "channel", begun, change }: Way) {
  const before = readdirSync(folder);
  const stream = new WeightStream();
  if (begun) stream.startEarly(model);
  const opened = openModel(model);
  const space = workspace(opened, { scheme: SCHEMES.uint8, granularity });
  const done = begun ? begin(space, space.graphs, output, stream) : async () => {};
  const temporary = space.begun?.file.temporary;
  try {
    change?.(filtersOf(space));
    quantizeGraph(space.graphs[0]!, space.context);
    inferAll(space);
    let kept = false;
    const check = () => {
      kept = temporary !== undefined && readdirSync(folder).some((name) => temporary.endsWith(name));
    };
    await writeWorkspace(space, output, "circle", check, stream);
    const hash = new Bun.CryptoHasher("sha256").update(await Bun.file(output).bytes()).digest("hex");
    return { kept, hash, contents: contentsOf(output) };
  } finally {
    await done();
    opened.close();
    expect(readdirSync(folder).sort()).toEqual([...before, "out.circle"].sort());
    rmSync(output);
  }
}

/** Every tensor with its parameters and a hash of its bytes, wherever they lie. */
function contentsOf(path: string) {
  const opened = openModel(path);
  const { subgraphs, buffers }: Model = opened.model;
  const tensors = subgraphs![0]!.tensors!.map(({ buffer = 0, ...tensor }) => {
    const { data } = buffers![buffer]!;
    return { ...tensor, bytes: data && "source" in data ? Bun.hash(readRange(data)) : null };
  });
  opened.close();
  return { tensors, operators: subgraphs![0]!.operators };
}

test("a begun file has the same contents at other places", async () => {
  const plain = await quantized({ begun: false });
  const begun = await quantized({ begun: true });
  expect(begun.kept).toBe(true);
  expect(begun.contents).toEqual(plain.contents);
});

test("a wrong guess leaves the file that nobody began", async () => {
  // Another description of the same values: what was guessed will not be asked for.
  const change = ([filter]: Node[]) => {
    filter!.constant = { ...filter!.constant! };
  };
  const plain = await quantized({ begun: false });
  const begun = await quantized({ begun: true, change });
  expect(begun.kept).toBe(false);
  expect(begun.hash).toBe(plain.hash);
});

test.each(["right", "wrong"])("scans that were begun change nothing (%s guess)", async (guess) => {
  const change = ([filter]: Node[]) => {
    if (guess === "wrong") filter!.constant = { ...filter!.constant! };
  };
  const plain = await quantized({ model: wide, granularity: "layer", begun: false });
  const begun = await quantized({ model: wide, granularity: "layer", begun: true, change });
  expect(begun.hash).toBe(plain.hash);
});

test("no room is made for what is no table", async () => {
  const junk = new Uint8Array(2 << 20).fill(7);
  await Bun.write(appended, Buffer.concat([await Bun.file(input).bytes(), junk]));
  const plain = await quantized({ model: appended, begun: false });
  const begun = await quantized({ model: appended, begun: true });
  expect(begun.kept).toBe(false);
  expect(begun.hash).toBe(plain.hash);
  rmSync(appended);
});

test("nothing is left of a file that is not wanted after all", async () => {
  const stream = new WeightStream();
  stream.startEarly(input);
  const opened = openModel(input);
  const space = workspace(opened, { scheme: SCHEMES.uint8, granularity: "channel" });
  const done = begin(space, space.graphs, output, stream);
  expect(readdirSync(folder).length).toBe(3);
  await done();
  expect(readdirSync(folder).sort()).toEqual(["in.circle", "wide.circle"]);
  opened.close();
});

test("work that was begun survives what is filled beside it", async () => {
  const model = join(folder, "folded.circle");
  await writeModel(fullyConnected(SIDE, true), model, { dialect: "circle" });
  keepTimings();
  const tracks = new Set<string>();
  // Whether the Worker has begun when the rest is ready is chance.
  for (let tries = 0; !tracks.has("weights 1") && tries < 20; tries++)
    for (const track of await readersOfBegun(model)) tracks.add(track);
  expect(tracks).toContain("weights 1");
  rmSync(model);
  rmSync(output);
});

const SIDE = 4096;

/** Which threads read the weight of a model that is begun, prepared and written; each byte has to be read once. */
async function readersOfBegun(model: string): Promise<string[]> {
  const stream = new WeightStream();
  stream.startEarly(model);
  const opened = openModel(model);
  const space = workspace(opened, { scheme: SCHEMES.uint8, granularity: "channel" });
  const done = begin(space, space.graphs, output, stream);
  // LiteRT runs a copy of the operator, and the constants of that copy are filled, too.
  const edits = await foldConstants(space.graphs[0]!, space);
  expect(edits.map(({ op }) => op)).toEqual(["MUL"]);
  quantizeGraph(space.graphs[0]!, space.context);
  await writeWorkspace(space, output, "circle", undefined, stream);
  await done();
  opened.close();
  const read = takeSpans().filter(({ name, detail }) => name === "read" && detail === "w");
  // Each byte of the weight once; the Worker, where it had begun, its part of them.
  expect(read.reduce((sum, { bytes }) => sum + bytes!, 0)).toBe(SIDE * SIDE * 4);
  return read.map(({ track }) => track);
}

test("nothing is begun without a Worker", () => {
  const stream = new WeightStream();
  expect(stream.begin("write", [], output)).toBe(false);
});

test("passes scan no weights: only the stream reads them, once", async () => {
  keepTimings();
  takeSpans();
  await quantize({
    model: input,
    output,
    dialect: "circle",
    options: { scheme: SCHEMES.uint8, granularity: "channel" },
  });
  const scanned = takeSpans().filter(({ name }) => name === "scan");
  // Constants that parameters follow from are small; filters of this model are 60 MB.
  expect(scanned.reduce((sum, { bytes }) => sum + bytes!, 0)).toBeLessThan(1e5);
  rmSync(output);
});
