/** What a model has quantized already stays as it is, the rest is quantized around it; what lies between float operators stays float. */
import { describe, expect, test } from "bun:test";
import {
  BuiltinOperator,
  type BuiltinOptions,
  type Model,
  nameOf,
  type Tensor,
  TensorType,
} from "../../src/model/index.ts";
import { OPERATORS } from "../../src/rules/operators.ts";
import { GraphBuilder, ModelBuilder, model, quantized, recorded } from "../helpers/models.ts";
import { CASES } from "../operators/cases.ts";
import { modelOf, parse } from "../operators/one-operator.ts";
import { fromRange } from "../operators/oracle.ts";
import { factsOf, quantize, type Setup, verifyAll, written } from "./support.ts";

const X: [number, number] = [-1, 1];
const FULLY: BuiltinOptions = { type: "FullyConnectedOptions", value: {} };
const INT8: Partial<Tensor> = { type: TensorType.INT8, ...quantized(0.05, -3) };

/** ABS ─▶ [QUANTIZE ─▶ FULLY_CONNECTED in int8 ─▶ DEQUANTIZE] ─▶ ABS. */
const oneLayer = () =>
  model(["x"], ["y"], (graph) =>
    graph
      .tensor("x", [1, 2], "FLOAT32", recorded(...X))
      .tensor("a", [1, 2], "FLOAT32", recorded(0, 1))
      .tensor("q", [1, 2], "INT8", INT8)
      .constant("w", [2, 2], Int8Array.of(1, 2, 3, 4), { type: TensorType.INT8, ...quantized(0.01, 0) })
      .constant("b", [2], Int32Array.of(5, 6), quantized(0.0005, 0))
      .tensor("f", [1, 2], "INT8", INT8)
      .tensor("d", [1, 2], "FLOAT32", recorded(-6, 6))
      .tensor("y", [1, 2], "FLOAT32", recorded(0, 6))
      .operator("ABS", ["x"], ["a"])
      .operator("QUANTIZE", ["a"], ["q"])
      .operator("FULLY_CONNECTED", ["q", "w", "b"], ["f"], FULLY)
      .operator("DEQUANTIZE", ["f"], ["d"])
      .operator("ABS", ["d"], ["y"]),
  );

async function run(made: Model, setup?: Setup) {
  const space = await quantize(made, setup);
  const result = await written(space);
  expect(verifyAll(space, true)).toEqual([]);
  const notes = (kind: string) => space.context.notes.filter((note) => note.kind === kind);
  return { ...result, kept: notes("kept"), float: notes("float") };
}

describe("quantized already", () => {
  test("one int8 layer, with borders", async () => {
    const made = oneLayer();
    const before = factsOf(made);
    const { operators, tensors, kept, float } = await run(made);
    expect(operators).toEqual([
      "ABS(x) -> a",
      "DEQUANTIZE(a) -> a_Dequantize",
      "QUANTIZE(a_Dequantize) -> q",
      "FULLY_CONNECTED(q, w, b) -> f",
      "DEQUANTIZE(f) -> d",
      "QUANTIZE(d) -> d_Quantize",
      "ABS(d_Quantize) -> y",
    ]);
    for (const name of ["q", "w", "b", "f"]) expect(tensors.get(name)).toEqual(before.tensors.get(name)!);
    expect(tensors.get("a")).toMatchObject(fromRange("UINT8", [0, 1]));
    expect(tensors.get("d_Quantize")).toMatchObject(fromRange("UINT8", [-6, 6]));
    expect(kept.map(({ code, tensor }) => [code, tensor])).toEqual(
      ["q", "f", "d"].map((name) => ["quantized-already", name]),
    );
    expect(float).toEqual([]);
  });

  test("an int8 input and output beside a float layer", async () => {
    const made = model(["x", "i"], ["y", "z"], (graph) =>
      graph
        .tensor("x", [1, 2], "FLOAT32", recorded(...X))
        .tensor("i", [1, 2], "INT8", INT8)
        .constant("k", [1, 2], Float32Array.of(1, 2))
        .tensor("y", [1, 2], "FLOAT32", recorded(-2, 2))
        .tensor("z", [1, 2], "INT8", INT8)
        .operator("ADD", ["x", "k"], ["y"])
        .operator("ABS", ["i"], ["z"]),
    );
    const { tensors, inputs } = await run(made);
    expect(inputs).toEqual(["x", "i"]);
    expect(tensors.get("i")).toMatchObject({ dtype: "INT8", zeroPoint: [-3] });
    expect(tensors.get("z")).toMatchObject({ dtype: "INT8", zeroPoint: [-3] });
    expect(tensors.get("y")).toMatchObject(fromRange("UINT8", [-2, 2]));
  });

  // Every row of the table that can have a computed float operand.
  for (const dtype of ["INT8", "UINT8", "INT16"] as const) {
    for (const op of Object.keys(OPERATORS)) {
      const parsed = CASES[op] && parse(CASES[op]);
      if (!parsed || ["QUANTIZE", "DEQUANTIZE"].includes(op)) continue;
      const wrapped = inside(modelOf(op, parsed, CASES[op]!.options), dtype);
      if (!wrapped) continue;
      test(`${dtype} ${op} between float operators`, async () => {
        const before = factsOf(wrapped);
        const { operators, tensors } = await run(wrapped);
        for (const [name, fact] of before.tensors)
          if (fact.dtype !== "FLOAT32") expect(tensors.get(name)).toEqual(fact);
        const own = before.operators.find((text) => text.startsWith(`${op === "CUSTOM" ? "CUSTOM:Mine" : op}(`))!;
        expect(operators).toContain(own);
        expect(tensors.get("outer0")).toMatchObject({ dtype: "UINT8", scale: [expect.any(String)] });
      });
    }
  }
});

