/** Damage of any kind gives one MinmaxqError of one line, soon, and without much memory. */
import { describe, expect, test } from "bun:test";
import { Builder } from "flatbuffers";
import { MinmaxqError } from "../../src/base/errors.ts";
import { MemoryBytes, rangeOf } from "../../src/model/bytes.ts";
import { type Model, openModel, readModel, serializeModel } from "../../src/model/index.ts";
import { everything, random, small, sparseTensor } from "./everything.ts";

/** The error's message, or undefined when the bytes are read. Anything but a MinmaxqError of one line is passed on. */
function problem(bytes: Uint8Array): string | undefined {
  try {
    readModel(new MemoryBytes(bytes, "m.circle"));
    return undefined;
  } catch (error) {
    if (!(error instanceof MinmaxqError) || error.message.includes("\n")) throw error;
    expect(error.message).toStartWith("m.circle: ");
    return error.message;
  }
}

const bytesOf = (model: Model, external = false) => serializeModel(model, { dialect: "circle", external });

test.each([false, true])("cut at every byte (weights outside: %s)", async (external) => {
  const bytes = await bytesOf(small(), external);
  expect(problem(bytes)).toBeUndefined();
  for (let length = 0; length < bytes.length; length++) {
    expect(problem(bytes.slice(0, length)), `cut at ${length} of ${bytes.length}`).toBeDefined();
  }
});

/** Changes a few bytes at random, often to the values that hurt. */
async function flip(bytes: Uint8Array, rounds: number, seed: number): Promise<number> {
  const next = random(seed);
  let errors = 0;
  for (let round = 0; round < rounds; round++) {
    const damaged = bytes.slice();
    for (let flips = 1 + next(3); flips > 0; flips--) {
      damaged[next(damaged.length)] = [next(256), 0xff, 0x80, 0x7f, 0][next(5)]!;
    }
    const start = performance.now();
    if (problem(damaged)) errors++;
    else if (round % 10 === 0) {
      // What is read can also be written.
      const { model, dialect } = readModel(new MemoryBytes(damaged));
      await serializeModel(model, { dialect });
    }
    expect(performance.now() - start).toBeLessThan(1000);
  }
  return errors;
}

test("random bytes of a small model", async () => {
  const bytes = await bytesOf(small());
  const before = process.memoryUsage().rss;
  expect(await flip(bytes, 5000, 1)).toBeGreaterThan(1000);
  expect(process.memoryUsage().rss - before).toBeLessThan(300e6);
}, 60_000);

test.each(["circle", "tflite"] as const)(
  "random bytes of a model with everything (%s)",
  async (dialect) => {
    const bytes = await serializeModel(everything(dialect), { dialect });
    expect(await flip(bytes, 400, 2)).toBeGreaterThan(20);
  },
  60_000,
);

test("a small file that describes gigabytes", () => {
  // 100,000 tensors that are all the same one with 64 KiB of scales: 6.5 GB from a file of 0.5 MB.
  const builder = new Builder(1 << 20);
  builder.startVector(4, 16384, 4);
  for (let i = 0; i < 16384; i++) builder.addFloat32(i);
  const scale = builder.endVector();
  builder.startObject(7);
  builder.addFieldOffset(2, scale, 0);
  const quantization = builder.endObject();
  builder.startObject(11);
  builder.addFieldOffset(4, quantization, 0);
  const tensor = builder.endObject();
  builder.startVector(4, 100_000, 4);
  for (let i = 0; i < 100_000; i++) builder.addOffset(tensor);
  const tensors = builder.endVector();
  builder.startObject(7);
  builder.addFieldOffset(0, tensors, 0);
  const graph = builder.endObject();
  builder.startVector(4, 1, 4);
  builder.addOffset(graph);
  const graphs = builder.endVector();
  builder.startObject(8);
  builder.addFieldOffset(2, graphs, 0);
  builder.finish(builder.endObject(), "CIR0");
  const start = performance.now();
  expect(problem(builder.asUint8Array())).toContain("describes far more than the file can hold");
  expect(performance.now() - start).toBeLessThan(1000);
});

