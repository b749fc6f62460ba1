/** Fused activations and zero biases: what the graph is afterwards, and that it computes the same numbers. */

import { describe, expect, test } from "bun:test";
import type { BuiltinOptions } from "../../src/model/index.ts";
import { operatorTexts } from "../../src/model/index.ts";
import { exportWorkspace, workspace } from "../../src/passes/workspace.ts";
import { SCHEMES } from "../../src/rules/schemes.ts";
import { type GraphBuilder, model, quantized, recorded } from "../helpers/models.ts";
import { setLayers } from "../passes/support.ts";
import { add, around, check, conv, depthwise, div, full, mul, RELU6, SAME, sub } from "./patterns.ts";
import { floatsOf, numbers, only, opened, prepared, prepareGraphs } from "./support.ts";

describe("fusing activations", () => {
  test("the tensor is the RELU's, with its range and as the output it was", async () => {
    const of = around((graph) =>
      graph
        .tensor("r", [1, 4, 4, 3], "FLOAT32", recorded(0, 7))
        .operator("CONV_2D", ["x", "w", "bias"], ["a"], conv())
        .operator("RELU", ["a"], ["r"])
        .operator("ADD", ["r", "s"], ["b"], add())
        .operator("RELU6", ["b"], ["c"])
        .operator("RELU_N1_TO_1", ["c"], ["y"]),
    );
    of.signatureDefs = [
      {
        signatureKey: "serving_default",
        inputs: [{ name: "in", tensorIndex: 0 }],
        outputs: [{ name: "out", tensorIndex: 8 }],
      },
    ];
    const { operators, said, after } = await check(of);
    expect(operators).toEqual(["CONV_2D(x, w, bias) RELU -> r", "ADD(r, s) RELU6 -> c", "RELU_N1_TO_1(c) -> y"]);
    expect(said).toEqual(["fused 1 RELU, 1 RELU6"]);
    const { tensors } = after.subgraphs![0]!;
    expect(tensors!.find(({ name }) => name === "r")!.quantization).toMatchObject(recorded(0, 7).quantization!);
    expect(tensors![after.signatureDefs![0]!.outputs![0]!.tensorIndex!]!.name).toBe("y");
    expect(tensors![after.signatureDefs![0]!.inputs![0]!.tensorIndex!]!.name).toBe("x");
  });

  test("every operator that runtimes fuse one into", async () => {
    const pool: BuiltinOptions = {
      type: "Pool2DOptions",
      value: { padding: SAME, strideW: 2, strideH: 2, filterWidth: 2, filterHeight: 2 },
    };
    const { operators, worst } = await check(
      model(["x", "z"], ["y"], (graph) => {
        for (const name of ["x", "z", "a", "b", "c", "d", "e", "f"]) graph.tensor(name, [1, 4, 4, 3]);
        for (const name of ["p", "q"]) graph.tensor(name, [1, 2, 2, 3]);
        for (const name of ["r", "y"]) graph.tensor(name, [1, 1, 1, 3]);
        graph
          .operator("SUB", ["x", "z"], ["a"], sub)
          .operator("RELU_N1_TO_1", ["a"], ["b"])
          .operator("MUL", ["b", "x"], ["c"], mul())
          .operator("RELU", ["c"], ["d"])
          .operator("DIV", ["d", "z"], ["e"], div)
          .operator("RELU6", ["e"], ["f"])
          .operator("AVERAGE_POOL_2D", ["f"], ["p"], pool)
          .operator("RELU6", ["p"], ["q"])
          .operator("MAX_POOL_2D", ["q"], ["r"], pool)
          .operator("RELU", ["r"], ["y"]);
      }),
    );
    expect(worst).toBe(0);
    expect(operators).toEqual([
      "SUB(x, z) RELU_N1_TO_1 -> b",
      "MUL(b, x) RELU -> d",
      "DIV(d, z) RELU6 -> f",
      "AVERAGE_POOL_2D(f) RELU6 -> q",
      "MAX_POOL_2D(q) RELU -> y",
    ]);
  });

  const STAYS: Record<string, (graph: GraphBuilder) => GraphBuilder> = {
    "CONCATENATION, whose runtime kernel refuses an activation": (graph) =>
      graph
        .tensor("d", [1, 4, 4, 4])
        .tensor("e", [1, 4, 4, 4])
        .operator("CONCATENATION", ["x", "x"], ["d"], { type: "ConcatenationOptions", value: { axis: 3 } })
        .operator("RELU", ["d"], ["e"])
        .operator("ADD", ["m", "s"], ["y"], add()),
    "an operator that has one": (graph) =>
      graph.operator("CONV_2D", ["x", "w", "bias"], ["a"], conv(RELU6)).operator("RELU", ["a"], ["y"]),
    "an operator that two read": (graph) =>
      graph
        .operator("CONV_2D", ["x", "w", "bias"], ["a"], conv())
        .operator("RELU", ["a"], ["b"])
        .operator("ADD", ["a", "b"], ["y"], add()),
    "TANH after CONV_2D": (graph) =>
      graph.operator("CONV_2D", ["x", "w", "bias"], ["a"], conv()).operator("TANH", ["a"], ["y"]),
  };
  for (const [what, fill] of Object.entries(STAYS)) {
    test(`${what} stays`, async () => {
      const got = await prepared(await opened(around(fill, what.startsWith("CONC") ? ["e"] : ["y"])));
      expect(operatorTexts(got.after)).toEqual(operatorTexts(got.before));
    });
  }

  test("layers with different settings stay apart; a single one goes with the layer", async () => {
    const of = around((graph) =>
      graph
        .operator("CONV_2D", ["x", "w", "bias"], ["a"], conv())
        .operator("RELU", ["a"], ["b"])
        .operator("ADD", ["b", "s"], ["c"], add())
        .operator("RELU", ["c"], ["y"]),
    );
    const space = workspace(await opened(of), { scheme: SCHEMES.uint8, granularity: "channel" });
    const granularity = "channel";
    setLayers(space, {
      a: { scheme: SCHEMES.int16, granularity },
      b: { scheme: SCHEMES.uint8, granularity },
      c: { scheme: SCHEMES.int16, granularity },
    });
    await prepareGraphs(space, space.graphs);
    expect(operatorTexts(exportWorkspace(space).model)).toEqual([
      "CONV_2D(x, w, bias) -> a",
      "RELU(a) -> b",
      "ADD(b, s) RELU -> y",
    ]);
    expect(space.context.layers.get("y")).toMatchObject({ scheme: SCHEMES.int16 });
  });
});

