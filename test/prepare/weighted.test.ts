/** Batch-norm, activations and zero biases: what the graph is afterwards, and that it computes the same numbers. */
import { describe, expect, test } from "bun:test";
import { ActivationFunctionType, type BuiltinOptions, type Model, Padding } from "../../src/model/index.ts";
import { prepareGraphs } from "../../src/prepare/index.ts";
import { exportWorkspace, setLayers, workspace } from "../../src/quantize.ts";
import { type GraphBuilder, model, quantized, recorded } from "../helpers/models.ts";
import { floatsOf, largestDifference, numbers, only, opened, prepared, told } from "./support.ts";

/**
 * Both models round every step in float32; sums of up to 100 terms in another order differ by less than 100 · 2⁻²⁴ of the sum of the
 * terms' sizes, which is not much above the largest result here.
 */
const WITHIN = 1e-5;

const { NONE, RELU, RELU6, TANH } = ActivationFunctionType;
const SAME = Padding.SAME;
type Fused = ActivationFunctionType;

const conv = (fused: Fused = NONE): BuiltinOptions => ({
  type: "Conv2DOptions",
  value: { padding: SAME, strideW: 1, strideH: 1, fusedActivationFunction: fused },
});
const depthwise: BuiltinOptions = {
  type: "DepthwiseConv2DOptions",
  value: { padding: SAME, strideW: 1, strideH: 1, depthMultiplier: 1 },
};
const full: BuiltinOptions = { type: "FullyConnectedOptions", value: {} };
const transposed: BuiltinOptions = { type: "TransposeConvOptions", value: { padding: SAME, strideW: 2, strideH: 2 } };
const mul = (fused: Fused = NONE): BuiltinOptions => ({ type: "MulOptions", value: { fusedActivationFunction: fused } });
const add = (fused: Fused = NONE): BuiltinOptions => ({ type: "AddOptions", value: { fusedActivationFunction: fused } });
const sub: BuiltinOptions = { type: "SubOptions", value: {} };
const div: BuiltinOptions = { type: "DivOptions", value: {} };

/** x [1,4,4,2] and what a 1×1…3×3 CONV_2D to 3 channels needs; tensors a, b, c of the result's shape. */
function around(fill: (graph: GraphBuilder) => void, outputs = ["y"]): Model {
  return model(["x"], outputs, (graph) => {
    graph.tensor("x", [1, 4, 4, 2]).constant("w", [3, 3, 3, 2], numbers(54)).constant("bias", [3], numbers(3, 7));
    graph.constant("m", [3], Float32Array.of(0.5, -1.25, 3)).constant("s", [1, 1, 1, 3], numbers(3, 9));
    for (const name of ["a", "b", "c", "y"]) graph.tensor(name, [1, 4, 4, 3]);
    fill(graph);
  });
}

/** Builds, prepares, compares numbers; gives the operators and what was said. */
async function check(of: Model, off: readonly string[] = []) {
  const got = await prepared(await opened(of), off);
  const { worst } = await largestDifference(got);
  expect(worst).toBeLessThan(WITHIN);
  return { ...got, operators: told(got.after), worst };
}

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
    expect(operators).toEqual(["y = CONV_2D x w bias RELU6"]);
    expect(said).toEqual(["folded 1 MUL into CONV_2D, 1 ADD into CONV_2D"]);
    const [m, s, b] = [[0.5, -1.25, 3], numbers(3, 9), numbers(3, 7)];
    expect(await floatsOf(after, "w")).toEqual(Array.from(numbers(54), (w, i) => Math.fround(w * m[Math.floor(i / 18)]!)));
    expect(await floatsOf(after, "bias")).toEqual(
      m.map((each, i) => Math.fround(Math.fround(b[i]! * each) + s[i]!)),
    );
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
    expect(operators).toEqual(["y = CONV_2D x w one"]);
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
    expect(operators).toEqual(["y = CONV_2D x w bias"]);
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
    expect(operators).toEqual(["y = DEPTHWISE_CONV_2D x w y_bias RELU"]);
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
    expect(operators).toEqual(["y = FULLY_CONNECTED x w s"]);
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
    expect(operators).toEqual(["y = TRANSPOSE_CONV size w x s RELU"]);
    expect(after.operatorCodes![after.subgraphs![0]!.operators![0]!.opcodeIndex!]!.version).toBe(4);
    const unfused = await check(of, ["fuse-activation"]);
    const { after: model3 } = unfused;
    expect(unfused.operators[0]).toBe("c = TRANSPOSE_CONV size w x s");
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
    expect(operators).toEqual(["b = CONV_2D x w bias", "y = CONV_2D x w_1 bias_1"]);
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
    expect(operators).toEqual(["y = FULLY_CONNECTED x w y_bias"]);
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
      expect(told(got.after)).toEqual(told(got.before));
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
    expect(told(got.after)).toEqual(["a = CONV_2D x v bias", "y = MUL a m"]);
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
    expect(told(got.after)).toEqual(told(got.before));
  });
});

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
    expect(operators).toEqual(["r = CONV_2D x w bias RELU", "c = ADD r s RELU6", "y = RELU_N1_TO_1 c"]);
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
      "b = SUB x z RELU_N1_TO_1",
      "d = MUL b x RELU",
      "f = DIV d z RELU6",
      "q = AVERAGE_POOL_2D f RELU6",
      "y = MAX_POOL_2D q RELU",
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
      expect(told(got.after)).toEqual(told(got.before));
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
    const space = workspace(await opened(of), { dtype: "UINT8", granularity: "channel" });
    const granularity = "channel";
    setLayers(space, [
      [
        { names: ["a"], dtype: "INT16", granularity },
        { names: ["b"], dtype: "UINT8", granularity },
        { names: ["c"], dtype: "INT16", granularity },
      ],
    ]);
    await prepareGraphs(space, space.graphs);
    expect(told(exportWorkspace(space).model)).toEqual(["a = CONV_2D x w bias", "b = RELU a", "y = ADD b s RELU"]);
    expect(space.context.layers.get("y")).toMatchObject({ dtype: "INT16" });
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
      "a = CONV_2D x w a_bias",
      "b = DEPTHWISE_CONV_2D a d b_bias",
      "y = TRANSPOSE_CONV size w b",
      "f = FULLY_CONNECTED b v f_bias",
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
    expect(told(got.after)).toEqual(["y = FULLY_CONNECTED x w -"]);
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
  const after = async (...off: string[]) => told((await prepared(of, off)).after);
  expect(await after("all")).toEqual(["a = CONV_2D x w", "b = MUL a m", "y = RELU b"]);
  expect(await after("fold-batch-norm")).toEqual(["a = CONV_2D x w a_bias", "y = MUL a m RELU"]);
  expect(await after("fuse-activation")).toEqual(["b = CONV_2D x w b_bias", "y = RELU b"]);
  expect(await after("zero-bias")).toEqual(["y = CONV_2D x w RELU"]);
  expect(await after(...only("zero-bias"))).toEqual(["a = CONV_2D x w a_bias", "b = MUL a m", "y = RELU b"]);
});
