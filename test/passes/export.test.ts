/** Graphs → tables: names, signatures, buffers, and what is left out. */
import { describe, expect, test } from "bun:test";
import { addNode, setInput } from "../../src/graph/graph.ts";
import { quantParam } from "../../src/graph/quantparam.ts";
import { MemoryBytes, rangeOf, readRange } from "../../src/model/bytes.ts";
import { type Model, readModel, type SignatureDef, serializeModel } from "../../src/model/index.ts";
import { exportWorkspace } from "../../src/passes/workspace.ts";
import { fillConstants } from "../../src/weights/fill.ts";
import { GraphBuilder, ModelBuilder, model, recorded } from "../helpers/models.ts";
import { dropIn, factsOf, nodeOf, quantize, spaceOf, written } from "./support.ts";

const RANGE = recorded(-1, 1);

/** a, b → ADD s → ABS y; outputs s and y. */
function small(signatureDefs?: SignatureDef[]): Model {
  const made = model(["a", "b"], ["s", "y"], (graph) =>
    graph
      .tensor("y", [4], "FLOAT32", RANGE)
      .tensor("a", [4], "FLOAT32", RANGE)
      .tensor("s", [4], "FLOAT32", RANGE)
      .tensor("b", [4], "FLOAT32", RANGE)
      .operator("ADD", ["a", "b"], ["s"])
      .operator("ABS", ["s"], ["y"]),
  );
  return signatureDefs ? { ...made, signatureDefs } : made;
}

const SIGNATURE: SignatureDef = {
  signatureKey: "serving",
  subgraphIndex: 0,
  inputs: [
    { name: "first", tensorIndex: 1 },
    { name: "second", tensorIndex: 3 },
  ],
  outputs: [
    { name: "sum", tensorIndex: 2 },
    { name: "size", tensorIndex: 0 },
  ],
};

/** Signature entries by the names of the tensors they point to. */
function signature(made: Model) {
  const { tensors } = made.subgraphs![0]!;
  const named = (maps: SignatureDef["inputs"]) =>
    Object.fromEntries(maps!.map(({ name, tensorIndex }) => [name!, tensors![tensorIndex ?? 0]!.name!]));
  return made.signatureDefs!.map(({ signatureKey, inputs, outputs }) => [signatureKey, named(inputs), named(outputs)]);
}

describe("signatures", () => {
  test("stay when nothing is inserted", async () => {
    const { model: after } = await written(await dropIn(small([SIGNATURE])));
    expect(signature(after)).toEqual([["serving", { first: "a", second: "b" }, { sum: "s", size: "y" }]]);
  });

  test("follow outputs that are replaced; inputs stay inputs", async () => {
    const float = { inputDtypes: ["FLOAT32"], outputDtypes: ["FLOAT32"] } as const;
    const { model: after, inputs, outputs } = await written(await dropIn(small([SIGNATURE]), float));
    const expected = [
      { first: "a", second: "b" },
      { sum: "s_Dequantize", size: "y_Dequantize" },
    ];
    expect(signature(after)).toEqual([["serving", ...expected] as never]);
    expect(inputs).toEqual(["a", "b"]);
    expect(outputs).toEqual(["s_Dequantize", "y_Dequantize"]);
  });

  test("of a subgraph each point into their own", async () => {
    const builder = new ModelBuilder();
    const make = () =>
      new GraphBuilder(builder)
        .constant("lonely", [1], Float32Array.of(1))
        .tensor("a", [4], "FLOAT32", RANGE)
        .tensor("y", [4], "FLOAT32", RANGE)
        .operator("ABS", ["a"], ["y"])
        .graph(["a"], ["y"]);
    const made = builder.model(make(), make());
    const maps = { inputs: [{ name: "in", tensorIndex: 1 }], outputs: [{ name: "out", tensorIndex: 2 }] };
    made.signatureDefs = [0, 1].map((subgraphIndex) => ({ ...maps, subgraphIndex, signatureKey: `${subgraphIndex}` }));
    const { model: after } = await written(await dropIn(made, { outputDtypes: ["FLOAT32"] }));
    for (const { subgraphIndex, inputs, outputs } of after.signatureDefs!) {
      const tensors = after.subgraphs![subgraphIndex ?? 0]!.tensors!;
      expect(tensors[inputs![0]!.tensorIndex ?? 0]!.name).toBe("a");
      expect(tensors[outputs![0]!.tensorIndex ?? 0]!.name).toBe("y_Dequantize");
    }
  });
});

