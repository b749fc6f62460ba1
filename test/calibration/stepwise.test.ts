/**
 * Models that are run operator by operator: control flow, variables, chance, and sizes that only the run knows. Expected values are computed
 * by hand here; those of the case folders come from ai-edge-litert (litert-ranges.json: min and max of every float32 tensor of the first
 * subgraph over the records of random:4, by tensor index).
 */
import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { constantsOf } from "../../src/calibration/graph-facts.ts";
import { inputSpecs, openDataSet, recordAllRanges, recordRanges } from "../../src/calibration/index.ts";
import { type Model, openModel } from "../../src/model/index.ts";
import truth from "./litert-ranges.json";
import { GraphBuilder, ModelBuilder, model } from "./models.ts";
import { bytesOf, dataOf, floats, messageOf, ranges, shared } from "./support.ts";

const MINMAX = { kind: "minmax" } as const;

/** Ranges of all subgraphs by name. */
async function everywhere(of: Model, ...records: Uint8Array[][]): Promise<Record<string, [number, number]>> {
  const found = await recordAllRanges(of, dataOf(...records), { reduction: MINMAX, workers: 1 });
  return Object.fromEntries(
    [...found.values()].flatMap((own) => [...own.values()].map((r) => [r.name, [r.min, r.max]])),
  );
}

/** `x, i, y: while i < 3: y = concat(y[0:i], 2 · x[i], y[i + 1:]), i = i + 1`, as Keras writes lists; most shapes are declared as []. */
function listLoop(): Model {
  const builder = new ModelBuilder();
  const loopInputs = (graph: GraphBuilder) => graph.tensor("i", [], "INT32").tensor("y", []).tensor("x", []);
  const condition = loopInputs(new GraphBuilder(builder))
    .constant("three", [], Int32Array.of(3))
    .tensor("less", [], "BOOL")
    .operator("LESS", ["i", "three"], ["less"]);
  const body = loopInputs(new GraphBuilder(builder))
    .constant("one", [], Int32Array.of(1))
    .constant("shape1", [1], Int32Array.of(1))
    .constant("zero1", [1], Int32Array.of(0))
    .constant("rest1", [1], Int32Array.of(-1))
    .constant("two", [], Float32Array.of(2))
    .tensor("next", [], "INT32")
    .tensor("i1", [1], "INT32")
    .tensor("next1", [1], "INT32")
    .tensor("before", [])
    .tensor("after", [])
    .tensor("element", [])
    .tensor("doubled", [])
    .tensor("list", [])
    .operator("ADD", ["i", "one"], ["next"], { type: "AddOptions", value: {} })
    .operator("RESHAPE", ["i", "shape1"], ["i1"])
    .operator("RESHAPE", ["next", "shape1"], ["next1"])
    .operator("SLICE", ["y", "zero1", "i1"], ["before"], { type: "SliceOptions", value: {} })
    .operator("SLICE", ["y", "next1", "rest1"], ["after"], { type: "SliceOptions", value: {} })
    .operator("GATHER", ["x", "i1"], ["element"], { type: "GatherOptions", value: {} })
    .operator("MUL", ["element", "two"], ["doubled"], { type: "MulOptions", value: {} })
    .operator("CONCATENATION", ["before", "doubled", "after"], ["list"], { type: "ConcatenationOptions", value: {} });
  const main = new GraphBuilder(builder)
    .tensor("x", [3])
    .constant("start", [], Int32Array.of(0))
    .constant("zeros", [3], new Float32Array(3))
    .tensor("end", [], "INT32")
    .tensor("y", [])
    .tensor("same", [])
    .tensor("z", [])
    .operator("WHILE", ["start", "zeros", "x"], ["end", "y", "same"], {
      type: "WhileOptions",
      value: { condSubgraphIndex: 1, bodySubgraphIndex: 2 },
    })
    .operator("NEG", ["y"], ["z"], { type: "NegOptions", value: {} });
  return builder.model(
    main.graph(["x"], ["z"]),
    condition.graph(["i", "y", "x"], ["less"]),
    body.graph(["i", "y", "x"], ["next", "list", "x"]),
  );
}