/** A model of one operator with its floats made integers, between QUANTIZE and DEQUANTIZE and an ABS at both ends; null without a computed float operand. */
function inside(made: Model, dtype: "INT8" | "UINT8" | "INT16"): Model | null {
  const [graph, ...called] = made.subgraphs!;
  if (called.length > 0) return null;
  const builder = new ModelBuilder();
  const next = new GraphBuilder(builder);
  const tensors = graph!.tensors!;
  const names = (list?: Int32Array) => [...(list ?? [])].map((at) => (at < 0 ? "" : tensors[at]!.name!));
  const inputs = names(graph!.inputs);
  const results = names(graph!.outputs);
  const integers = { INT8: Int8Array, UINT8: Uint8Array, INT16: Uint8Array }[dtype];
  const isFloat = (name: string) => tensors.find((tensor) => tensor.name === name)!.type === TensorType.FLOAT32;
  const floats = inputs.filter(isFloat);
  if (floats.length === 0) return null;
  const zeroPoint = dtype === "INT16" ? 0 : 7;
  for (const tensor of tensors) {
    const { name, shape, type, buffer } = tensor;
    const count = [...shape!].reduce((a, b) => a * b, 1);
    const more = { ...tensor, type: TensorType[dtype], ...quantized(0.5, zeroPoint) };
    if (type === TensorType.FLOAT32 && buffer)
      next.constant(name!, [...shape!], new integers(count * (dtype === "INT16" ? 2 : 1)), {
        ...more,
        buffer: builder.buffers.length,
      });
    else if (type === TensorType.FLOAT32) next.tensor(name!, [...shape!], dtype, quantized(0.5, zeroPoint));
    else if (buffer) {
      builder.buffers.push(made.buffers![buffer]!);
      next.tensor(name!, [...shape!], "INT32", { ...tensor, buffer: builder.buffers.length - 1 });
    } else next.tensor(name!, [...shape!], "INT32", tensor);
  }
  for (const name of floats)
    next.tensor(`in_${name}`, [4], "FLOAT32", recorded(...X)).operator("QUANTIZE", [`in_${name}`], [name]);
  const [operator] = graph!.operators!;
  const code = made.operatorCodes![operator!.opcodeIndex ?? 0]!;
  next.operator(
    nameOf(BuiltinOperator, code.builtinCode!) as keyof typeof BuiltinOperator,
    names(operator!.inputs),
    results,
    operator!.builtinOptions,
    code.customCode,
  );
  const outputs = results.map((name, index) => {
    if (!isFloat(name)) return name;
    next
      .tensor(`float${index}`, [4], "FLOAT32", recorded(-2, 2))
      .tensor(`abs${index}`, [4], "FLOAT32", recorded(0, 2))
      .operator("DEQUANTIZE", [name], [`float${index}`])
      .operator("ABS", [`float${index}`], [`abs${index}`]);
    return `abs${index}`;
  });
  next
    .tensor("outer", [4], "FLOAT32", recorded(...X))
    .tensor("outer0", [4], "FLOAT32", recorded(...X))
    .operator("ABS", ["outer"], ["outer0"]);
  return builder.model(
    next.graph(
      [...floats.map((name) => `in_${name}`), ...inputs.filter((name) => !isFloat(name)), "outer"],
      [...outputs, "outer0"],
    ),
  );
}

