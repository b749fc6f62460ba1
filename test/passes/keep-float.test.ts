/** What cannot be quantized stays float, with Dequantize and Quantize at its borders. */
import { describe, expect, test } from "bun:test";
import type { Model } from "../../src/model/index.ts";
import { type GraphBuilder, model, recorded } from "../helpers/models.ts";
import { fromRange } from "../operators/oracle.ts";
import { quantize, refusal, type Setup, verifyAll, type Written, written } from "./support.ts";

const X: [number, number] = [-1, 1];
const Y: [number, number] = [0, 2.5];
const PLAIN = { dtype: "FLOAT32", scale: [], zeroPoint: [], min: [], max: [] };

/** x and other tensors with ranges: x's is X, all others' Y. */
function built(names: string[], outputs: string[], fill: (graph: GraphBuilder) => void): Model {
  return model(["x"], outputs, (graph) => {
    graph.tensor("x", [4], "FLOAT32", recorded(...X));
    for (const name of names) graph.tensor(name, [4], "FLOAT32", recorded(...Y));
    fill(graph);
  });
}

/** Quantized, written and verified; what was told as staying float. */
async function run(made: Model, setup?: Setup): Promise<Written & { float: string[] }> {
  const space = await quantize(made, setup);
  const result = await written(space);
  expect(verifyAll(space, true)).toEqual([]);
  const float = space.context.notes.filter(({ kind }) => kind === "float").map(({ text }) => text);
  return { ...result, float };
}

const sorted = (...operators: string[]) => operators.toSorted();

describe("borders", () => {
  test("a custom operator in the middle", async () => {
    const made = built(["a", "c", "z"], ["z"], (graph) =>
      graph
        .operator("ABS", ["x"], ["a"])
        .operator("CUSTOM", ["a"], ["c"], undefined, "Mine")
        .operator("EXP", ["c"], ["z"]),
    );
    const { operators, tensors, float } = await run(made);
    expect(operators).toEqual([
      "ABS(x) -> a",
      "DEQUANTIZE(a) -> a_Dequantize",
      "CUSTOM:Mine(a_Dequantize) -> c",
      "QUANTIZE(c) -> c_Quantize",
      "EXP(c_Quantize) -> z",
    ]);
    expect(tensors.get("a")).toMatchObject(fromRange("UINT8", Y));
    expect(tensors.get("a_Dequantize")).toMatchObject(PLAIN);
    expect(tensors.get("c")).toMatchObject(PLAIN);
    expect(tensors.get("c_Quantize")).toMatchObject(fromRange("UINT8", Y));
    expect(float).toEqual([expect.stringContaining('CUSTOM:Mine "c"')]);
  });

  test("float operators in a row have none between them", async () => {
    const made = built(["c", "d", "z"], ["z"], (graph) =>
      graph
        .operator("CUSTOM", ["x"], ["c"], undefined, "Mine")
        .operator("COS", ["c"], ["d"])
        .operator("EXP", ["d"], ["z"]),
    );
    expect((await run(made)).operators).toEqual([
      "DEQUANTIZE(x) -> x_Dequantize",
      "CUSTOM:Mine(x_Dequantize) -> c",
      "COS(c) -> d",
      "QUANTIZE(d) -> d_Quantize",
      "EXP(d_Quantize) -> z",
    ]);
  });

  test("several float readers share one Dequantize, quantized readers one Quantize", async () => {
    const made = built(["c", "d", "e", "f"], ["d", "e", "f"], (graph) =>
      graph
        .operator("COS", ["x"], ["c"])
        .operator("SIN", ["x"], ["d"])
        .operator("ABS", ["c"], ["e"])
        .operator("ADD", ["c", "x"], ["f"]),
    );
    expect((await run(made)).operators.toSorted()).toEqual(
      sorted(
        "DEQUANTIZE(x) -> x_Dequantize",
        "COS(x_Dequantize) -> c",
        "SIN(x_Dequantize) -> d",
        "QUANTIZE(c) -> c_Quantize",
        "QUANTIZE(d) -> d_Quantize",
        "ABS(c_Quantize) -> e",
        "ADD(c_Quantize, x) -> f",
      ),
    );
  });

  test("a reader with both operands from one float operator", async () => {
    const made = built(["c", "z"], ["z"], (graph) =>
      graph.operator("COS", ["x"], ["c"]).operator("MUL", ["c", "c"], ["z"]),
    );
    expect((await run(made)).operators).toContain("MUL(c_Quantize, c_Quantize) -> z");
  });

  test("results of a multi-output operator, each by its own", async () => {
    const made = model(["x"], ["y", "n"], (graph) =>
      graph
        .tensor("x", [4], "FLOAT32", recorded(...X))
        .tensor("a", [4], "FLOAT32", recorded(...Y))
        .tensor("unused", [4], "FLOAT32", recorded(...Y))
        .tensor("n", [1], "INT32")
        .tensor("y", [4], "FLOAT32", recorded(...X))
        .operator("CUSTOM", ["x"], ["a", "unused", "n"], undefined, "Mine")
        .operator("ABS", ["a"], ["y"]),
    );
    const { operators, tensors, outputs } = await run(made);
    expect(operators).toEqual([
      "DEQUANTIZE(x) -> x_Dequantize",
      "CUSTOM:Mine(x_Dequantize) -> a, unused, n",
      "QUANTIZE(a) -> a_Quantize",
      "ABS(a_Quantize) -> y",
    ]);
    expect(outputs).toEqual(["y", "n"]);
    expect(tensors.get("unused")).toMatchObject(PLAIN);
    expect(tensors.get("n")!.dtype).toBe("INT32");
  });

  test("optional operands that are absent, and constants, stay as they are", async () => {
    const made = built(["c"], ["c"], (graph) =>
      graph
        .constant("k", [4], Float32Array.of(1, 2, 3, 4))
        .operator("CUSTOM", ["x", "", "k"], ["c"], undefined, "Mine"),
    );
    const { operators, tensors } = await run(made);
    expect(operators).toContain("CUSTOM:Mine(x_Dequantize, -, k) -> c");
    expect(tensors.get("k")).toMatchObject({ ...PLAIN, values: [1, 2, 3, 4] });
  });
});

