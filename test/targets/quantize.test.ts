/** What a target makes of a model in `quantize`, and what `check` says of one that was made without it. */
import { describe, expect, test } from "bun:test";
import { quantizeInMemory } from "../../src/driver/quantize.ts";
import type { BuiltinOptions, Model } from "../../src/model/index.ts";
import type { QuantizeOptions, Workspace } from "../../src/passes/context.ts";
import { checkTarget, remarksOn, targetHint, targetProblems } from "../../src/passes/target/check.ts";
import { checkTargetOptions } from "../../src/passes/target/settings.ts";
import { DEFAULT_SCHEME } from "../../src/rules/schemes.ts";
import { TARGETS } from "../../src/rules/targets.ts";
import { type GraphBuilder, model, quantized, recorded } from "../helpers/models.ts";
import { nodeOf, refusal, reopened, spaceOf, type Written, written } from "../passes/support.ts";
import { numbers } from "../prepare/support.ts";

const { onert: target } = TARGETS;
const X = [1, 4, 4, 2];
const pool: BuiltinOptions = {
  type: "Pool2DOptions",
  value: { padding: 1, strideW: 2, strideH: 2, filterWidth: 2, filterHeight: 2, fusedActivationFunction: 0 },
};

/** One operator between x and y, whose recorded ranges differ. */
const one = (fill: (graph: GraphBuilder) => GraphBuilder, shape = X, from = X): Model =>
  model(["x"], ["y"], (graph) =>
    fill(graph.tensor("x", from, "FLOAT32", recorded(-3, 5)).tensor("y", shape, "FLOAT32", recorded(-1, 2))),
  );

async function made(
  of: Model,
  options: Partial<QuantizeOptions> = { target },
): Promise<Written & { space: Workspace }> {
  const settings = { options: { ...DEFAULT_SCHEME, ...options } };
  const space = await quantizeInMemory(await reopened(of), settings);
  return { space, ...(await written(space)) };
}

const problemsOf = ({ context }: Workspace) => targetProblems(context, target);

