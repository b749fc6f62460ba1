/** Steps that make another model of the same function: what the graph is afterwards, and that it computes the same numbers. */

import { describe, expect, test } from "bun:test";
import type { ActivationFunctionType, BuiltinOptions, Model } from "../../src/model/index.ts";
import { operatorTexts } from "../../src/model/index.ts";
import { PREPARE_NAMES } from "../../src/passes/prepare/index.ts";
import { model, recorded } from "../helpers/models.ts";
import { bytesOf, difference, numbers, only, opened, type Prepared, prepared, run } from "./support.ts";

const X = [1, 4, 4, 3];

/** Runs one step on request and nothing else; the numbers have to be the same but for rounding. */
async function rewritten(of: Model, step: string): Promise<Prepared & { operators: string[] }> {
  const made = await prepared(await opened(of), only(), undefined, [step]);
  const [before, after] = [await run(made.before), await run(made.after)];
  // What is between is new.
  const known = new Map([...after].filter(([name]) => before.has(name)));
  expect([...known.keys()]).toEqual(["y"]);
  expect(difference(before, known)).toBeLessThan(1e-6);
  return { ...made, operators: operatorTexts(made.after) };
}

const rangeOf = ({ space }: Prepared, name: string) => {
  const { quant } = space.graphs[0]!.nodes.find((node) => node.name === name && node.kind === "operator")!;
  return quant && [quant.min[0], quant.max[0]];
};

test("none of them runs unasked", async () => {
  const of = model(["x"], ["y"], (graph) => graph.tensor("x", X).tensor("y", X).operator("RELU6", ["x"], ["y"]));
  expect(operatorTexts((await prepared(await opened(of))).after)).toEqual(["RELU6(x) -> y"]);
});

for (const op of ["RELU", "RELU6", "RELU_N1_TO_1"] as const) {
  test(`relu-to-mul: ${op} is carried by a multiplication by 1, in the same tensor with its range`, async () => {
    const of = model(["x"], ["y"], (graph) =>
      graph.tensor("x", X).tensor("y", X, "FLOAT32", recorded(0, 3)).operator(op, ["x"], ["y"]),
    );
    const made = await rewritten(of, "relu-to-mul");
    expect(made.operators).toEqual([`MUL(x, y_one) ${op} -> y`]);
    expect(made.said).toEqual([`rewrote 1 ${op} into MUL`]);
    expect(rangeOf(made, "y")).toEqual([0, 3]);
  });
}

describe("decompose-prelu", () => {
  const prelu = (alpha: Float32Array, range = true) =>
    model(["x"], ["y"], (graph) =>
      graph
        .tensor("x", X, "FLOAT32", range ? recorded(-2, 3) : {})
        .constant("alpha", [1, 1, 3], alpha)
        .tensor("y", X, "FLOAT32", range ? recorded(-1, 3) : {})
        .operator("PRELU", ["x", "alpha"], ["y"]),
    );

  test("slopes of both signs, with ranges of what is between", async () => {
    const made = await rewritten(prelu(Float32Array.of(-0.5, 0.25, 2)), "decompose-prelu");
    expect(made.operators).toEqual([
      "MUL(x, y_one) RELU -> y_above",
      "MUL(x, y_minus_one) RELU -> y_below",
      "MUL(y_below, alpha) -> y_sloped",
      "SUB(y_above, y_sloped) -> y",
    ]);
    expect(rangeOf(made, "y_above")).toEqual([0, 3]);
    expect(rangeOf(made, "y_below")).toEqual([0, 2]);
    expect(rangeOf(made, "y_sloped")).toEqual([-1, 4]);
    expect(rangeOf(made, "y")).toEqual([-1, 3]);
  });

  test("without recorded ranges there are none", async () => {
    const made = await rewritten(prelu(numbers(3), false), "decompose-prelu");
    for (const name of ["y_above", "y_below", "y_sloped", "y"]) expect(rangeOf(made, name)).toBe(null);
  });

  test("slopes that are computed", async () => {
    const of = model(["x", "alpha"], ["y"], (graph) =>
      graph
        .tensor("x", X, "FLOAT32", recorded(-2, 3))
        .tensor("alpha", X, "FLOAT32", recorded(-1, 0.5))
        .tensor("y", X, "FLOAT32", recorded(-1, 3))
        .operator("PRELU", ["x", "alpha"], ["y"]),
    );
    expect(rangeOf(await rewritten(of, "decompose-prelu"), "y_sloped")).toEqual([-2, 1]);
  });
});

