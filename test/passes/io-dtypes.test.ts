/** dtypes of the graph's inputs and outputs (§4.4 – §4.6). */
import { describe, expect, test } from "bun:test";
import type { Model } from "../../src/model/index.ts";
import { SCHEMES } from "../../src/rules/schemes.ts";
import { type GraphBuilder, model, recorded } from "../helpers/models.ts";
import { f32, fromRange, integerScaleOf, predefinedOf } from "../operators/oracle.ts";
import { dropIn, refusal, type Setup, written } from "./support.ts";

const A: [number, number] = [-1, 1];
const B: [number, number] = [0, 2.5];
const FLOAT = { dtype: "FLOAT32", scale: [], zeroPoint: [] };

/** a → ABS → y, b → EXP → z; n: INT32 input that is an output, too. */
function twoWays(more: (graph: GraphBuilder) => void = () => {}): Model {
  return model(["a", "b"], ["y", "z"], (graph) => {
    graph.tensor("a", [4], "FLOAT32", recorded(...A)).tensor("b", [4], "FLOAT32", recorded(...B));
    graph.tensor("y", [4], "FLOAT32", recorded(...A)).tensor("z", [4], "FLOAT32", recorded(...B));
    graph.operator("ABS", ["a"], ["y"]).operator("EXP", ["b"], ["z"]);
    more(graph);
  });
}

const run = async (made: Model, options: Setup) => written(await dropIn(made, options));

test("by default everything has the model's dtype and nothing is inserted", async () => {
  for (const dtype of ["UINT8", "INT16"] as const) {
    const { tensors, operators } = await run(twoWays(), { dtype });
    expect(operators).toEqual(["ABS(a) -> y", "EXP(b) -> z"]);
    for (const name of ["a", "y"]) expect(tensors.get(name)).toMatchObject(fromRange(dtype, A));
  }
});

test("float inputs and outputs; a float input keeps the parameters", async () => {
  const float = { inputDtypes: ["FLOAT32"], outputDtypes: ["FLOAT32"] } as const;
  const { tensors, operators, inputs, outputs } = await run(twoWays(), float);
  expect(operators.toSorted()).toEqual(
    [
      "QUANTIZE(a) -> a_Quantize",
      "QUANTIZE(b) -> b_Quantize",
      "ABS(a_Quantize) -> y",
      "EXP(b_Quantize) -> z",
      "DEQUANTIZE(y) -> y_Dequantize",
      "DEQUANTIZE(z) -> z_Dequantize",
    ].toSorted(),
  );
  expect(inputs).toEqual(["a", "b"]);
  expect(outputs).toEqual(["y_Dequantize", "z_Dequantize"]);
  expect(tensors.get("a")).toMatchObject({ ...fromRange("UINT8", A), dtype: "FLOAT32" });
  expect(tensors.get("a_Quantize")).toMatchObject(fromRange("UINT8", A));
  expect(tensors.get("y")).toMatchObject(fromRange("UINT8", A));
  expect(tensors.get("y_Dequantize")).toMatchObject(FLOAT);
});

test("uint8 at the borders of an int16 model: own parameters from the same range", async () => {
  const { tensors, operators, outputs } = await run(twoWays(), {
    scheme: SCHEMES.int16,
    inputDtypes: ["UINT8"],
    outputDtypes: ["UINT8"],
  });
  expect(operators).toContain("QUANTIZE(a) -> a_Quantize");
  expect(operators).toContain("QUANTIZE(y) -> y_Quantize");
  expect(outputs).toEqual(["y_Quantize", "z_Quantize"]);
  expect(tensors.get("a")).toMatchObject(fromRange("UINT8", A));
  expect(tensors.get("a_Quantize")).toMatchObject(fromRange("INT16", A));
  expect(tensors.get("y")).toMatchObject(fromRange("INT16", A));
  expect(tensors.get("y_Quantize")).toMatchObject(fromRange("UINT8", A));
});

test("a list gives each its own", async () => {
  const { tensors, operators } = await run(twoWays(), {
    inputDtypes: ["FLOAT32", "UINT8"],
    outputDtypes: ["INT16", "UINT8"],
  });
  expect(operators.toSorted()).toEqual(
    ["QUANTIZE(a) -> a_Quantize", "ABS(a_Quantize) -> y", "EXP(b) -> z", "QUANTIZE(y) -> y_Quantize"].toSorted(),
  );
  expect(tensors.get("a")!.dtype).toBe("FLOAT32");
  expect(tensors.get("b")).toMatchObject(fromRange("UINT8", B));
  expect(tensors.get("y_Quantize")).toMatchObject(fromRange("INT16", A));
});

test("other users of an output's producer keep it", async () => {
  const made = model(["a"], ["y", "z"], (graph) =>
    graph
      .tensor("a", [4], "FLOAT32", recorded(...A))
      .tensor("y", [4], "FLOAT32", recorded(...A))
      .tensor("z", [4], "FLOAT32", recorded(...B))
      .operator("ABS", ["a"], ["y"])
      .operator("EXP", ["y"], ["z"]),
  );
  const { operators, outputs } = await run(made, { outputDtypes: ["FLOAT32", "UINT8"] });
  expect(operators.toSorted()).toEqual(["ABS(a) -> y", "EXP(y) -> z", "DEQUANTIZE(y) -> y_Dequantize"].toSorted());
  expect(outputs).toEqual(["y_Dequantize", "z"]);
});