describe("quantize for onert", () => {
  const connected = one(
    (graph) =>
      graph
        .constant("w", [3, 8], numbers(24))
        .constant("b", [3], numbers(3))
        .operator("FULLY_CONNECTED", ["x", "w", "b"], ["y"], { type: "FullyConnectedOptions", value: {} }),
    [1, 3],
    [1, 8],
  );

  test("FULLY_CONNECTED is per tensor, as its layer setting would make it; CONV_2D stays per channel", async () => {
    const { tensors, space } = await made(connected);
    expect(tensors.get("w")!.scale).toHaveLength(1);
    expect(tensors.get("b")!.scale).toHaveLength(1);
    expect(problemsOf(space)).toEqual([]);
    const conv = one((graph) =>
      graph
        .constant("w", [2, 1, 1, 2], numbers(4))
        .constant("b", [2], numbers(2))
        .operator("CONV_2D", ["x", "w", "b"], ["y"], {
          type: "Conv2DOptions",
          value: { padding: 1, strideW: 1, strideH: 1, dilationWFactor: 1, dilationHFactor: 1 },
        }),
    );
    expect((await made(conv)).tensors.get("w")!.scale).toHaveLength(2);
  });

  test("without a target it is ONE's, and one line says what onert makes of it", async () => {
    const { tensors, space } = await made(connected, {});
    expect(tensors.get("w")!.scale).toHaveLength(3);
    expect(targetHint(space.context, target)).toBe(
      "1 FULLY_CONNECTED per channel: onert's cpu backend computes them wrongly; --target onert",
    );
    expect(problemsOf(space)).toEqual([
      'FULLY_CONNECTED "y": its weights "w" are quantized per channel, and it takes the first scale for all; onert\'s cpu backend needs them per tensor: quantize the float model with --target onert',
    ]);
  });

  const tied: Record<string, Model> = {
    MAX_POOL_2D: one((graph) => graph.operator("MAX_POOL_2D", ["x"], ["y"], pool), [1, 2, 2, 2]),
    AVERAGE_POOL_2D: one((graph) => graph.operator("AVERAGE_POOL_2D", ["x"], ["y"], pool), [1, 2, 2, 2]),
    PAD: one(
      (graph) => graph.constant("p", [4, 2], Int32Array.of(0, 0, 1, 1, 1, 1, 0, 0)).operator("PAD", ["x", "p"], ["y"]),
      [1, 6, 6, 2],
    ),
    SLICE: one((graph) =>
      graph
        .constant("begin", [4], Int32Array.of(0, 0, 0, 0))
        .constant("size", [4], Int32Array.from(X))
        .operator("SLICE", ["x", "begin", "size"], ["y"]),
    ),
    SQUEEZE: one((graph) => graph.operator("SQUEEZE", ["x"], ["y"]), [4, 4, 2]),
    DEPTH_TO_SPACE: one(
      (graph) =>
        graph.operator("DEPTH_TO_SPACE", ["x"], ["y"], { type: "DepthToSpaceOptions", value: { blockSize: 2 } }),
      [1, 4, 4, 2],
      [1, 2, 2, 8],
    ),
  };
  for (const [op, of] of Object.entries(tied)) {
    test(`${op} has its operand's parameters; without a target that is a problem`, async () => {
      const { tensors, space } = await made(of);
      const [x, y] = [tensors.get("x")!, tensors.get("y")!];
      expect({ scale: y.scale, zeroPoint: y.zeroPoint }).toEqual({ scale: x.scale, zeroPoint: x.zeroPoint });
      expect(problemsOf(space)).toEqual([]);
      const plain = await made(of, {});
      expect(plain.tensors.get("y")!.scale).not.toEqual(plain.tensors.get("x")!.scale);
      const [finding] = checkTarget(plain.space.graphs[0]!, target, plain.space.context.scanner);
      expect(finding!.consequence).toBe(op === "PAD" ? "refused" : "wrong");
    });
  }

  test("parameters go through a chain, also from a function with its own", async () => {
    const of = model(["x"], ["y"], (graph) => {
      graph.tensor("x", X, "FLOAT32", recorded(-3, 5)).tensor("l", X, "FLOAT32", recorded(0.1, 0.9));
      for (const name of ["m", "t", "y"]) graph.tensor(name, [1, 2, 2, 2], "FLOAT32", recorded(0.2, 0.8));
      graph
        .operator("LOGISTIC", ["x"], ["l"])
        .operator("MAX_POOL_2D", ["l"], ["m"], pool)
        .constant("perm", [4], Int32Array.of(0, 2, 1, 3))
        .operator("TRANSPOSE", ["m", "perm"], ["t"])
        .operator("MAX_POOL_2D", ["t"], ["y"], {
          ...pool,
          value: { ...pool.value, strideW: 1, strideH: 1, padding: 0 },
        } as BuiltinOptions);
    });
    const { space } = await made(of);
    for (const name of ["l", "m", "t", "y"]) {
      const { quant } = nodeOf(space.graphs[0]!, name);
      expect([name, quant!.scale[0], quant!.zeroPoint[0]]).toEqual([name, 1 / 256, 0n]);
    }
  });

  test("what has no uint8 kernel stays float and says so; SUM, too", async () => {
    const { operators, space } = await made(one((graph) => graph.operator("NEG", ["x"], ["y"])));
    expect(operators).toEqual(["DEQUANTIZE(x) -> x_Dequantize", "NEG(x_Dequantize) -> y", "QUANTIZE(y) -> y_Quantize"]);
    expect(space.context.notes.map(({ code, text }) => `${code}: ${text}`)).toEqual([
      'target: NEG "y": onert has no uint8 kernel for it',
    ]);
    const sum = one(
      (graph) =>
        graph
          .constant("axes", [1], Int32Array.of(3))
          .operator("SUM", ["x", "axes"], ["y"], { type: "ReducerOptions", value: { keepDims: true } }),
      [1, 4, 4, 1],
    );
    expect((await made(sum)).operators.some((line) => line.startsWith("SUM(x_Dequantize, axes)"))).toBe(true);
  });

  test("what has no kernel at all is rewritten, or an error by name", async () => {
    const prelu = one((graph) =>
      graph.constant("alpha", [1, 1, 2], numbers(2)).operator("PRELU", ["x", "alpha"], ["y"]),
    );
    const { operators, space } = await made(prelu);
    expect(operators.map((line) => line.split("(")[0])).toEqual(["MUL", "MUL", "MUL", "SUB"]);
    expect(space.context.notes).toEqual([]);
    const ceil = one((graph) => graph.operator("CEIL", ["x"], ["y"]));
    expect(await refusal(() => made(ceil))).toBe(
      "the model: onert's cpu backend cannot run it (1):\n  CEIL \"y\": onert's cpu backend has no kernel for CEIL; replace it in the model by operators that the target has",
    );
  });

  test("a RELU of its own is carried by a MUL, a global pool is a MEAN with parameters of its own", async () => {
    expect((await made(one((graph) => graph.operator("RELU", ["x"], ["y"])))).operators).toEqual([
      "MUL(x, y_one) RELU -> y",
    ]);
    const global = { ...pool, value: { ...pool.value, filterWidth: 4, filterHeight: 4 } } as BuiltinOptions;
    const { operators, tensors } = await made(
      one((graph) => graph.operator("AVERAGE_POOL_2D", ["x"], ["y"], global), [1, 1, 1, 2]),
    );
    expect(operators).toEqual(["MEAN(x, y_axes) -> y"]);
    expect(tensors.get("y")!.scale).not.toEqual(tensors.get("x")!.scale);
  });

  for (const [flag, dtype, inputs, outputs] of [
    ["--dtype", "INT16", [], []],
    ["--input-dtype", "UINT8", ["INT16"], []],
    ["--output-dtype", "UINT8", [], ["FLOAT32", "INT16"]],
  ] as const)
    test(`${flag} int16 is refused`, async () => {
      expect(await refusal(() => checkTargetOptions(target, dtype, inputs, outputs))).toBe(
        `${flag} int16: not for onert's cpu backend; it takes uint8 (and float32) only`,
      );
    });

  test("a layer as int16 is refused", async () => {
    const settings = {
      options: { ...DEFAULT_SCHEME, target },
      layers: { given: ["y=int16"] },
    } as const;
    const of = await reopened(one((graph) => graph.operator("TANH", ["x"], ["y"])));
    expect(await refusal(() => quantizeInMemory(of, settings))).toBe(
      'layer "y" as int16: not for onert\'s cpu backend; it takes uint8 (and float32) only',
    );
  });
});

