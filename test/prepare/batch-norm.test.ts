/** Folding batch-norm: what the graph is afterwards, and that it computes the same numbers. */

import { describe, expect, test } from "bun:test";
import { operatorTexts } from "../../src/model/index.ts";
import { type GraphBuilder, model, quantized } from "../helpers/models.ts";
import { add, around, check, conv, depthwise, div, full, mul, RELU, RELU6, sub, TANH, transposed } from "./patterns.ts";
import { floatsOf, numbers, opened, prepared } from "./support.ts";

describe("folding batch-norm", () => {
  test("CONV_2D → MUL → ADD with RELU6: the last one's tensor and activation; weights and bias of the formula", async () => {
    const { operators, said, after } = await check(
      around((graph) =>
        graph
          .operator("CONV_2D", ["x", "w", "bias"], ["a"], conv())
          .operator("MUL", ["a", "m"], ["b"], mul())
          .operator("ADD", ["s", "b"], ["y"], add(RELU6)),
      ),
    );
    expect(operators).toEqual(["CONV_2D(x, w, bias) RELU6 -> y"]);
    expect(said).toEqual(["folded 1 MUL into CONV_2D, 1 ADD into CONV_2D"]);
    const [m, s, b] = [[0.5, -1.25, 3], numbers(3, 9), numbers(3, 7)];
    expect(await floatsOf(after, "w")).toEqual(
      Array.from(numbers(54), (w, i) => Math.fround(w * m[Math.floor(i / 18)]!)),
    );
    expect(await floatsOf(after, "bias")).toEqual(m.map((each, i) => Math.fround(Math.fround(b[i]! * each) + s[i]!)));
  });

  test("without a bias, addition first, scalars: the bias is named after the addend", async () => {
    const { operators } = await check(
      around((graph) =>
        graph
          .constant("one", [], Float32Array.of(2.5))
          .constant("two", [1], Float32Array.of(-0.75))
          .operator("CONV_2D", ["x", "w"], ["a"], conv())
          .operator("ADD", ["a", "one"], ["b"], add())
          .operator("MUL", ["two", "b"], ["y"], mul()),
      ),
    );
    expect(operators).toEqual(["CONV_2D(x, w, one) -> y"]);
  });

  test("y − c, c − y, y ÷ c", async () => {
    const { operators, said } = await check(
      around((graph) =>
        graph
          .operator("CONV_2D", ["x", "w", "bias"], ["a"], conv())
          .operator("SUB", ["a", "s"], ["b"], sub)
          .operator("SUB", ["m", "b"], ["c"], sub)
          .operator("DIV", ["c", "m"], ["y"], div),
      ),
    );
    expect(operators).toEqual(["CONV_2D(x, w, bias) -> y"]);
    expect(said).toEqual(["folded 2 SUB into CONV_2D, 1 DIV into CONV_2D"]);
  });

  test("DEPTHWISE_CONV_2D scales along its last axis", async () => {
    const { operators } = await check(
      model(["x"], ["y"], (graph) =>
        graph
          .tensor("x", [1, 5, 5, 4])
          .constant("w", [1, 3, 3, 4], numbers(36))
          .constant("m", [1, 4], Float32Array.of(1, 2, -3, 0))
          .tensor("a", [1, 5, 5, 4])
          .tensor("y", [1, 5, 5, 4])
          .operator("DEPTHWISE_CONV_2D", ["x", "w"], ["a"], depthwise)
          .operator("MUL", ["a", "m"], ["y"], mul(RELU)),
      ),
    );
    expect(operators).toEqual(["DEPTHWISE_CONV_2D(x, w, y_bias) RELU -> y"]);
  });

  test("FULLY_CONNECTED", async () => {
    const { operators } = await check(
      model(["x"], ["y"], (graph) =>
        graph
          .tensor("x", [2, 6])
          .constant("w", [4, 6], numbers(24))
          .constant("m", [4], numbers(4, 3))
          .constant("s", [1, 4], numbers(4, 5))
          .tensor("a", [2, 4])
          .tensor("b", [2, 4])
          .tensor("y", [2, 4])
          .operator("FULLY_CONNECTED", ["x", "w", ""], ["a"], full)
          .operator("MUL", ["a", "m"], ["b"], mul())
          .operator("ADD", ["b", "s"], ["y"], add()),
      ),
    );
    expect(operators).toEqual(["FULLY_CONNECTED(x, w, s) -> y"]);
  });

  test("TRANSPOSE_CONV gets a bias and a RELU, and the versions that have them", async () => {
    const of = model(["x"], ["y"], (graph) =>
      graph
        .tensor("x", [1, 3, 3, 2])
        .constant("size", [4], Int32Array.of(1, 6, 6, 3))
        .constant("w", [3, 3, 3, 2], numbers(54))
        .constant("m", [3], numbers(3, 3))
        .constant("s", [3], numbers(3, 5))
        .tensor("a", [1, 6, 6, 3])
        .tensor("b", [1, 6, 6, 3])
        .tensor("c", [1, 6, 6, 3])
        .tensor("y", [1, 6, 6, 3])
        .operator("TRANSPOSE_CONV", ["size", "w", "x"], ["a"], transposed)
        .operator("MUL", ["a", "m"], ["b"], mul())
        .operator("ADD", ["b", "s"], ["c"], add())
        .operator("RELU", ["c"], ["y"]),
    );
    const { operators, after } = await check(of);
    expect(operators).toEqual(["TRANSPOSE_CONV(size, w, x, s) RELU -> y"]);
    expect(after.operatorCodes![after.subgraphs![0]!.operators![0]!.opcodeIndex!]!.version).toBe(4);
    const unfused = await check(of, ["fuse-activation"]);
    const { after: model3 } = unfused;
    expect(unfused.operators[0]).toBe("TRANSPOSE_CONV(size, w, x, s) -> c");
    expect(model3.operatorCodes![model3.subgraphs![0]!.operators![0]!.opcodeIndex!]!.version).toBe(3);
  });

  test("weights that others read stay theirs", async () => {
    const { operators, after } = await check(
      around(
        (graph) =>
          graph
            .operator("CONV_2D", ["x", "w", "bias"], ["a"], conv())
            .operator("MUL", ["a", "m"], ["y"], mul())
            .operator("CONV_2D", ["x", "w", "bias"], ["b"], conv()),
        ["y", "b"],
      ),
    );
    expect(operators).toEqual(["CONV_2D(x, w, bias) -> b", "CONV_2D(x, w_1, bias_1) -> y"]);
    expect(await floatsOf(after, "w")).toEqual(Array.from(numbers(54)));
  });

  test("float16 weights are scaled as the float32 they stand for", async () => {
    const { operators } = await check(
      model(["x"], ["y"], (graph) =>
        graph
          .tensor("x", [1, 2])
          .constant("half", [2, 2], Uint16Array.of(0x3c00, 0xc000, 0x3555, 0x0001), { type: 1 })
          .tensor("w", [2, 2])
          .constant("m", [2], Float32Array.of(3, -7))
          .tensor("a", [1, 2])
          .tensor("y", [1, 2])
          .operator("DEQUANTIZE", ["half"], ["w"])
          .operator("FULLY_CONNECTED", ["x", "w"], ["a"], full)
          .operator("MUL", ["a", "m"], ["y"], mul()),
      ),
    );
    expect(operators).toEqual(["FULLY_CONNECTED(x, w, y_bias) -> y"]);
  });

  const STAYS: Record<string, (graph: GraphBuilder) => GraphBuilder> = {
    "a constant with a value for every place": (graph) =>
      graph
        .constant("k", [1, 4, 1, 3], numbers(12))
        .operator("CONV_2D", ["x", "w", "bias"], ["a"], conv())
        .operator("MUL", ["a", "k"], ["y"], mul()),
    "c ÷ y": (graph) =>
      graph.operator("CONV_2D", ["x", "w", "bias"], ["a"], conv()).operator("DIV", ["m", "a"], ["y"], div),
    "an activation in between": (graph) =>
      graph.operator("CONV_2D", ["x", "w", "bias"], ["a"], conv(RELU)).operator("MUL", ["a", "m"], ["y"], mul()),
    "an activation that CONV_2D cannot carry": (graph) =>
      graph.operator("CONV_2D", ["x", "w", "bias"], ["a"], conv()).operator("MUL", ["a", "m"], ["y"], mul(TANH)),
    "a result that two operators read": (graph) =>
      graph
        .operator("CONV_2D", ["x", "w", "bias"], ["a"], conv())
        .operator("MUL", ["a", "m"], ["b"], mul())
        .operator("ADD", ["a", "b"], ["y"], add()),
    "a result multiplied by itself": (graph) =>
      graph.operator("CONV_2D", ["x", "w", "bias"], ["a"], conv()).operator("MUL", ["a", "a"], ["y"], mul()),
    "a zero divisor": (graph) =>
      graph
        .constant("zero", [3], Float32Array.of(1, 0, 1))
        .operator("CONV_2D", ["x", "w", "bias"], ["a"], conv())
        .operator("DIV", ["a", "zero"], ["y"], div),
    "an infinite factor": (graph) =>
      graph
        .constant("huge", [], Float32Array.of(Number.POSITIVE_INFINITY))
        .operator("CONV_2D", ["x", "w", "bias"], ["a"], conv())
        .operator("MUL", ["a", "huge"], ["y"], mul()),
    "fake-quantized weights, whose scales belong to their values": (graph) =>
      graph
        .constant("v", [3, 3, 3, 2], numbers(54), quantized(0.5, 0))
        .operator("CONV_2D", ["x", "v", "bias"], ["a"], conv())
        .operator("MUL", ["a", "m"], ["y"], mul()),
  };
  for (const [what, fill] of Object.entries(STAYS)) {
    test(`${what} stays`, async () => {
      const got = await prepared(await opened(around(fill)));
      expect(operatorTexts(got.after)).toEqual(operatorTexts(got.before));
      expect(got.said).toEqual([]);
    });
  }

  test("weights that are computed stay", async () => {
    const of = around((graph) =>
      graph
        .tensor("v", [3, 3, 3, 2])
        .operator("CONV_2D", ["x", "v", "bias"], ["a"], conv())
        .operator("MUL", ["a", "m"], ["y"], mul()),
    );
    of.subgraphs![0]!.inputs = Int32Array.of(0, of.subgraphs![0]!.tensors!.length - 1);
    const got = await prepared(await opened(of));
    expect(operatorTexts(got.after)).toEqual(["CONV_2D(x, v, bias) -> a", "MUL(a, m) -> y"]);
  });

  test("a convolution that is an output itself stays", async () => {
    const got = await prepared(
      await opened(
        around(
          (graph) =>
            graph.operator("CONV_2D", ["x", "w", "bias"], ["a"], conv()).operator("MUL", ["a", "m"], ["y"], mul()),
          ["y", "a"],
        ),
      ),
    );
    expect(operatorTexts(got.after)).toEqual(operatorTexts(got.before));
  });
});