/** `state = state / 2 + x` with `state` a variable that starts at 1. */
function counter(initialized = true): Model {
  const builder = new ModelBuilder();
  const handle = { type: "VarHandleOptions", value: { sharedName: "state", container: "" } } as const;
  const main = new GraphBuilder(builder)
    .tensor("x", [2])
    .tensor("handle", [], "RESOURCE")
    .constant("half", [], Float32Array.of(0.5))
    .tensor("old", [2])
    .tensor("faded", [2])
    .tensor("new", [2]);
  if (initialized) main.operator("CALL_ONCE", [], [], { type: "CallOnceOptions", value: { initSubgraphIndex: 1 } });
  main
    .operator("VAR_HANDLE", [], ["handle"], handle)
    .operator("READ_VARIABLE", ["handle"], ["old"])
    .operator("MUL", ["old", "half"], ["faded"], { type: "MulOptions", value: {} })
    .operator("ADD", ["faded", "x"], ["new"], { type: "AddOptions", value: {} });
  if (initialized) main.operator("ASSIGN_VARIABLE", ["handle", "new"], []);
  const init = new GraphBuilder(builder)
    .tensor("handle", [], "RESOURCE")
    .constant("ones", [2], Float32Array.of(1, 1))
    .operator("VAR_HANDLE", [], ["handle"], handle)
    .operator("ASSIGN_VARIABLE", ["handle", "ones"], []);
  return builder.model(main.graph(["x"], ["new"]), init.graph([], []));
}

describe("sizes that only the run knows", () => {
  test("WHERE: the values that are chosen, none of them in one record", async () => {
    const of = model(["x"], ["chosen"], (graph) =>
      graph
        .tensor("x", [5])
        .constant("zero", [], Float32Array.of(0))
        .tensor("positive", [5], "BOOL")
        .tensor("where", [1, 1], "INT64", { shapeSignature: Int32Array.of(-1, 1) })
        .tensor("chosen", [1, 1], "FLOAT32", { shapeSignature: Int32Array.of(-1, 1) })
        .operator("GREATER", ["x", "zero"], ["positive"])
        .operator("WHERE", ["positive"], ["where"])
        .operator("GATHER", ["x", "where"], ["chosen"], { type: "GatherOptions", value: {} }),
    );
    const data = dataOf([floats(-1, 2, -3, 4, 5)], [floats(-1, -2, -3, -4, -5)], [floats(7, -2, -3, -4, -5)]);
    for (const workers of [1, 2]) expect(await ranges(of, data, { workers })).toEqual({ x: [-5, 7], chosen: [2, 7] });
    const unseen: string[] = [];
    const none = dataOf([floats(-1, -2, -3, -4, -5)]);
    expect(await ranges(of, none, { onUnobserved: (names) => unseen.push(...names) })).toEqual({ x: [-5, -1] });
    expect(unseen).toEqual(["chosen"]);
  });

  test("a computed count: TOPK_V2, and RESHAPE to it", async () => {
    const of = model(["x", "k"], ["top"], (graph) =>
      graph
        .tensor("x", [1, 6])
        .tensor("k", [], "INT32")
        .constant("one", [1], Int32Array.of(1))
        .tensor("k1", [1], "INT32")
        .tensor("top", [1, 1])
        .tensor("places", [1, 1], "INT32")
        .tensor("flat", [1])
        .operator("TOPK_V2", ["x", "k"], ["top", "places"])
        .operator("RESHAPE", ["k", "one"], ["k1"])
        .operator("RESHAPE", ["top", "k1"], ["flat"]),
    );
    const records = [
      [floats(1, 9, 3, 7, 5, 2), bytesOf(Int32Array.of(2))],
      [floats(1, 9, 3, 7, 5, 2), bytesOf(Int32Array.of(4))],
    ];
    expect(await ranges(of, dataOf(...records))).toEqual({ x: [1, 9], top: [3, 9], flat: [3, 9] });
    expect(await ranges(of, dataOf(records[0]!))).toEqual({ x: [1, 9], top: [7, 9], flat: [7, 9] });
  });

  test("a declared size that LiteRT contradicts", async () => {
    const of = model(["x"], ["z"], (graph) =>
      graph
        .tensor("x", [1, 4, 1, 1])
        .constant("block", [2], Int32Array.of(2, 1))
        .constant("crops", [2, 2], Int32Array.of(0, 0, 0, 0))
        .tensor("y", [1, 1, 1, 1])
        .tensor("z", [1, 1, 1, 1])
        .operator("SPACE_TO_BATCH_ND", ["x", "block", "crops"], ["y"])
        .operator("NEG", ["y"], ["z"], { type: "NegOptions", value: {} }),
    );
    expect(await ranges(of, dataOf([floats(1, 2, 3, 4)], [floats(9, 2, 3, 4)]))).toEqual({
      x: [1, 9],
      y: [1, 9],
      z: [-9, -1],
    });
  });

  test("UNIQUE, and RANGE to a computed end", async () => {
    const of = model(["x", "n"], ["unique", "steps"], (graph) =>
      graph
        .tensor("x", [4])
        .tensor("n", [])
        .constant("zero", [], Float32Array.of(0))
        .constant("one", [], Float32Array.of(1))
        .tensor("unique", [])
        .tensor("places", [4], "INT32")
        .tensor("steps", [])
        .tensor("negated", [])
        .operator("UNIQUE", ["x"], ["unique", "places"], { type: "UniqueOptions", value: { idxOutType: 2 } })
        .operator("RANGE", ["zero", "n", "one"], ["steps"], { type: "RangeOptions", value: {} })
        .operator("NEG", ["unique"], ["negated"], { type: "NegOptions", value: {} }),
    );
    expect(await ranges(of, dataOf([floats(3, 3, 8, 3), floats(6)]))).toEqual({
      x: [3, 8],
      n: [6, 6],
      unique: [3, 8],
      negated: [-8, -3],
      steps: [0, 5],
    });
  });
});

