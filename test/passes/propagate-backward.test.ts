/** Operators that gather values hand their parameters to their operands (§3.9). */
import { describe, expect, test } from "bun:test";
import { ActivationFunctionType, type Model } from "../../src/model/index.ts";
import { SCHEMES } from "../../src/rules/schemes.ts";
import { type GraphBuilder, model, recorded } from "../helpers/models.ts";
import { byOwnValues, byParameters, f32, fromRange, predefinedOf, scaledOf } from "../operators/oracle.ts";
import { dropIn, refusal, type Setup, written } from "./support.ts";

type Range = [number, number];

/** Tensors with ranges by name; every name that starts with "x" is a graph input. */
function withRanges(ranges: Record<string, Range>, outputs: string[], fill: (graph: GraphBuilder) => void): Model {
  const inputs = Object.keys(ranges).filter((name) => name[0] === "x");
  return model(inputs, outputs, (graph) => {
    for (const [name, [min, max]] of Object.entries(ranges))
      graph.tensor(name, [4], "FLOAT32", recorded(f32(min), f32(max)));
    fill(graph);
  });
}

const A: Range = [-1, 1];
const B: Range = [0, 2.5];
const C: Range = [-4, 3];
const of = ([min, max]: Range, dtype: "UINT8" | "INT16" = "UINT8") => fromRange(dtype, [f32(min), f32(max)]);

async function expectFacts(made: Model, expected: Record<string, object>, setup?: Setup) {
  const { tensors } = await written(await dropIn(made, setup));
  for (const [name, fact] of Object.entries(expected)) expect({ name, ...tensors.get(name) }).toMatchObject(fact);
}

describe("CONCATENATION", () => {
  test("a chain takes the last one's parameters", async () => {
    const made = withRanges({ x0: A, x1: B, x2: A, c1: B, c2: C }, ["c2"], (graph) =>
      graph.operator("CONCATENATION", ["x0", "x1"], ["c1"]).operator("CONCATENATION", ["c1", "x2"], ["c2"]),
    );
    await expectFacts(made, { x0: of(C), x1: of(C), x2: of(C), c1: of(C), c2: of(C) });
  });

  test("through a RESHAPE in front of it", async () => {
    const made = withRanges({ x0: A, x1: B, r: B, c: C }, ["c"], (graph) =>
      graph
        .constant("shape", [1], Int32Array.of(4))
        .operator("RESHAPE", ["x0", "shape"], ["r"])
        .operator("CONCATENATION", ["r", "x1"], ["c"]),
    );
    await expectFacts(made, { x0: of(C), r: of(C), x1: of(C) });
  });

  test("an operand with another user keeps its own", async () => {
    const made = withRanges({ x0: A, x1: B, c: C, other: A }, ["c", "other"], (graph) =>
      graph.operator("CONCATENATION", ["x0", "x1"], ["c"]).operator("ABS", ["x0"], ["other"]),
    );
    await expectFacts(made, { x0: of(A), x1: of(C), c: of(C), other: of(A) });
  });

  test("a user that no output reaches counts", async () => {
    const made = withRanges({ x0: A, x1: B, c: C, dead: A }, ["c"], (graph) =>
      graph.operator("CONCATENATION", ["x0", "x1"], ["c"]).operator("ABS", ["x0"], ["dead"]),
    );
    await expectFacts(made, { x0: of(A), x1: of(C) });
  });

  test("a graph output counts as a user", async () => {
    const made = withRanges({ x0: A, a: B, c: C }, ["a", "c"], (graph) =>
      graph.operator("ABS", ["x0"], ["a"]).operator("CONCATENATION", ["a"], ["c"]),
    );
    await expectFacts(made, { a: of(B), c: of(C) });
  });

  test("one operand twice is one user", async () => {
    const made = withRanges({ x0: A, c: C }, ["c"], (graph) => graph.operator("CONCATENATION", ["x0", "x0"], ["c"]));
    await expectFacts(made, { x0: of(C) });
  });

  test("constants are quantized with its parameters, clipped; each user has a copy of its own", async () => {
    const values = Float32Array.of(-100, 0.013, 2.99, 100);
    const made = withRanges({ x0: A, c: C, d: B, x1: A }, ["c", "d"], (graph) =>
      graph
        .constant("k", [4], values)
        .operator("CONCATENATION", ["x0", "k"], ["c"])
        .operator("CONCATENATION", ["x1", "k"], ["d"]),
    );
    const at = (range: Range) => {
      const { scale, zeroPoint } = scaledOf("UINT8", ...range);
      return byParameters("UINT8", values, scale, zeroPoint);
    };
    await expectFacts(made, { k: at(C), k_1: at(B) });
  });

  test("with a fused activation: constants by their own values, operands keep theirs", async () => {
    const values = Float32Array.of(-100, 0.013, 2.99, 100);
    const { RELU } = ActivationFunctionType;
    const made = withRanges({ x0: A, c: C }, ["c"], (graph) =>
      graph.constant("k", [4], values).operator("CONCATENATION", ["x0", "k"], ["c"], {
        type: "ConcatenationOptions",
        value: { fusedActivationFunction: RELU },
      }),
    );
    await expectFacts(made, { x0: of(A), k: byOwnValues("UINT8", values) });
    await expectFacts(made, { x0: of(A, "INT16"), k: byOwnValues("INT16", values) }, { scheme: SCHEMES.int16 });
  });

  test("a special operand gets its function's parameters back", async () => {
    const made = withRanges({ x0: A, t: B, x1: A, c: C }, ["c"], (graph) =>
      graph.operator("TANH", ["x0"], ["t"]).operator("CONCATENATION", ["t", "x1"], ["c"]),
    );
    await expectFacts(made, { t: predefinedOf("tanh", "UINT8"), x1: of(C), c: of(C) });
  });

  test("results of a SPLIT get their operand's parameters back", async () => {
    const made = withRanges({ x0: A, s0: B, s1: B, c: C }, ["c"], (graph) =>
      graph
        .constant("axis", [], Int32Array.of(0))
        .operator("SPLIT", ["axis", "x0"], ["s0", "s1"])
        .operator("CONCATENATION", ["s0", "s1"], ["c"]),
    );
    await expectFacts(made, { x0: of(A), s0: of(A), s1: of(A), c: of(C) });
  });
});