describe("what points nowhere is named", () => {
  const cases: [string, (model: Model) => void, string][] = [
    ["operand", (m) => m.subgraphs![0]!.operators![0]!.inputs!.fill(77), "subgraphs[0].operators[0].inputs[0]: is 77"],
    ["operand -2", (m) => m.subgraphs![0]!.operators![0]!.inputs!.fill(-2), "inputs[0]: is -2, there are 4 tensors"],
    ["result -1", (m) => m.subgraphs![0]!.operators![0]!.outputs!.fill(-1), "operators[0].outputs[0]: is -1"],
    ["graph input", (m) => m.subgraphs![0]!.inputs!.fill(4), "subgraphs[0].inputs[0]: is 4, there are 4 tensors"],
    ["operator code", (m) => set(m.subgraphs![0]!.operators![0]!, { opcodeIndex: 1 }), "opcodeIndex: is 1"],
    ["buffer", (m) => set(m.subgraphs![0]!.tensors![1]!, { buffer: 3 }), '"weights".buffer: is 3, there are 3 buffers'],
    ["type", (m) => set(m.subgraphs![0]!.tensors![1]!, { type: 99 }), '"weights": has the unknown type 99'],
    [
      "size",
      (m) => m.subgraphs![0]!.tensors![1]!.shape!.fill(3),
      '"weights": FLOAT32 of shape [3, 3, 3, 3] needs 324 bytes, buffer 1 has 16',
    ],
    [
      "unknown sizes of what is there",
      (m) => m.subgraphs![0]!.tensors![1]!.shape!.fill(-1),
      '"weights".shape: has the dimension -1, and it has values',
    ],
    [
      "name",
      (m) => set(m.subgraphs![0]!.tensors![1]!, { name: "two\nlines", buffer: 9 }),
      '"two\\nlines".buffer: is 9',
    ],
    ["metadata", (m) => set(m.metadata![0]!, { buffer: 9 }), "metadata[0].buffer: is 9"],
    ["signature graph", (m) => set(m.signatureDefs![0]!, { subgraphIndex: 1 }), "signatureDefs[0].subgraphIndex: is 1"],
    [
      "signature tensor",
      (m) => set(m.signatureDefs![0]!.outputs![0]!, { tensorIndex: 4 }),
      "signatureDefs[0].outputs[0].tensorIndex: is 4",
    ],
    [
      "other graph",
      (m) =>
        set(m.subgraphs![0]!.operators![0]!, {
          builtinOptions: { type: "IfOptions", value: { elseSubgraphIndex: 1 } },
        }),
      "operators[0].elseSubgraphIndex[0]: is 1, there are 1 subgraphs",
    ],
  ];
  test.each(cases)("%s", async (_, change, text) => {
    const model = small();
    change(model);
    const message = problem(await bytesOf(model));
    expect(message).toContain(text);
    expect(message).toContain("copy or export it again");
  });

  const sparse: [string, (tensor: ReturnType<typeof sparseTensor>) => void, string][] = [
    ["order", (t) => t.sparsity!.traversalOrder!.fill(1), "traversalOrder: [1, 1] is no permutation"],
    ["levels", (t) => t.sparsity!.dimMetadata!.pop(), "has 2 entries and 1 levels"],
    ["block", (t) => set(t.sparsity!, { blockMap: Int32Array.of(2) }), "blockMap: names a dimension outside"],
    ["size", (t) => set(t.sparsity!.dimMetadata![0]!, { denseSize: 9 }), "dimMetadata[0]: has the size 9"],
    ["index", (t) => t.sparsity!.dimMetadata![1]!.arrayIndices!.value!.values!.fill(3), "has the index 3"],
    ["segment", (t) => t.sparsity!.dimMetadata![1]!.arraySegments!.value!.values!.fill(9), "its segments name 9"],
    ["data", () => {}, "is sparse and needs 8 bytes, its buffer has 4"],
  ];
  test.each(sparse)("sparse %s", async (_, change, text) => {
    const tensor = sparseTensor("Int32Vector", 1);
    change(tensor);
    const model: Model = {
      buffers: [{}, { data: rangeOf(new Uint8Array(4)) }],
      subgraphs: [{ tensors: [tensor] }],
    };
    expect(problem(await bytesOf(model))).toContain(text);
  });
});