describe("names", () => {
  test("are unique: what the file had keeps its own, what is new makes way", async () => {
    const made = model(["x"], ["y", "x_Quantize"], (graph) =>
      graph
        .tensor("x", [4], "FLOAT32", RANGE)
        .tensor("x_Quantize", [4], "FLOAT32", RANGE)
        .tensor("y", [4], "FLOAT32", RANGE)
        .operator("ABS", ["x"], ["x_Quantize"])
        .operator("ABS", ["x_Quantize"], ["y"]),
    );
    const { operators, outputs } = await written(await dropIn(made, { inputDtypes: ["FLOAT32"] }));
    expect(operators.toSorted()).toEqual(
      ["QUANTIZE(x) -> x_Quantize_1", "ABS(x_Quantize_1) -> x_Quantize", "ABS(x_Quantize) -> y"].toSorted(),
    );
    expect(outputs).toEqual(["y", "x_Quantize"]);
  });

  test("clones of a shared constant", async () => {
    const made = model(["x"], ["p", "q", "r"], (graph) => {
      graph.tensor("x", [4], "FLOAT32", RANGE).constant("k", [4], Float32Array.of(1, 2, 3, 4));
      for (const name of ["p", "q", "r"]) graph.tensor(name, [4], "FLOAT32", RANGE).operator("ADD", ["x", "k"], [name]);
    });
    const { tensors, model: after } = await written(await dropIn(made));
    expect([...tensors.keys()].filter((name) => name[0] === "k").toSorted()).toEqual(["k", "k_1", "k_2"]);
    const names = after.subgraphs![0]!.tensors!.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });
});

describe("what is not written", () => {
  test("operators and tensors that no output reaches, and buffers that nothing refers to", async () => {
    const made = model(["x", "unused"], ["y"], (graph) =>
      graph
        .tensor("x", [4], "FLOAT32", RANGE)
        .tensor("unused", [4], "FLOAT32", RANGE)
        .tensor("y", [4], "FLOAT32", RANGE)
        .tensor("dead", [4], "FLOAT32", RANGE)
        .constant("k", [4], Float32Array.of(1, 2, 3, 4))
        .constant("deadly", [4], Float32Array.of(5, 6, 7, 8))
        .operator("ADD", ["x", "k"], ["y"])
        .operator("ADD", ["x", "deadly"], ["dead"]),
    );
    const { tensors, operators, inputs, model: after } = await written(await dropIn(made));
    expect(operators).toEqual(["ADD(x, k) -> y"]);
    expect([...tensors.keys()].toSorted()).toEqual(["k", "unused", "x", "y"]);
    expect(inputs).toEqual(["x", "unused"]);
    // The empty one and that of k.
    expect(after.buffers!.length).toBe(2);
    expect(after.buffers![0]!.data).toBeUndefined();
  });

  test("unused results of a used operator are written", async () => {
    const made = model(["x"], ["a"], (graph) => {
      graph.tensor("x", [4], "FLOAT32", RANGE).constant("axis", [], Int32Array.of(0));
      for (const name of ["a", "b", "c"]) graph.tensor(name, [4], "FLOAT32", RANGE);
      graph.operator("SPLIT", ["axis", "x"], ["a", "b", "c"]);
    });
    const { operators, tensors } = await written(await dropIn(made));
    expect(operators).toEqual(["SPLIT(axis, x) -> a, b, c"]);
    // Phase 1 quantizes them and phase 14 drops their ranges (§10.5).
    for (const name of ["b", "c"]) expect(tensors.get(name)).toMatchObject({ dtype: "UINT8", min: [], max: [] });
  });

  test("buffers of metadata stay, and are found", async () => {
    const made = small();
    const text = new TextEncoder().encode("1.14.0");
    made.buffers = [{}, { data: rangeOf(Uint8Array.of(9, 9)) }, { data: rangeOf(text) }];
    made.metadata = [{ name: "min_runtime_version", buffer: 2 }];
    const { model: after } = await written(await dropIn(made));
    const { data } = after.buffers![after.metadata![0]!.buffer!]!;
    expect(readRange(data as never)).toEqual(text);
    expect(after.buffers!.length).toBe(2);
  });
});

test("operators that act on variables stay, with what they need", async () => {
  const made = model(["x"], ["y"], (graph) =>
    graph
      .tensor("x", [4])
      .tensor("h", [], "RESOURCE")
      .tensor("v", [4])
      .tensor("next", [4])
      .tensor("y", [4])
      .constant("k", [4], Float32Array.of(1, 2, 3, 4))
      .operator("VAR_HANDLE", [], ["h"])
      .operator("READ_VARIABLE", ["h"], ["v"])
      .operator("ADD", ["v", "k"], ["next"])
      .operator("ASSIGN_VARIABLE", ["h", "next"], [])
      .operator("ABS", ["x"], ["y"]),
  );
  const { operators } = await written(await spaceOf(made));
  expect(operators).toEqual([
    "VAR_HANDLE() -> h",
    "READ_VARIABLE(h) -> v",
    "ADD(v, k) -> next",
    "ASSIGN_VARIABLE(h, next) -> ",
    "ABS(x) -> y",
  ]);
});