test("decompose-hard-swish: the same numbers, with ranges of what is between", async () => {
  const of = model(["x"], ["y"], (graph) =>
    graph
      .tensor("x", X, "FLOAT32", recorded(-2, 5))
      .tensor("y", X, "FLOAT32", recorded(-0.375, 5))
      .operator("HARD_SWISH", ["x"], ["y"]),
  );
  const made = await rewritten(of, "decompose-hard-swish");
  expect(made.operators).toEqual([
    "ADD(x, y_three) RELU6 -> y_shifted",
    "MUL(y_shifted, y_sixth) -> y_gate",
    "MUL(x, y_gate) -> y",
  ]);
  expect(rangeOf(made, "y_shifted")).toEqual([1, 6]);
  expect(rangeOf(made, "y_gate")).toEqual([Math.fround(1 / 6), 1]);
  expect(rangeOf(made, "y")).toEqual([-0.375, 5]);
});

describe("global-pool-to-mean", () => {
  const pool = (filter: number, fused: ActivationFunctionType = 0, out = 1): Model => {
    const options: BuiltinOptions = {
      type: "Pool2DOptions",
      value: {
        padding: 1,
        strideW: 1,
        strideH: 1,
        filterWidth: filter,
        filterHeight: filter,
        fusedActivationFunction: fused,
      },
    };
    return model(["x"], ["y"], (graph) =>
      graph.tensor("x", X).tensor("y", [1, out, out, 3]).operator("AVERAGE_POOL_2D", ["x"], ["y"], options),
    );
  };

  test("a window as large as the picture", async () => {
    const { operators, after } = await rewritten(pool(4), "global-pool-to-mean");
    expect(operators).toEqual(["MEAN(x, y_axes) -> y"]);
    expect([...new Int32Array((await bytesOf(after, "y_axes")).buffer)]).toEqual([1, 2]);
  });

  test("a smaller window, or a fused activation, stays", async () => {
    expect((await rewritten(pool(2, 0, 3), "global-pool-to-mean")).operators).toEqual(["AVERAGE_POOL_2D(x) -> y"]);
    expect((await rewritten(pool(4, 1), "global-pool-to-mean")).operators).toEqual(["AVERAGE_POOL_2D(x) RELU -> y"]);
  });
});

describe("reshape-shape", () => {
  const reshape = (newShape: number[] | null, signature?: number[]) =>
    model(["x"], ["y"], (graph) =>
      graph
        .tensor("x", X)
        .tensor("y", [1, 48], "FLOAT32", signature ? { shapeSignature: Int32Array.from(signature) } : {})
        .operator(
          "RESHAPE",
          ["x"],
          ["y"],
          newShape ? { type: "ReshapeOptions", value: { newShape: Int32Array.from(newShape) } } : undefined,
        ),
    );
  const shapeOf = async (of: Model) => {
    const { after } = await prepared(await opened(of), only(), undefined, ["reshape-shape"]);
    expect(operatorTexts(after)).toEqual(["RESHAPE(x, y_shape) -> y"]);
    return [...new Int32Array((await bytesOf(after, "y_shape")).buffer)];
  };

  test("as the options say", async () => {
    await rewritten(reshape([1, -1]), "reshape-shape");
    expect(await shapeOf(reshape([1, -1]))).toEqual([1, -1]);
  });
  test("without options, as the result says", async () => expect(await shapeOf(reshape(null))).toEqual([1, 48]));
  test("with an unknown dimension", async () => expect(await shapeOf(reshape(null, [-1, 48]))).toEqual([-1, 48]));
  test("not where it cannot be said", async () => {
    const made = await prepared(await opened(reshape(null, [-1, -1])), only(), undefined, ["reshape-shape"]);
    expect(operatorTexts(made.after)).toEqual(["RESHAPE(x) -> y"]);
  });
});

test("static-shapes: unknown dimensions become those of the shapes, with a warning for each input", async () => {
  const shapeSignature = Int32Array.of(-1, 4, 4, 3);
  const of = model(["x"], ["y"], (graph) =>
    graph
      .tensor("x", X, "FLOAT32", { shapeSignature })
      .tensor("y", X, "FLOAT32", { shapeSignature })
      .operator("ABS", ["x"], ["y"]),
  );
  const { after, said, space } = await rewritten(of, "static-shapes");
  expect(after.subgraphs![0]!.tensors!.map((tensor) => tensor.shapeSignature)).toEqual([undefined, undefined]);
  expect(said).toEqual(["fixed unknown dimensions of 1 input, 1 ABS"]);
  expect(space.context.notes.map(({ code, tensor }) => `${code} ${tensor}`)).toEqual(["fixed-shape x"]);
});

test("each has a name that --no-prepare takes", () => {
  const names = [
    "static-shapes",
    "decompose-prelu",
    "decompose-hard-swish",
    "relu-to-mul",
    "global-pool-to-mean",
    "reshape-shape",
  ];
  expect(names.filter((name) => !PREPARE_NAMES.includes(name))).toEqual([]);
});