describe("outputs", () => {
  const custom = () => built(["c"], ["c"], (graph) => graph.operator("CUSTOM", ["x"], ["c"], undefined, "Mine"));

  test("float32 is asked for: the float result itself", async () => {
    const { operators, outputs, tensors } = await run(custom(), { outputDtypes: ["FLOAT32"] });
    expect(operators).toEqual(["DEQUANTIZE(x) -> x_Dequantize", "CUSTOM:Mine(x_Dequantize) -> c"]);
    expect(outputs).toEqual(["c"]);
    expect(tensors.get("c")).toMatchObject(PLAIN);
  });

  test("uint8 or nothing is asked for: a Quantize", async () => {
    for (const setup of [{}, { outputDtypes: ["UINT8"] as const }]) {
      const { outputs, tensors } = await run(custom(), setup);
      expect(outputs).toEqual(["c_Quantize"]);
      expect(tensors.get("c_Quantize")).toMatchObject(fromRange("UINT8", Y));
    }
  });

  test("int16 of a uint8 model: one Quantize, straight to it", async () => {
    const { operators, tensors, outputs } = await run(custom(), { outputDtypes: ["INT16"] });
    expect(operators.filter((text) => text.startsWith("QUANTIZE")).length).toBe(1);
    expect(tensors.get(outputs[0]!)).toMatchObject(fromRange("INT16", Y));
  });

  test("two outputs of one float result, one of them float", async () => {
    const made = built(["c"], ["c", "c"], (graph) => graph.operator("COS", ["x"], ["c"]));
    const { outputs } = await run(made, { outputDtypes: ["FLOAT32", "UINT8"] });
    expect(outputs).toEqual(["c", "c_Quantize"]);
  });

  test("a constant output stays as it is", async () => {
    const made = built(["y"], ["y", "k"], (graph) =>
      graph.constant("k", [2], Float32Array.of(1, 2)).operator("ABS", ["x"], ["y"]),
    );
    const { outputs, tensors, float } = await run(made);
    expect(outputs).toEqual(["y", "k"]);
    expect(tensors.get("k")).toMatchObject({ ...PLAIN, values: [1, 2] });
    expect(float).toEqual([expect.stringContaining('"k"')]);
  });
});