describe("check", () => {
  /** What is said of one operator as it is in a file. */
  async function said(of: Model): Promise<string[]> {
    const { graphs, context } = await spaceOf(of);
    return checkTarget(graphs[0]!, target, context.scanner).map(({ consequence, kind }) => `${consequence} ${kind}`);
  }
  const plain = (fill: (graph: GraphBuilder) => GraphBuilder, shape = X) =>
    model(["x"], ["y"], (graph) => fill(graph.tensor("x", X).tensor("y", shape)));

  test("a sound model", async () => {
    expect(await said(plain((graph) => graph.operator("ABS", ["x"], ["y"])))).toEqual([]);
  });

  const cases: Record<string, [string, Model]> = {
    "a RESHAPE of one operand": [
      "refused with fewer than 2 operands",
      plain((graph) => graph.operator("RESHAPE", ["x"], ["y"]), [1, 32]),
    ],
    "a 0 in its shape": [
      "refused with 0 in operand 1",
      plain((graph) => graph.constant("s", [2], Int32Array.of(0, 32)).operator("RESHAPE", ["x", "s"], ["y"]), [1, 32]),
    ],
    "a SLICE from −1": [
      "refused with -1 in operand 1",
      plain((graph) =>
        graph
          .constant("b", [4], Int32Array.of(-1, 0, 0, 0))
          .constant("n", [4], Int32Array.from(X))
          .operator("SLICE", ["x", "b", "n"], ["y"]),
      ),
    ],
    "an absent bias": [
      "refused with fewer than 3 operands",
      plain((graph) => graph.constant("w", [2, 1, 1, 2], numbers(4)).operator("CONV_2D", ["x", "w", ""], ["y"])),
    ],
    "a uint8 RELU": [
      "refused with uint8",
      model(["x"], ["y"], (graph) =>
        graph
          .tensor("x", X, "UINT8", quantized(0.1, 3))
          .tensor("y", X, "UINT8", quantized(0.1, 0))
          .operator("RELU", ["x"], ["y"]),
      ),
    ],
    "an int16 ADD": [
      "refused with int16",
      model(["x"], ["y"], (graph) =>
        graph
          .tensor("x", X, "INT16", quantized(0.1, 0))
          .tensor("y", X, "INT16", quantized(0.1, 0))
          .operator("ADD", ["x", "x"], ["y"]),
      ),
    ],
    "FLOOR_MOD of integers": [
      "refused with int32",
      model(["x"], ["y"], (graph) =>
        graph.tensor("x", [2], "INT32").tensor("y", [2], "INT32").operator("FLOOR_MOD", ["x", "x"], ["y"]),
      ),
    ],
    "a MEAN of five dimensions": [
      "refused with 5 dimensions",
      model(["x"], ["y"], (graph) =>
        graph
          .tensor("x", [1, 2, 2, 2, 1])
          .tensor("y", [1, 2, 2, 2, 1])
          .constant("a", [1], Int32Array.of(4))
          .operator("MEAN", ["x", "a"], ["y"]),
      ),
    ],
    "a SELECT that does not broadcast": [
      "refused whose shapes do not broadcast",
      model(["c", "x"], ["y"], (graph) =>
        graph
          .tensor("c", [2], "BOOL")
          .tensor("x", [2, 3])
          .tensor("y", [2, 3])
          .operator("SELECT", ["c", "x", "x"], ["y"]),
      ),
    ],
    "a WHILE with two states": [
      "refused with more than 1 operand",
      model(["x", "z"], ["y"], (graph) =>
        graph.tensor("x", [1]).tensor("z", [1]).tensor("y", [1]).operator("WHILE", ["x", "z"], ["y"]),
      ),
    ],
    SPLIT_V: [
      "wrong whatever its dtype",
      plain((graph) =>
        graph
          .constant("n", [1], Int32Array.of(4))
          .constant("a", [], Int32Array.of(1))
          .operator("SPLIT_V", ["x", "n", "a"], ["y"]),
      ),
    ],
    "int4 weights alone": [
      "refused with int4 weights alone",
      model(["x"], ["y"], (graph) =>
        graph
          .tensor("x", [1, 2])
          .tensor("y", [1, 2])
          .constant("w", [2, 2], Uint8Array.of(1, 2), { type: 17, ...quantized(0.1, 0) })
          .operator("FULLY_CONNECTED", ["x", "w"], ["y"]),
      ),
    ],
    "an output that nothing computes": [
      "refused that nothing computes",
      model(["x"], ["y", "z"], (graph) =>
        graph.tensor("x", X).tensor("y", X).tensor("z", X).operator("ABS", ["x"], ["y"]),
      ),
    ],
  };
  for (const [what, [expected, of]] of Object.entries(cases))
    test(what, async () => expect(await said(of)).toEqual([expected]));

  test("a bilinear resize has a remark, and so has an input of unknown size", async () => {
    const shapeSignature = Int32Array.of(-1, 4, 4, 2);
    const of = model(["x"], ["y"], (graph) =>
      graph
        .tensor("x", X, "UINT8", { ...quantized(0.1, 3), shapeSignature })
        .tensor("y", [1, 8, 8, 2], "UINT8", quantized(0.1, 3))
        .constant("s", [2], Int32Array.of(8, 8))
        .operator("RESIZE_BILINEAR", ["x", "s"], ["y"]),
    );
    const { graphs } = await spaceOf(of);
    expect(remarksOn(graphs[0]!, target)).toEqual([
      "RESIZE_BILINEAR: truncates where others round: results are a third of a step too low",
      'input "x": has unknown dimensions, which have to be set before it runs',
    ]);
  });
});