describe("between float operators", () => {
  const floats = (names: string[], graph: GraphBuilder) => {
    for (const name of names) graph.tensor(name, [4], "FLOAT32", recorded(...X));
    return graph;
  };
  const built = (fill: (graph: GraphBuilder) => void, outputs = ["z"], names = ["x", "a", "b", "c", "d", "z"]) =>
    model(["x"], outputs, (graph) => fill(floats(names, graph)));
  const K = Float32Array.of(1, 2, 3, 4);

  test("a chain, and no border in it", async () => {
    const { operators, float } = await run(
      built((graph) =>
        graph
          .constant("k", [4], K)
          .operator("COS", ["x"], ["a"])
          .operator("DIV", ["a", "k"], ["b"])
          .operator("NEG", ["b"], ["c"])
          .operator("SIN", ["c"], ["d"])
          .operator("ABS", ["d"], ["z"]),
      ),
    );
    expect(operators).toEqual([
      "DEQUANTIZE(x) -> x_Dequantize",
      "COS(x_Dequantize) -> a",
      "DIV(a, k) -> b",
      "NEG(b) -> c",
      "SIN(c) -> d",
      "QUANTIZE(d) -> d_Quantize",
      "ABS(d_Quantize) -> z",
    ]);
    expect(float.map(({ tensor, code }) => [tensor, code])).toEqual([
      ["a", "no-rule"],
      ["d", "no-rule"],
      ["b", "between-float-operators"],
      ["c", "between-float-operators"],
    ]);
  });

  const between = async (made: Model, setup?: Setup) =>
    (await run(made, setup)).float.filter(({ code }) => code === "between-float-operators").map(({ tensor }) => tensor);

  test("not where something quantized goes in or out, however far away", async () => {
    const chain = (last: string, alsoRead: string) =>
      built(
        (graph) =>
          graph
            .operator("COS", ["x"], ["a"])
            .operator("ADD", ["a", last], ["b"])
            .operator("NEG", ["b"], ["c"])
            .operator("SIN", ["c"], ["d"])
            .operator("ABS", [alsoRead], ["z"]),
        ["z", "d"],
      );
    expect(await between(chain("a", "d"))).toEqual(["b", "c"]);
    expect(await between(chain("x", "d"))).toEqual([]);
    expect(await between(chain("a", "c"))).toEqual([]);
  });

  test("a layer with weights, or one that was asked for, is quantized", async () => {
    const dense = model(["x"], ["z"], (graph) =>
      floats(["x", "a", "b", "z"], graph)
        .constant("w", [4, 4], new Float32Array(16).fill(0.5))
        .constant("bias", [4], K)
        .operator("COS", ["x"], ["a"])
        .operator("FULLY_CONNECTED", ["a", "w", "bias"], ["b"], FULLY)
        .operator("SIN", ["b"], ["z"]),
    );
    expect(await between(dense)).toEqual([]);
    const asked = built((graph) =>
      graph.operator("COS", ["x"], ["a"]).operator("NEG", ["a"], ["b"]).operator("SIN", ["b"], ["z"]),
    );
    expect(await between(asked)).toEqual(["b"]);
    expect(await between(asked, { layers: { b: { dtype: "INT16", granularity: "channel" } } })).toEqual([]);
  });

  test("results of several outputs, integers and booleans", async () => {
    const made = model(["x"], ["z", "s", "n"], (graph) =>
      floats(["x", "a", "p", "q", "z", "s"], graph)
        .tensor("n", [4], "BOOL")
        .constant("axis", [], Int32Array.of(0))
        .constant("k", [4], K)
        .operator("COS", ["x"], ["a"])
        .operator("SPLIT", ["axis", "a"], ["p", "q"], { type: "SplitOptions", value: { numSplits: 2 } })
        .operator("LESS", ["a", "k"], ["n"])
        .operator("SIN", ["p"], ["z"])
        .operator("SIN", ["q"], ["s"]),
    );
    expect(await between(made)).toEqual(["p", "n"]);
  });

  test("inputs and outputs are no float neighbours, whatever dtype they get", async () => {
    const ends = built((graph) =>
      graph.operator("NEG", ["x"], ["a"]).operator("SIN", ["a"], ["b"]).operator("ABS", ["b"], ["z"]),
    );
    expect(await between(ends)).toEqual([]);
    expect(await between(ends, { inputDtypes: ["FLOAT32"], outputDtypes: ["FLOAT32"] })).toEqual([]);
  });

  test("a float32 input is read as it is by float operators, quantized by the others", async () => {
    const made = built((graph) => graph.operator("SIN", ["x"], ["a"]).operator("ABS", ["x"], ["z"]), ["a", "z"]);
    const { operators } = await run(made, { inputDtypes: ["FLOAT32"] });
    expect(operators.toSorted()).toEqual(
      ["SIN(x) -> a", "QUANTIZE(a) -> a_Quantize", "QUANTIZE(x) -> x_Quantize", "ABS(x_Quantize) -> z"].toSorted(),
    );
  });
});