describe("why an operator stays float", () => {
  const W = new Float32Array(8).fill(0.5);

  test("weights that are computed", async () => {
    const made = built(["w", "y"], ["y"], (graph) =>
      graph
        .constant("b", [4], new Float32Array(4))
        .operator("ABS", ["x"], ["w"])
        .operator("FULLY_CONNECTED", ["x", "w", "b"], ["y"]),
    );
    const { operators, float, tensors } = await run(made);
    expect(operators).toContain("FULLY_CONNECTED(x_Dequantize, w_Dequantize, b) -> y");
    expect(tensors.get("b")).toMatchObject(PLAIN);
    expect(float).toEqual([expect.stringMatching(/FULLY_CONNECTED "y".*"w"/)]);
  });

  test("alpha with several dimensions above 1, per channel only", async () => {
    const made = built(["y"], ["y"], (graph) =>
      graph.constant("alpha", [2, 4], W).operator("PRELU", ["x", "alpha"], ["y"]),
    );
    expect((await run(made)).operators).toContain("PRELU(x_Dequantize, alpha) -> y");
    expect((await run(made, { granularity: "layer" })).operators).toEqual(["PRELU(x, alpha) -> y"]);
  });

  test("a bias with several dimensions above 1, per channel only", async () => {
    const made = built(["y"], ["y"], (graph) =>
      graph
        .constant("w", [4, 2], W)
        .constant("b", [2, 2], new Float32Array(4))
        .operator("FULLY_CONNECTED", ["x", "w", "b"], ["y"]),
    );
    expect((await run(made)).operators).toContain("FULLY_CONNECTED(x_Dequantize, w, b) -> y");
  });

  test("float16 in between", async () => {
    const made = model(["x"], ["y"], (graph) =>
      graph
        .tensor("x", [4], "FLOAT32", recorded(...X))
        .tensor("h", [4], "FLOAT16")
        .tensor("z", [4], "FLOAT32", recorded(...Y))
        .tensor("y", [4], "FLOAT32", recorded(...Y))
        .operator("CAST", ["x"], ["h"], { type: "CastOptions", value: { inDataType: 0, outDataType: 1 } })
        .operator("CAST", ["h"], ["z"], { type: "CastOptions", value: { inDataType: 1, outDataType: 0 } })
        .operator("ABS", ["z"], ["y"]),
    );
    expect((await run(made)).operators).toEqual([
      "DEQUANTIZE(x) -> x_Dequantize",
      "CAST(x_Dequantize) -> h",
      "CAST(h) -> z",
      "QUANTIZE(z) -> z_Quantize",
      "ABS(z_Quantize) -> y",
    ]);
  });
});

describe("integers among floats", () => {
  test("shapes computed from shapes: nothing to quantize, and it verifies", async () => {
    const made = model(["x"], ["r"], (graph) =>
      graph
        .tensor("x", [1, 4], "FLOAT32", recorded(...X))
        .tensor("s", [2], "INT32")
        .tensor("d", [], "INT32")
        .tensor("p", [2], "INT32")
        .tensor("r", [4, 1], "FLOAT32", recorded(...X))
        .constant("begin", [1], Int32Array.of(0))
        .constant("end", [1], Int32Array.of(1))
        .constant("step", [1], Int32Array.of(1))
        .constant("one", [], Int32Array.of(1))
        .operator("SHAPE", ["x"], ["s"], { type: "ShapeOptions", value: { outType: 2 } })
        .operator("STRIDED_SLICE", ["s", "begin", "end", "step"], ["d"])
        .operator("PACK", ["d", "one"], ["p"])
        .operator("RESHAPE", ["x", "p"], ["r"]),
    );
    const { operators, tensors, float } = await run(made);
    expect(operators.toSorted()).toEqual(
      sorted("SHAPE(x) -> s", "STRIDED_SLICE(s, begin, end, step) -> d", "PACK(d, one) -> p", "RESHAPE(x, p) -> r"),
    );
    for (const name of ["s", "d", "p"]) expect(tensors.get(name)).toMatchObject({ dtype: "INT32", scale: [] });
    expect(tensors.get("r")).toMatchObject(fromRange("UINT8", X));
    expect(float).toEqual([]);
  });

  test.each(["TRANSPOSE", "SLICE", "REDUCE_MAX", "RELU", "SPLIT", "CONCATENATION"] as const)(
    "%s of integers verifies",
    async (op) => {
      const made = model(["x", "n"], ["y", "m"], (graph) =>
        graph
          .tensor("x", [4], "FLOAT32", recorded(...X))
          .tensor("y", [4], "FLOAT32", recorded(...Y))
          .tensor("n", [4], "INT32")
          .tensor("m", [4], "INT32")
          .constant("i", [1], Int32Array.of(0))
          .operator("ABS", ["x"], ["y"])
          .operator(
            op,
            {
              TRANSPOSE: ["n", "i"],
              SLICE: ["n", "i", "i"],
              REDUCE_MAX: ["n", "i"],
              RELU: ["n"],
              SPLIT: ["i", "n"],
              CONCATENATION: ["n", "i"],
            }[op],
            ["m"],
          ),
      );
      expect((await run(made)).tensors.get("m")).toMatchObject({ dtype: "INT32", scale: [] });
    },
  );

  test("shape and rank of a float constant", async () => {
    const made = built(["y"], ["y", "s"], (graph) =>
      graph
        .tensor("s", [1], "INT32")
        .constant("k", [2], Float32Array.of(1, 2))
        .operator("ABS", ["x"], ["y"])
        .operator("SHAPE", ["k"], ["s"], { type: "ShapeOptions", value: { outType: 2 } }),
    );
    const { operators, tensors } = await run(made);
    expect(operators.toSorted()).toEqual(sorted("ABS(x) -> y", "SHAPE(k) -> s"));
    expect(tensors.get("s")!.dtype).toBe("INT32");
  });
});

