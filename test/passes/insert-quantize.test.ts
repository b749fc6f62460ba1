/** Layers with a dtype of their own get Quantize operators at their borders (§4.1). */
import { expect, test } from "bun:test";
import type { Model } from "../../src/model/index.ts";
import type { LayerSetting } from "../../src/passes/context.ts";
import { SCHEMES } from "../../src/rules/schemes.ts";
import { type GraphBuilder, model, recorded } from "../helpers/models.ts";
import { biasFor, byOwnValues, f32, fromRange, integerScaleOf, predefinedOf, weightsOf } from "../operators/oracle.ts";
import { dropIn, refusal, written } from "./support.ts";

const X: [number, number] = [-1, 1];
const Y: [number, number] = [0, 2.5];
const WIDE: LayerSetting = { scheme: SCHEMES.int16, granularity: "channel" };

/** x and other tensors with ranges: x's is X, all others' Y. */
function built(names: string[], outputs: string[], fill: (graph: GraphBuilder) => void): Model {
  return model(["x"], outputs, (graph) => {
    graph.tensor("x", [1, 4], "FLOAT32", recorded(...X));
    for (const name of names) graph.tensor(name, [1, 4], "FLOAT32", recorded(...Y));
    fill(graph);
  });
}

const run = async (made: Model, ...wide: string[]) =>
  written(await dropIn(made, { layers: Object.fromEntries(wide.map((name) => [name, WIDE])) }));

test("an int16 layer in a uint8 model", async () => {
  const w = Float32Array.of(1, -2, 3, 4, -5, 6, 7, -8);
  const b = Float32Array.of(0.5, -0.25);
  const made = built(["y"], ["y"], (graph) =>
    graph.constant("w", [2, 4], w).constant("b", [2], b).operator("FULLY_CONNECTED", ["x", "w", "b"], ["y"]),
  );
  const { tensors, operators, outputs } = await run(made, "y");
  expect(operators).toEqual([
    "QUANTIZE(x) -> x_Quantize",
    "FULLY_CONNECTED(x_Quantize, w, b) -> y",
    "QUANTIZE(y) -> y_Quantize",
  ]);
  expect(outputs).toEqual(["y_Quantize"]);
  expect(tensors.get("x")).toMatchObject(fromRange("UINT8", X));
  expect(tensors.get("x_Quantize")).toMatchObject(fromRange("INT16", X));
  expect(tensors.get("y")).toMatchObject(fromRange("INT16", Y));
  expect(tensors.get("y_Quantize")).toMatchObject(fromRange("UINT8", Y));
  const weights = weightsOf("INT16", "channel", w, [2, 4], 0);
  expect(tensors.get("w")).toMatchObject(weights);
  expect(tensors.get("b")).toMatchObject(
    biasFor("INT16", "channel", b, fromRange("INT16", X).scale[0]!, weights.scale),
  );
});

test("neighbours of the same dtype have nothing between them", async () => {
  const made = built(["a", "b", "c"], ["c"], (graph) =>
    graph.operator("ABS", ["x"], ["a"]).operator("EXP", ["a"], ["b"]).operator("RELU", ["b"], ["c"]),
  );
  const { operators, tensors } = await run(made, "a", "b");
  expect(operators.toSorted()).toEqual(
    ["QUANTIZE(x) -> x_Quantize", "ABS(x_Quantize) -> a", "EXP(a) -> b", "QUANTIZE(b) -> b_Quantize"]
      .concat("RELU(b_Quantize) -> c")
      .toSorted(),
  );
  for (const name of ["a", "b"]) expect(tensors.get(name)).toMatchObject(fromRange("INT16", Y));
});

test("constants get no Quantize; they are quantized to the layer's dtype", async () => {
  const values = Float32Array.of(1, -2, 3, 4);
  const made = built(["y"], ["y"], (graph) => graph.constant("k", [4], values).operator("ADD", ["x", "k"], ["y"]));
  const { operators, tensors } = await run(made, "y");
  expect(operators).toContain("ADD(x_Quantize, k) -> y");
  expect(tensors.get("k")).toMatchObject(byOwnValues("INT16", values));
});

test("one tensor as both operands shares a Quantize, and the result is quantized back", async () => {
  const made = built(["y", "z"], ["z"], (graph) =>
    graph.operator("MUL", ["x", "x"], ["y"]).operator("ABS", ["y"], ["z"]),
  );
  const { operators, tensors } = await run(made, "y");
  expect(operators.toSorted()).toEqual(
    [
      "QUANTIZE(x) -> x_Quantize",
      "MUL(x_Quantize, x_Quantize) -> y",
      "QUANTIZE(y) -> y_Quantize",
      "ABS(y_Quantize) -> z",
    ].toSorted(),
  );
  expect(tensors.get("z")).toMatchObject(fromRange("UINT8", Y));
});