describe("operator codes", () => {
  test.each([
    [{ deprecated: 127, builtin: -2 }, "circle", "is not valid"],
    [{ deprecated: 127, builtin: 999 }, "circle", "operator 999"],
    [{ deprecated: -1, builtin: 0 }, "circle", "operator -1"],
    [{ deprecated: 0, builtin: 999 }, "tflite", "operator 999"],
  ] as const)("%p in %s", (code, dialect, text) => {
    expect(problem(withCode(code, dialect))).toContain(`operatorCodes[0]: operator ${code.builtin || code.deprecated}`);
    expect(problem(withCode(code, dialect))).toContain(text);
  });

  test.each([
    [{ deprecated: 3, builtin: 0 }, "circle", 3],
    [{ deprecated: -2, builtin: 0 }, "circle", -2],
    [{ deprecated: 127, builtin: 150 }, "circle", 150],
    [{ deprecated: 3, builtin: 0 }, "tflite", 3],
    [{ deprecated: 0, builtin: 3 }, "tflite", 3],
    [{ deprecated: 127, builtin: 150 }, "tflite", 150],
  ] as const)("%p in %s is %d", (code, dialect, expected) => {
    const { model } = readModel(new MemoryBytes(withCode(code, dialect)));
    expect(model.operatorCodes).toStrictEqual([{ builtinCode: expected as never }]);
  });

  function withCode(code: { deprecated: number; builtin: number }, dialect: "circle" | "tflite"): Uint8Array {
    const builder = new Builder();
    builder.startObject(4);
    builder.addFieldInt8(0, code.deprecated, 0);
    builder.addFieldInt32(3, code.builtin, 0);
    const place = builder.endObject();
    builder.startVector(4, 1, 4);
    builder.addOffset(place);
    const codes = builder.endVector();
    builder.startObject(8);
    builder.addFieldOffset(1, codes, 0);
    builder.finish(builder.endObject(), dialect === "circle" ? "CIR0" : "TFL3");
    return builder.asUint8Array();
  }
});

test("what is newer than the schema is told", () => {
  const builder = new Builder();
  builder.startObject(14);
  builder.addFieldInt8(3, 200, 0);
  const operator = builder.endObject();
  builder.startVector(4, 1, 4);
  builder.addOffset(operator);
  const operators = builder.endVector();
  builder.startObject(12);
  builder.addFieldOffset(3, operators, 0);
  builder.addFieldInt32(9, 5, 0);
  const graph = builder.endObject();
  builder.startVector(4, 1, 4);
  builder.addOffset(graph);
  const graphs = builder.endVector();
  builder.startObject(8);
  builder.addFieldInt32(0, 3, 0);
  const code = builder.endObject();
  builder.startVector(4, 1, 4);
  builder.addOffset(code);
  const codes = builder.endVector();
  builder.startObject(8);
  builder.addFieldOffset(1, codes, 0);
  builder.addFieldOffset(2, graphs, 0);
  builder.finish(builder.endObject(), "TFL3");
  const { model, unknown } = readModel(new MemoryBytes(builder.asUint8Array()));
  expect(model.subgraphs![0]!.operators).toHaveLength(1);
  expect(unknown).toEqual([
    "subgraphs[0].operators[0].builtinOptions: type 200 of BuiltinOptions is newer than the schema and is not kept",
    "subgraphs[0]: field 9 of SubGraph is newer than the schema and is not kept",
  ]);
});

describe("files that are no models", () => {
  const text = (value: string) => new TextEncoder().encode(value);
  test.each([
    ["nothing", new Uint8Array(), "the file is empty"],
    ["3 bytes", Uint8Array.of(1, 2, 3), "it has 3 bytes only"],
    ["zip", text("PK\x03\x04 and so on"), "a zip archive"],
    ["HDF5", Uint8Array.of(0x89, 0x48, 0x44, 0x46, 13, 10, 26, 10), "an HDF5 file"],
    ["ONNX", Uint8Array.of(8, 7, 0x12, 7, 0x70, 0x79, 0x74, 0x6f, 0x72), "an ONNX model"],
    ["SavedModel", Uint8Array.of(8, 1, 0x12, 7, 1, 2, 3, 4, 5), "a TensorFlow SavedModel"],
    ["text", text("hello, world"), "a text file"],
    ["other", new Uint8Array(100), '"CIR0" (circle) or "TFL3" (TFLite) expected'],
  ])("%s", (_, bytes, expected) => {
    expect(problem(bytes)).toContain(expected);
  });

  test("paths", () => {
    expect(() => openModel("/nowhere/m.circle")).toThrow("/nowhere/m.circle: cannot be read");
    expect(() => openModel(import.meta.dir)).toThrow("is not a file");
  });
});

function set(table: object, fields: object): void {
  Object.assign(table, fields);
}