describe("control flow", () => {
  test("WHILE over a list: everything inside is seen, also what starts without elements", async () => {
    const found = await everywhere(listLoop(), [floats(1, -2, 4)], [floats(0.5, 0, 0)]);
    expect(found).toEqual({
      x: [-2, 4],
      // Of the main graph and of the body, where the list is zero at first.
      y: [-4, 8],
      same: [-2, 4],
      z: [-8, 4],
      element: [-2, 4],
      doubled: [-4, 8],
      // [], [2], [2, −4]; what is behind them is still zero.
      before: [-4, 2],
      after: [0, 0],
      list: [-4, 8],
    });
  });

  test("the same bits for any number of workers", async () => {
    const data = dataOf([floats(1, -2, 4)], [floats(0.5, 0, 0)], [floats(9, 9, 8)], [floats(-7, 1, 2)]);
    const bits = async (workers: number) =>
      JSON.stringify(
        [...(await recordAllRanges(listLoop(), data, { reduction: MINMAX, workers }))].map(([s, m]) => [s, [...m]]),
      );
    expect(await bits(3)).toBe(await bits(1));
  });
});

describe("state", () => {
  const records = [[floats(1, 2)], [floats(3, 4)], [floats(-8, 0)]];

  test("begins anew with each record, whatever the number of workers", async () => {
    for (const workers of [1, 3])
      expect(await ranges(counter(), dataOf(...records), { workers })).toEqual({
        x: [-8, 4],
        old: [1, 1],
        faded: [0.5, 0.5],
        new: [-7.5, 4.5],
      });
  });

  test("stays in a sequence", async () => {
    // new: [1.5, 2.5], [3.75, 5.25], [−6.125, 2.625]
    for (const workers of [1, 3])
      expect(await ranges(counter(), dataOf(...records), { workers, sequence: true })).toEqual({
        x: [-8, 4],
        old: [1, 5.25],
        faded: [0.5, 2.625],
        new: [-6.125, 5.25],
      });
  });

  test("a variable that nothing assigns is an error with its name", async () => {
    expect(await messageOf(() => ranges(counter(false), dataOf(...records)))).toMatch(
      /^the variable "state" is read, but nothing assigns a value/,
    );
  });
});

