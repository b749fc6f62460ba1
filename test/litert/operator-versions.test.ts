/** Versions, options and the least runtime of results for LiteRT: raised where they are too low, never lowered, and left alone for ONE. */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeWorkspace } from "../../src/driver/write.ts";
import { rangeOf, readRange } from "../../src/model/bytes.ts";
import { type BuiltinOptions, type Model, nameOf, openModel } from "../../src/model/index.ts";
import { BuiltinOperator } from "../../src/model/schema.gen.ts";
import { setOperatorVersions } from "../../src/passes/litert/operator-versions.ts";
import { workspace } from "../../src/passes/workspace.ts";
import { SCHEMES } from "../../src/rules/schemes.ts";
import { model, quantized, quantizedAs, recorded } from "../helpers/models.ts";
import { quantize, reopened } from "../passes/support.ts";

const ADD = (value: object = {}): BuiltinOptions => ({ type: "AddOptions", value });

/** The file that a workspace becomes: operators with their versions in order, codes, options of the first, least runtime. */
async function fileOf(space: ReturnType<typeof workspace>, dialect: "tflite" | "circle" = "tflite") {
  const folder = mkdtempSync(join(tmpdir(), "minmaxq-versions-"));
  try {
    const path = join(folder, `m.${dialect}`);
    await writeWorkspace(space, path, dialect);
    const opened = openModel(path);
    const { operatorCodes = [], subgraphs = [], metadata = [], buffers = [] } = opened.model;
    const of = (index: number) => {
      const { builtinCode = 0, version = 1, customCode } = operatorCodes[index]!;
      return `${customCode ?? nameOf(BuiltinOperator, builtinCode)} ${version}`;
    };
    const entries = metadata.filter(({ name }) => name === "min_runtime_version");
    const result = {
      operators: subgraphs.flatMap((graph) => (graph.operators ?? []).map((each) => of(each.opcodeIndex ?? 0))),
      codes: operatorCodes.map((_, index) => of(index)),
      options: subgraphs[0]!.operators![0]!.builtinOptions?.value as object | undefined,
      runtimes: entries.map(({ buffer }) => {
        const data = buffers[buffer ?? 0]!.data!;
        return new TextDecoder().decode(readRange(data as never));
      }),
      others: metadata.filter(({ name }) => name !== "min_runtime_version").map(({ name }) => name),
    };
    opened.close();
    return result;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function raised(made: Model) {
  const space = workspace(await reopened(made), { scheme: SCHEMES.int8, granularity: "channel" });
  setOperatorVersions(space);
  return fileOf(space);
}

/** ADD of int8, ADD of floats, ABS of floats, a custom operator; all of the versions that `versions` says. */
function mixed(versions: number[]): Model {
  const made = model(["a", "f"], ["s", "t", "u", "c"], (graph) =>
    graph
      .tensor("a", [4], "INT8", quantized(0.5, 0))
      .tensor("f", [4])
      .tensor("s", [4], "INT8", quantized(1, 0))
      .tensor("t", [4])
      .tensor("u", [4])
      .tensor("c", [4])
      .operator("ADD", ["a", "a"], ["s"], ADD())
      .operator("ADD", ["f", "f"], ["t"], ADD())
      .operator("ABS", ["t"], ["u"])
      .operator("CUSTOM", ["u"], ["c"], undefined, "Mine"),
  );
  for (const [index, version] of versions.entries()) made.operatorCodes![index]!.version = version;
  return made;
}

const PADDED = (text: string) => text.padEnd(16, "\0");

test("operators of a kind share the highest version, and codes that are left go", async () => {
  const { operators, codes, runtimes } = await raised(mixed([1, 1, 1, 1]));
  expect(operators).toEqual(["ADD 2", "ADD 2", "ABS 1", "Mine 1"]);
  expect(codes.sort()).toEqual(["ABS 1", "ADD 2", "Mine 1"]);
  // ADD 2 came with 1.14, ABS 1 with 1.13.
  expect(runtimes).toEqual([PADDED("1.14.0")]);
});

test("no version is lowered, and custom operators keep theirs", async () => {
  const { operators, runtimes } = await raised(mixed([1, 4, 2, 7]));
  expect(operators).toEqual(["ADD 4", "ADD 4", "ABS 2", "Mine 7"]);
  // ADD 4 came with 2.6.
  expect(runtimes).toEqual([PADDED("2.6.0")]);
});

test("two subgraphs have one code for a kind", async () => {
  const one = mixed([1, 1, 1, 1]);
  const [graph] = one.subgraphs!;
  const { codes } = await raised({ ...one, subgraphs: [graph!, graph!] });
  expect(codes.sort()).toEqual(["ABS 1", "ADD 2", "Mine 1"]);
});

/** With an entry that says `text`, and another one whose buffer it may share. */
function saying(text: string, shared: boolean): Model {
  const made = mixed([1, 1, 1, 1]);
  const buffers = [...made.buffers!, { data: rangeOf(new TextEncoder().encode(PADDED(text))) }];
  const buffer = buffers.length - 1;
  const metadata = [{ name: "min_runtime_version", buffer }, ...(shared ? [{ name: "other", buffer }] : [])];
  return { ...made, buffers, metadata };
}

test.each([
  ["1.5.0", false, "1.14.0"],
  ["1.5.0", true, "1.14.0"],
  ["2.20.0", false, "2.20.0"],
  ["", false, "1.14.0"],
])("min_runtime_version %p, shared %p, becomes %p", async (text, shared, expected) => {
  const { runtimes, others } = await raised(saying(text, shared));
  expect(runtimes).toEqual([PADDED(expected)]);
  expect(others).toEqual(shared ? ["other"] : []);
});

test("a .circle file says no runtime of TFLite's", async () => {
  const space = workspace(await reopened(mixed([1, 1, 1, 1])), { scheme: SCHEMES.int8, granularity: "channel" });
  setOperatorVersions(space);
  expect(await fileOf(space, "circle")).toMatchObject({
    operators: ["ADD 2", "ADD 2", "ABS 1", "Mine 1"],
    runtimes: [],
  });
});

/** x + x, recorded; with or without a table of options. */
const sum = (options?: BuiltinOptions): Model =>
  model(["x"], ["y"], (graph) =>
    graph
      .tensor("x", [4], "FLOAT32", recorded(-1, 1))
      .tensor("y", [4], "FLOAT32", recorded(-2, 2))
      .operator("ADD", ["x", "x"], ["y"], options),
  );

test.each([
  ["with options", ADD({ fusedActivationFunction: 1 }), { fusedActivationFunction: 1, potScaleInt16: false }],
  ["without options", undefined, { potScaleInt16: false }],
])("int16x8 sets pot_scale_int16 to false, %s", async (_, options, expected) => {
  const space = await quantize(sum(options), { scheme: SCHEMES.int16x8 });
  const file = await fileOf(space);
  expect(file.options).toEqual(expected);
  // ADD 3 came with 2.4.
  expect(file).toMatchObject({ operators: ["ADD 3"], codes: ["ADD 3"], runtimes: [PADDED("2.4.0")] });
});

test("what the file had quantized keeps its options", async () => {
  const made = model(["x"], ["y"], (graph) =>
    graph
      .tensor("x", [4], "INT16", quantized(0.5, 0))
      .tensor("y", [4], "INT16", quantized(1, 0))
      .operator("ADD", ["x", "x"], ["y"], ADD({ potScaleInt16: true })),
  );
  const space = workspace(await reopened(made), { scheme: SCHEMES.int16x8, granularity: "channel" });
  for (const node of space.graphs[0]!.nodes)
    if (node.kind === "operator") node.float = { code: "quantized-already", text: "" };
  setOperatorVersions(space);
  expect((await fileOf(space)).options).not.toEqual({ potScaleInt16: false });
});

test("ONE's schemes keep versions, codes and options as they were", async () => {
  for (const scheme of [SCHEMES.uint8, SCHEMES.int16]) {
    const file = await fileOf(await quantize(sum(ADD()), { scheme, granularity: "channel" }));
    expect(file).toMatchObject({ operators: ["ADD 1"], codes: ["ADD 1"], options: {}, runtimes: [] });
  }
});

test("int8 weights per channel and int32 biases, all through quantize", async () => {
  const made = model(["x"], ["y"], (graph) =>
    graph
      .tensor("x", [1, 2, 2, 2], "FLOAT32", recorded(-1, 1))
      .constant("w", [2, 1, 1, 2], Float32Array.of(1, 2, 3, 4))
      .constant("b", [2], Float32Array.of(1, 2))
      .tensor("y", [1, 2, 2, 2], "FLOAT32", recorded(-8, 8))
      .operator("CONV_2D", ["x", "w", "b"], ["y"], { type: "Conv2DOptions", value: { strideW: 1, strideH: 1 } }),
  );
  expect(await fileOf(await quantize(made, { scheme: SCHEMES.int8 }))).toMatchObject({
    operators: ["CONV_2D 3"],
    runtimes: [PADDED("1.14.0")],
  });
  // Plain int16 with int8 weights is version 1 in LiteRT's own table.
  expect(await fileOf(await quantize(made, { scheme: SCHEMES.int16x8 }))).toMatchObject({
    operators: ["CONV_2D 1"],
    runtimes: [PADDED("1.5.0")],
  });
});

test("MUL whose scales grow", async () => {
  const product = (high: number) =>
    model(["x"], ["y"], (graph) =>
      graph
        .tensor("x", [4], "INT8", quantizedAs("INT8", [2], [0]))
        .tensor("y", [4], "INT8", quantizedAs("INT8", [high], [0]))
        .operator("MUL", ["x", "x"], ["y"], { type: "MulOptions", value: {} }),
    );
  expect((await raised(product(4))).operators).toEqual(["MUL 3"]);
  expect((await raised(product(4.5))).operators).toEqual(["MUL 2"]);
});