test("state tensors stay variables, and operators on them stay even when nobody reads their result", async () => {
  const made = model(["x"], ["y"], (graph) =>
    graph
      .tensor("x", [4])
      .tensor("state", [4], "FLOAT32", { isVariable: true })
      .tensor("v", [4])
      .tensor("y", [4])
      .operator("UNIDIRECTIONAL_SEQUENCE_LSTM", ["x", "", "state"], ["v"])
      .operator("ABS", ["x"], ["y"]),
  );
  const { operators, model: after } = await written(await spaceOf(made));
  expect(operators).toEqual(["UNIDIRECTIONAL_SEQUENCE_LSTM(x, -, state) -> v", "ABS(x) -> y"]);
  expect(after.subgraphs![0]!.tensors!.find(({ name }) => name === "state")!.isVariable).toBe(true);
});

test("an operator is written after those it depends on", async () => {
  const space = await spaceOf(small());
  const graph = space.graphs[0]!;
  const fresh = addNode(graph, {
    kind: "operator",
    op: "EXP",
    name: "e",
    dtype: "FLOAT32",
    inputs: [nodeOf(graph, "a")],
  });
  setInput(nodeOf(graph, "s"), 0, fresh);
  expect((await written(space)).operators).toEqual(["EXP(a) -> e", "ADD(e, b) -> s", "ABS(s) -> y"]);
});

test("a graph that nothing touched is written as it was read", async () => {
  const made = small([SIGNATURE]);
  const bytes = await serializeModel(made, { dialect: "circle" });
  const before = factsOf(readModel(new MemoryBytes(bytes)).model);
  const after = await written(await spaceOf(made));
  expect({ ...after, model: null }).toEqual({ ...before, model: null });
  // Tensors may be numbered anew; everything that refers to them follows.
  expect(signature(after.model)).toEqual(signature(before.model));
  const rest = (each: Model) => ({ ...each, subgraphs: null, signatureDefs: null });
  expect(rest(after.model)).toEqual(rest(before.model));
});

test("intermediate tensors of an LSTM are still those of before", async () => {
  const made = model(["x"], ["y"], (graph) =>
    graph
      .tensor("first", [1], "INT16")
      .tensor("second", [1], "INT16")
      .tensor("x", [4])
      .tensor("y", [4])
      .operator("UNIDIRECTIONAL_SEQUENCE_LSTM", ["x"], ["y"]),
  );
  made.subgraphs![0]!.operators![0]!.intermediates = Int32Array.of(0, -1, 1);
  const { model: after } = await written(await spaceOf(made));
  const { tensors, operators } = after.subgraphs![0]!;
  const names = Array.from(operators![0]!.intermediates ?? [], (index) => (index < 0 ? null : tensors![index]?.name));
  expect(names).toEqual(["first", null, "second"]);
});

test("exporting does not change the model or the graph; a graph can be exported twice", async () => {
  const space = await quantize(small());
  const before = JSON.stringify(space.opened.model.subgraphs, (_, value) =>
    typeof value === "bigint" ? `${value}` : value,
  );
  const twice = [exportWorkspace(space).model, exportWorkspace(space).model];
  const bytes = await Promise.all(
    twice.map((each) => serializeModel(each, { dialect: "circle", fill: fillConstants })),
  );
  expect(bytes[0]).toEqual(bytes[1]!);
  const after = JSON.stringify(space.opened.model.subgraphs, (_, value) =>
    typeof value === "bigint" ? `${value}` : value,
  );
  expect(after).toBe(before);
});

test.each([
  [{ min: [1] }, { min: 0, max: 0, scale: 0, zeroPoint: 0 }],
  [{ max: [1] }, { min: 0, max: 0, scale: 0, zeroPoint: 0 }],
  [{ scale: [1] }, { min: 0, max: 0, scale: 0, zeroPoint: 0 }],
  [
    { min: [1], max: [2], scale: [1] },
    { min: 1, max: 1, scale: 0, zeroPoint: 0 },
  ],
] as const)("minimum and maximum, scale and zero point are written in pairs (§1.1): %p", async (given, counts) => {
  const space = await spaceOf(small());
  const list = (name: "min" | "max" | "scale") =>
    Float32Array.from((given as Partial<Record<typeof name, readonly number[]>>)[name] ?? []);
  nodeOf(space.graphs[0]!, "s").quant = quantParam({
    ...{ min: list("min"), max: list("max"), scale: list("scale") },
    provenance: { from: "own values" },
  });
  const { min, max, scale, zeroPoint } = (await written(space)).tensors.get("s")!;
  expect({ min: min.length, max: max.length, scale: scale.length, zeroPoint: zeroPoint.length }).toEqual(counts);
});