test("chance: the same ranges in every run, with any number of workers", async () => {
  for (const seed of [0n, 3n]) {
    const of = model(["x"], ["y"], (graph) =>
      graph
        .tensor("x", [1, 8])
        .constant("shape", [2], Int32Array.of(1, 8))
        .tensor("noise", [1, 8])
        .tensor("y", [1, 8])
        .operator("RANDOM_UNIFORM", ["shape"], ["noise"], { type: "RandomOptions", value: { seed, seed2: 0n } })
        .operator("ADD", ["x", "noise"], ["y"], { type: "AddOptions", value: {} }),
    );
    const zeros = () => [floats(0, 0, 0, 0, 0, 0, 0, 0)];
    const data = dataOf(zeros(), zeros(), zeros());
    const one = await ranges(of, data, { workers: 1 });
    const { noise } = one;
    expect(noise![0]).toBeGreaterThanOrEqual(0);
    expect(noise![1]).toBeLessThan(1);
    expect(noise![1]).toBeGreaterThan(noise![0]);
    expect(one).toEqual({ x: [0, 0], noise: noise!, y: noise! });
    expect(await ranges(of, data, { workers: 3 })).toEqual(one);
  }
});

describe("case folders: what LiteRT says of every tensor", () => {
  for (const [path, tensors] of Object.entries(truth as Record<string, Record<string, number[]>>)) {
    test(path, async () => {
      const file = shared(`cases/${path}`);
      if (!file) return;
      const { model: of, close } = openModel(file);
      const data = await openDataSet("random:4", inputSpecs(of));
      const found = await recordRanges(of, data, { reduction: MINMAX, workers: 2 });
      expect(found.size).toBeGreaterThan(0);
      // Constants are in the file's list, too; and LiteRT leaves results that nothing reads uncomputed.
      const constants = constantsOf(of, of.subgraphs![0]!);
      const missing = Object.keys(tensors).filter(
        (index) => !found.has(Number(index)) && !constants.has(Number(index)),
      );
      expect(missing).toEqual([]);
      for (const [index, [low, high]] of Object.entries(tensors)) {
        const range = found.get(Number(index));
        if (!range) continue;
        expect(Math.abs(range.min - low!)).toBeLessThanOrEqual(1e-4 * Math.max(1, Math.abs(low!)));
        expect(Math.abs(range.max - high!)).toBeLessThanOrEqual(1e-4 * Math.max(1, Math.abs(high!)));
      }
      close();
    });
  }

  test("02: one record each, or a sequence", async () => {
    const folder = shared("cases/02-resource-variables-random-ranges");
    if (!folder) return;
    const { model: of, close } = openModel(join(folder, "resvar.tflite"));
    const data = await openDataSet(join(folder, "resvar.npz"), inputSpecs(of));
    const add = async (workers: number, sequence: boolean) => {
      const found = await recordRanges(of, data, { reduction: MINMAX, workers, sequence });
      return [...found.values()].flatMap(({ name, min, max }) => (name === "add" ? [min, max] : []));
    };
    for (const workers of [1, 2, 4]) {
      const [low, high] = await add(workers, false);
      expect([low!.toFixed(2), high!.toFixed(2)]).toEqual(["-3.73", "4.67"]);
    }
    const [low, high] = await add(4, true);
    expect([low!.toFixed(2), high!.toFixed(2)]).toEqual(["-4.16", "3.60"]);
    close();
  });

  test("10: every variable is named", async () => {
    const folder = shared("cases/10-uninitialized-variables");
    if (!folder) return;
    const { model: of, close } = openModel(join(folder, readdirSync(folder).find((name) => name.endsWith(".tflite"))!));
    const data = await openDataSet("random:1", inputSpecs(of));
    const text = await messageOf(() => recordRanges(of, data, { reduction: MINMAX }));
    for (const layer of ["conv2d_9", "depthwise_conv2d_1", "dense_17", "dense_18"])
      for (const part of ["kernel", "bias"]) expect(text).toContain(`"sequential_18/${layer}/${part}"`);
    close();
  });

  test("16: a Flex operator gets the line of custom operators", async () => {
    const file = shared("cases/16-flex-error-text/flexop.tflite");
    if (!file) return;
    const { model: of, close } = openModel(file);
    const data = await openDataSet("random:1", inputSpecs(of));
    expect(await messageOf(() => recordRanges(of, data, { reduction: MINMAX }))).toMatch(
      /^CUSTOM:FlexMatrixDeterminant "Identity": LiteRT does not know this custom operator/,
    );
    close();
  });
});