describe("zero biases", () => {
  test("for those whose rule wants one, absent or left out; TRANSPOSE_CONV needs none", async () => {
    // LiteRT hands operators with a bias to another library (XNNPACK), so their sums may be in another order.
    const { operators, said, after } = await check(
      model(["x"], ["y", "f"], (graph) =>
        graph
          .tensor("x", [1, 3, 3, 2])
          .constant("size", [4], Int32Array.of(1, 3, 3, 2))
          .constant("w", [2, 1, 1, 2], numbers(4))
          .constant("d", [1, 3, 3, 2], numbers(18))
          .constant("v", [5, 2], numbers(10))
          .tensor("a", [1, 3, 3, 2])
          .tensor("b", [1, 3, 3, 2])
          .tensor("y", [1, 3, 3, 2])
          .tensor("f", [9, 5])
          .operator("CONV_2D", ["x", "w", ""], ["a"], conv())
          .operator("DEPTHWISE_CONV_2D", ["a", "d"], ["b"], depthwise)
          .operator("TRANSPOSE_CONV", ["size", "w", "b"], ["y"], {
            type: "TransposeConvOptions",
            value: { padding: SAME, strideW: 1, strideH: 1 },
          })
          .operator("FULLY_CONNECTED", ["b", "v", ""], ["f"], full),
      ),
    );
    expect(operators).toEqual([
      "CONV_2D(x, w, a_bias) -> a",
      "DEPTHWISE_CONV_2D(a, d, b_bias) -> b",
      "TRANSPOSE_CONV(size, w, b) -> y",
      "FULLY_CONNECTED(b, v, f_bias) -> f",
    ]);
    expect(said).toEqual(["zero bias for 1 CONV_2D, 1 DEPTHWISE_CONV_2D, 1 FULLY_CONNECTED"]);
    expect(await floatsOf(after, "f_bias")).toEqual([0, 0, 0, 0, 0]);
  });

  test("quantized operators are left alone", async () => {
    const got = await prepared(
      await opened(
        model(["x"], ["y"], (graph) =>
          graph
            .tensor("x", [1, 2], "INT8", quantized(0.5, 0))
            .constant("w", [2, 2], Int8Array.of(1, 2, 3, 4), { type: 9, ...quantized(0.5, 0) })
            .tensor("y", [1, 2], "INT8", quantized(0.5, 0))
            .operator("FULLY_CONNECTED", ["x", "w", ""], ["y"], full),
        ),
      ),
    );
    expect(operatorTexts(got.after)).toEqual(["FULLY_CONNECTED(x, w, -) -> y"]);
  });
});

test("switched off by name", async () => {
  const of = await opened(
    around((graph) =>
      graph
        .operator("CONV_2D", ["x", "w"], ["a"], conv())
        .operator("MUL", ["a", "m"], ["b"], mul())
        .operator("RELU", ["b"], ["y"]),
    ),
  );
  const after = async (...off: string[]) => operatorTexts((await prepared(of, off)).after);
  expect(await after("all")).toEqual(["CONV_2D(x, w) -> a", "MUL(a, m) -> b", "RELU(b) -> y"]);
  expect(await after("fold-batch-norm")).toEqual(["CONV_2D(x, w, a_bias) -> a", "MUL(a, m) RELU -> y"]);
  expect(await after("fuse-activation")).toEqual(["CONV_2D(x, w, b_bias) -> b", "RELU(b) -> y"]);
  expect(await after("zero-bias")).toEqual(["CONV_2D(x, w) RELU -> y"]);
  expect(await after(...only("zero-bias"))).toEqual(["CONV_2D(x, w, a_bias) -> a", "MUL(a, m) -> b", "RELU(b) -> y"]);
});