describe("RESHAPE and TRANSPOSE", () => {
  for (const op of ["RESHAPE", "TRANSPOSE"] as const) {
    test(`${op}: another user of the operand blocks it, and the result follows the operand`, async () => {
      const made = withRanges({ x0: A, r: C, other: B }, ["r", "other"], (graph) =>
        graph
          .constant("shape", [1], Int32Array.of(0))
          .operator(op, ["x0", "shape"], ["r"])
          .operator("ABS", ["x0"], ["other"]),
      );
      await expectFacts(made, { x0: of(A), r: of(A) });
    });

    test(`${op}: a result node of another operator is left alone`, async () => {
      const made = withRanges({ x0: A, s0: B, s1: B, r: C }, ["r", "s1"], (graph) =>
        graph
          .constant("k", [1], Int32Array.of(1))
          .constant("shape", [1], Int32Array.of(0))
          .operator("TOPK_V2", ["x0", "k"], ["s0", "s1"])
          .operator(op, ["s0", "shape"], ["r"]),
      );
      await expectFacts(made, { s0: of(B), r: of(B) });
    });
  }
});

describe("PADV2", () => {
  const LOWEST = -3.4028234663852886e38;
  const padded = (value: Float32Array) =>
    withRanges({ x0: A, p: C }, ["p"], (graph) =>
      graph
        .constant("paddings", [1, 2], Int32Array.of(0, 0))
        .constant("v", [1], value)
        .operator("PADV2", ["x0", "paddings", "v"], ["p"]),
    );

  test("the lowest float stands for minus infinity: the result takes the input's parameters", async () => {
    const made = padded(Float32Array.of(LOWEST));
    await expectFacts(made, { x0: of(A), p: of(A), v: { ...of(A), values: [0] } });
    const [wide, dtype] = [of(A, "INT16"), "INT16" as const];
    await expectFacts(made, { x0: wide, p: wide, v: { ...wide, values: [-32767] } }, { dtype });
  });

  test("any other value is quantized like the result", async () => {
    const value = Float32Array.of(-3);
    const { scale, zeroPoint } = scaledOf("UINT8", ...C);
    await expectFacts(padded(value), { x0: of(C), p: of(C), v: byParameters("UINT8", value, scale, zeroPoint) });
  });

  test("minus infinity with an input without a range is an error that names it", async () => {
    const made = model(["x0"], ["p"], (graph) =>
      graph
        .tensor("x0", [4])
        .tensor("p", [4], "FLOAT32", recorded(-1, 1))
        .constant("paddings", [1, 2], Int32Array.of(0, 0))
        .constant("v", [1], Float32Array.of(LOWEST))
        .operator("PADV2", ["x0", "paddings", "v"], ["p"]),
    );
    expect(await refusal(() => dropIn(made))).toContain('"x0"');
  });
});

test.each(["PACK", "ONE_HOT"] as const)("%s: a constant that is not float is an error that names it", async (op) => {
  const made = withRanges({ x0: A, p: C }, ["p"], (graph) => {
    graph.constant("k", [4], Int32Array.of(1, 2, 3, 4)).constant("n", [1], Int32Array.of(4));
    graph.operator(op, op === "PACK" ? ["x0", "k"] : ["n", "n", "x0", "k"], ["p"]);
  });
  expect(await refusal(() => dropIn(made))).toContain('"k"');
});