test("an output of a special kind has that kind's parameters in the other dtype", async () => {
  const made = model(["a"], ["y"], (graph) =>
    graph
      .tensor("a", [4], "FLOAT32", recorded(...A))
      .tensor("y", [4], "FLOAT32", recorded(0.1, 0.9))
      .operator("LOGISTIC", ["a"], ["y"]),
  );
  const { tensors } = await run(made, { outputDtypes: ["INT16"] });
  expect(tensors.get("y")).toMatchObject(predefinedOf("logistic", "UINT8"));
  expect(tensors.get("y_Quantize")).toMatchObject(predefinedOf("logistic", "INT16"));
});

test("an output of FLOOR has an integer scale in the other dtype, too", async () => {
  const range: [number, number] = [f32(-700.3), f32(900.7)];
  const made = model(["a"], ["y"], (graph) =>
    graph
      .tensor("a", [4], "FLOAT32", recorded(...range))
      .tensor("y", [4], "FLOAT32", recorded(...range))
      .operator("FLOOR", ["a"], ["y"]),
  );
  const narrow = await run(made, { scheme: SCHEMES.int16, outputDtypes: ["UINT8"] });
  expect(narrow.tensors.get("y_Quantize")).toMatchObject(integerScaleOf("UINT8", range));
  const wide = await run(made, { outputDtypes: ["INT16"] });
  expect(wide.tensors.get("y_Quantize")).toMatchObject(integerScaleOf("INT16", range));
});

test("an input that is an output, too", async () => {
  const made = model(["a"], ["a", "y"], (graph) =>
    graph
      .tensor("a", [4], "FLOAT32", recorded(...A))
      .tensor("y", [4], "FLOAT32", recorded(...A))
      .operator("ABS", ["a"], ["y"]),
  );
  const { operators, inputs, outputs, tensors } = await run(made, { inputDtypes: ["FLOAT32"] });
  expect(operators.toSorted()).toEqual(["ABS(a_Quantize) -> y", "QUANTIZE(a) -> a_Quantize"].toSorted());
  expect(inputs).toEqual(["a"]);
  expect(outputs).toEqual(["a_Quantize", "y"]);
  expect(tensors.get("a_Quantize")).toMatchObject(fromRange("UINT8", A));
});

test("an unused input only changes its own dtype and parameters", async () => {
  const made = model(["a", "unused"], ["y"], (graph) =>
    graph
      .tensor("a", [4], "FLOAT32", recorded(...A))
      .tensor("unused", [4], "FLOAT32", recorded(...B))
      .tensor("y", [4], "FLOAT32", recorded(...A))
      .operator("ABS", ["a"], ["y"]),
  );
  const { operators, inputs, tensors } = await run(made, { inputDtypes: ["UINT8", "INT16"] });
  expect(operators).toEqual(["ABS(a) -> y"]);
  expect(inputs).toEqual(["a", "unused"]);
  expect(tensors.get("unused")).toMatchObject(fromRange("INT16", B));
  const float = await run(made, { inputDtypes: ["FLOAT32"] });
  expect(float.tensors.get("unused")).toMatchObject({ ...fromRange("UINT8", B), dtype: "FLOAT32" });
});

describe("tensors that are not float", () => {
  const withIndex = () =>
    model(["a", "n"], ["y", "m"], (graph) =>
      graph
        .tensor("a", [4], "FLOAT32", recorded(...A))
        .tensor("n", [1], "INT32")
        .tensor("y", [4], "FLOAT32", recorded(...B))
        .tensor("m", [1], "BOOL")
        .operator("GATHER", ["a", "n"], ["y"])
        .operator("LESS", ["a", "a"], ["m"]),
    );

  test("one dtype for all leaves them alone", async () => {
    const { tensors } = await run(withIndex(), { inputDtypes: ["FLOAT32"], outputDtypes: ["FLOAT32"] });
    expect(tensors.get("n")!.dtype).toBe("INT32");
    expect(tensors.get("m")!.dtype).toBe("BOOL");
    expect(tensors.has("m_Dequantize")).toBe(false);
  });

  test("in a list they must have their own", async () => {
    const options = { inputDtypes: ["UINT8", "INT32"], outputDtypes: ["UINT8", "BOOL"] } as const;
    expect((await run(withIndex(), options)).inputs).toEqual(["a", "n"]);
    const wrong = await refusal(() => run(withIndex(), { inputDtypes: ["UINT8", "UINT8"] }));
    expect(wrong).toMatch(/input "n".*INT32.*UINT8/);
    expect(wrong).not.toContain('"a"');
  });
});

describe("refused", () => {
  test("lists of another length than inputs or outputs", async () => {
    const three = ["UINT8", "UINT8", "UINT8"] as const;
    expect(await refusal(() => run(twoWays(), { inputDtypes: three }))).toMatch(/input.*3.*2/);
    expect(await refusal(() => run(twoWays(), { outputDtypes: three }))).toMatch(/output.*3.*2/);
  });

  test("dtypes that a float tensor cannot become, all of them at once", async () => {
    const message = await refusal(() => run(twoWays(), { outputDtypes: ["INT32", "BOOL"] }));
    expect(message).toMatch(/"y".*INT32/);
    expect(message).toMatch(/"z".*BOOL/);
  });

  test("a float input without a range", async () => {
    const made = model(["a"], ["y"], (graph) =>
      graph
        .tensor("a", [4])
        .tensor("y", [4], "FLOAT32", recorded(...A))
        .operator("ABS", ["a"], ["y"]),
    );
    expect(await refusal(() => run(made, {}))).toContain('input "a"');
  });
});