test("each result of a multi-output operator is quantized back", async () => {
  const made = built(["a", "b"], ["a", "b"], (graph) =>
    graph.constant("axis", [], Int32Array.of(0)).operator("SPLIT", ["axis", "x"], ["a", "b"]),
  );
  // Any of its names stands for the whole operator.
  for (const name of ["a", "b"]) {
    const { operators, outputs, tensors } = await run(made, name);
    expect(operators.toSorted()).toEqual(
      [
        "QUANTIZE(x) -> x_Quantize",
        "SPLIT(axis, x_Quantize) -> a, b",
        "QUANTIZE(a) -> a_Quantize",
        "QUANTIZE(b) -> b_Quantize",
      ].toSorted(),
    );
    expect(outputs).toEqual(["a_Quantize", "b_Quantize"]);
    for (const result of ["a", "b"]) expect(tensors.get(result)).toMatchObject(fromRange("INT16", X));
  }
});

test("behind a special layer the Quantize has the function's parameters in the model's dtype", async () => {
  const made = built(["t", "z"], ["z"], (graph) => graph.operator("TANH", ["x"], ["t"]).operator("ABS", ["t"], ["z"]));
  const { tensors, operators } = await run(made, "t");
  expect(operators).toContain("ABS(t_Quantize) -> z");
  expect(tensors.get("t")).toMatchObject(predefinedOf("tanh", "INT16"));
  expect(tensors.get("t_Quantize")).toMatchObject(predefinedOf("tanh", "UINT8"));
});

test("behind FLOOR the Quantize has an integer scale, too", async () => {
  const range: [number, number] = [f32(-700.3), f32(900.7)];
  const made = model(["x"], ["z"], (graph) =>
    graph
      .tensor("x", [4], "FLOAT32", recorded(...range))
      .tensor("f", [4], "FLOAT32", recorded(...range))
      .tensor("z", [4], "FLOAT32", recorded(...Y))
      .operator("FLOOR", ["x"], ["f"])
      .operator("ABS", ["f"], ["z"]),
  );
  const { tensors } = await run(made, "f");
  expect(tensors.get("f")).toMatchObject(integerScaleOf("INT16", range));
  expect(tensors.get("f_Quantize")).toMatchObject(integerScaleOf("UINT8", range));
});

test("a max-pool behind a special operator is an ordinary activation", async () => {
  const made = built(["t", "p", "z"], ["z"], (graph) =>
    graph.operator("LOGISTIC", ["x"], ["t"]).operator("MAX_POOL_2D", ["t"], ["p"]).operator("ABS", ["p"], ["z"]),
  );
  const { tensors } = await run(made, "p");
  expect(tensors.get("t_Quantize")).toMatchObject(predefinedOf("logistic", "INT16"));
  expect(tensors.get("p")).toMatchObject(fromRange("INT16", Y));
  expect(tensors.get("p_Quantize")).toMatchObject(fromRange("UINT8", Y));
});

test("PADV2: only its input", async () => {
  const made = built(["y"], ["y"], (graph) =>
    graph
      .constant("paddings", [1, 2], Int32Array.of(0, 0))
      .constant("v", [1], Float32Array.of(1))
      .operator("PADV2", ["x", "paddings", "v"], ["y"]),
  );
  const { operators, tensors } = await run(made, "y");
  expect(operators).toContain("PADV2(x_Quantize, paddings, v) -> y");
  expect(tensors.get("v")!.dtype).toBe("INT16");
});

test("the other way round: a uint8 layer in an int16 model", async () => {
  const made = built(["y"], ["y"], (graph) => graph.operator("ABS", ["x"], ["y"]));
  const layers = { y: { dtype: "UINT8", granularity: "channel" } } as const;
  const { tensors } = await written(await dropIn(made, { scheme: SCHEMES.int16, layers }));
  expect(tensors.get("x")).toMatchObject(fromRange("INT16", X));
  expect(tensors.get("x_Quantize")).toMatchObject(fromRange("UINT8", X));
  expect(tensors.get("y")).toMatchObject(fromRange("UINT8", Y));
  expect(tensors.get("y_Quantize")).toMatchObject(fromRange("INT16", Y));
});

test("an operator without a range is not quantized back", async () => {
  const made = model(["x"], ["y"], (graph) =>
    graph
      .tensor("x", [4], "FLOAT32", recorded(...X))
      .tensor("y", [4])
      .operator("ABS", ["x"], ["y"]),
  );
  expect((await run(made, "y")).operators).toEqual(["QUANTIZE(x) -> x_Quantize", "ABS(x_Quantize) -> y"]);
});

test("operators that cannot have a dtype of their own are all named", async () => {
  const made = built(["a", "b", "c"], ["a", "b", "c"], (graph) =>
    graph.operator("CEIL", ["x"], ["a"]).operator("LOG_SOFTMAX", ["x"], ["b"]).operator("COS", ["x"], ["c"]),
  );
  const message = await refusal(() => run(made, "a", "b", "c"));
  for (const name of ['CEIL "a"', 'LOG_SOFTMAX "b"', 'COS "c"']) expect(message).toContain(name);
  expect(await refusal(() => run(made, "x"))).toContain('input "x"');
});