describe("state", () => {
  test("a float variable is assigned floats", async () => {
    const made = model(["x"], ["y"], (graph) =>
      graph
        .tensor("x", [4], "FLOAT32", recorded(...X))
        .tensor("h", [], "RESOURCE")
        .tensor("v", [4], "FLOAT32", recorded(...Y))
        .tensor("y", [4], "FLOAT32", recorded(...Y))
        .operator("VAR_HANDLE", [], ["h"])
        .operator("READ_VARIABLE", ["h"], ["v"])
        .operator("ADD", ["x", "v"], ["y"])
        .operator("ASSIGN_VARIABLE", ["h", "y"], []),
    );
    const { operators, tensors } = await run(made);
    const assign = operators.find((text) => text.startsWith("ASSIGN_VARIABLE"))!;
    const value = assign.match(/\(h, (.*)\)/)![1]!;
    expect(tensors.get(value)).toMatchObject(PLAIN);
  });

  test("what only a variable is assigned is quantized or kept float as a whole", async () => {
    const made = model(["x"], ["z"], (graph) =>
      graph
        .tensor("x", [4], "FLOAT32", recorded(...X))
        .tensor("h", [], "RESOURCE")
        .tensor("y", [4], "FLOAT32", recorded(...Y))
        .tensor("z", [4], "FLOAT32", recorded(...Y))
        .constant("k", [4], Float32Array.of(1, 2, 3, 4))
        .operator("VAR_HANDLE", [], ["h"])
        .operator("ADD", ["x", "k"], ["y"])
        .operator("ASSIGN_VARIABLE", ["h", "y"], [])
        .operator("ABS", ["x"], ["z"]),
    );
    const { operators, tensors } = await run(made);
    const add = operators.find((text) => text.startsWith("ADD"))!.match(/\((.*), (.*)\) -> (.*)/)!;
    const dtypes = new Set(add.slice(1).map((name) => tensors.get(name)!.dtype));
    expect(dtypes.size).toBe(1);
  });

  test("state tensors of an LSTM need no range", async () => {
    const made = built(["v", "y"], ["y"], (graph) =>
      graph
        .tensor("state", [4], "FLOAT32", { isVariable: true })
        .operator("UNIDIRECTIONAL_SEQUENCE_LSTM", ["x", "state"], ["v"])
        .operator("ABS", ["v"], ["y"]),
    );
    const { operators, tensors } = await run(made);
    expect(operators).toContain("UNIDIRECTIONAL_SEQUENCE_LSTM(x_Dequantize, state) -> v");
    expect(tensors.get("state")).toMatchObject(PLAIN);
  });
});

test("a constant that a float operator reads stays float, whoever else reads it", async () => {
  const made = built(["y", "z"], ["y", "z"], (graph) =>
    graph
      .constant("k", [1, 4], Float32Array.of(1, 2, 3, 4))
      .constant("w", [2, 4], new Float32Array(8).fill(0.5))
      .constant("b", [2], Float32Array.of(1, 2))
      .operator("FULLY_CONNECTED", ["k", "w", "b"], ["y"])
      .operator("CUSTOM", ["x", "k"], ["z"], undefined, "Mine"),
  );
  const { operators, tensors } = await run(made);
  const read = operators.find((text) => text.startsWith("CUSTOM"))!.match(/, (.*)\)/)![1]!;
  expect(tensors.get(read)).toMatchObject({ ...PLAIN, values: [1, 2, 3, 4] });
});

test("a missing range is named by the tensor", async () => {
  const made = model(["x"], ["y"], (graph) =>
    graph
      .tensor("x", [4], "FLOAT32", recorded(...X))
      .tensor("c", [4])
      .tensor("d", [4])
      .tensor("y", [4], "FLOAT32", recorded(...Y))
      .operator("CUSTOM", ["x"], ["c", "d"], undefined, "Mine")
      .operator("ADD", ["c", "d"], ["y"]),
  );
  const message = await refusal(() => quantize(made));
  expect(message).toContain('"c"');
  expect(message).toContain('"d"');
  expect(message).not.toContain('"c_Quantize"');
});
