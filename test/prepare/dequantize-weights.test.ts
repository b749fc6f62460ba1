/** Weights of dynamic range models are taken as the floats that they stand for. */
import { describe, expect, test } from "bun:test";
import { type BuiltinOptions, type Model, operatorTexts, type Tensor, TensorType } from "../../src/model/index.ts";
import { type GraphBuilder, model, quantizedAs } from "../helpers/models.ts";
import { floatsOf, only, opened, prepared } from "./support.ts";

const FULLY: BuiltinOptions = { type: "FullyConnectedOptions", value: {} };
const CONV: BuiltinOptions = { type: "Conv2DOptions", value: { strideW: 1, strideH: 1 } };

const W = Int8Array.of(1, -2, 3, -128);

async function run(made: Model) {
  const { after, said } = await prepared(await opened(made), only("dequantize-weights"));
  return { after, said, operators: operatorTexts(after) };
}

const dense = (weights: Partial<Tensor>, options: BuiltinOptions = FULLY, bytes = W) =>
  model(["x"], ["y"], (graph) =>
    graph
      .tensor("x", [1, 2])
      .constant("w", [2, 2], bytes, weights)
      .constant("b", [2], Float32Array.of(1, 2))
      .tensor("y", [1, 2])
      .operator("FULLY_CONNECTED", ["x", "w", "b"], ["y"], options),
  );

const typeOf = ({ subgraphs }: Model, name: string) => subgraphs![0]!.tensors!.find((each) => each.name === name)!;

describe("weights of float operators", () => {
  test.each([
    ["INT8 per tensor", quantizedAs("INT8", [0.5], [0]), [0.5, -1, 1.5, -64]],
    ["INT8 per channel", quantizedAs("INT8", [0.5, 2], [0, 0]), [0.5, -1, 6, -256]],
    ["INT8 per channel along the last axis", quantizedAs("INT8", [0.5, 2], [0, 0], 1), [0.5, -4, 1.5, -256]],
    ["INT8 with a zero point", quantizedAs("INT8", [0.5], [3]), [-1, -2.5, 0, -65.5]],
    // ai-edge-litert reads the bytes of such weights as int8, whatever the zero point (case 21).
    ["UINT8 whose bytes are int8", quantizedAs("UINT8", [0.5], [128]), [0.5, -1, 1.5, -64]],
  ] as const)("%s", async (_, weights, expected) => {
    const { after, said } = await run(dense(weights));
    expect(said).toEqual(["dequantized weights of 1 FULLY_CONNECTED"]);
    expect(typeOf(after, "w")).toMatchObject({ type: TensorType.FLOAT32 });
    expect(typeOf(after, "w").quantization).toBeUndefined();
    expect(await floatsOf(after, "w")).toEqual([...expected]);
  });

  test("every kind with weights, and a matrix product by a constant", async () => {
    const quantized = quantizedAs("INT8", [0.5], [0]);
    const kinds: [string, (graph: GraphBuilder) => GraphBuilder][] = [
      ["CONV_2D", (g) => g.constant("w", [1, 1, 1, 4], W, quantized).operator("CONV_2D", ["x", "w"], ["y"], CONV)],
      [
        "DEPTHWISE_CONV_2D",
        (g) =>
          g.constant("w", [1, 1, 1, 4], W, quantized).operator("DEPTHWISE_CONV_2D", ["x", "w"], ["y"], {
            type: "DepthwiseConv2DOptions",
            value: { strideW: 1, strideH: 1, depthMultiplier: 1 },
          }),
      ],
      [
        "TRANSPOSE_CONV",
        (g) =>
          g
            .constant("s", [4], Int32Array.of(1, 1, 1, 4))
            .constant("w", [1, 1, 1, 4], W, quantized)
            .operator("TRANSPOSE_CONV", ["s", "w", "x"], ["y"], {
              type: "TransposeConvOptions",
              value: { strideW: 1, strideH: 1 },
            }),
      ],
      ["BATCH_MATMUL", (g) => g.constant("w", [1, 1, 4, 1], W, quantized).operator("BATCH_MATMUL", ["x", "w"], ["y"])],
    ];
    for (const [op, fill] of kinds) {
      const { said, after } = await run(
        model(["x"], ["y"], (graph) => fill(graph.tensor("x", [1, 1, 1, 4]).tensor("y", [1, 1, 1, 4]))),
      );
      expect(said).toEqual([`dequantized weights of 1 ${op}`]);
      expect(await floatsOf(after, "w")).toEqual([0.5, -1, 1.5, -64]);
    }
  });

  test("one constant for two float operators and an int8 one: the last keeps its integers", async () => {
    const made = model(["x", "q"], ["y", "z", "r"], (graph) =>
      graph
        .tensor("x", [1, 2])
        .tensor("q", [1, 2], "INT8", quantizedAs("INT8", [0.1], [0]))
        .constant("w", [2, 2], W, quantizedAs("INT8", [0.5], [0]))
        .tensor("y", [1, 2])
        .tensor("z", [1, 2])
        .tensor("r", [1, 2], "INT8", quantizedAs("INT8", [0.1], [0]))
        .operator("FULLY_CONNECTED", ["x", "w"], ["y"], FULLY)
        .operator("FULLY_CONNECTED", ["x", "w"], ["z"], FULLY)
        .operator("FULLY_CONNECTED", ["q", "w"], ["r"], FULLY),
    );
    const { after } = await run(made);
    const [graph] = after.subgraphs!;
    const weights = graph!.operators!.map(({ inputs }) => inputs![1]!);
    expect(weights[0]).toBe(weights[1]!);
    expect(weights.map((at) => graph!.tensors![at]!.type)).toEqual([
      TensorType.FLOAT32,
      TensorType.FLOAT32,
      TensorType.INT8,
    ]);
  });
});

describe("left as they are", () => {
  const kept = async (made: Model, name = "w") => {
    const { after, said } = await run(made);
    expect(said).toEqual([]);
    expect(typeOf(after, name).type).toBe(TensorType.INT8);
  };

  test("scales that do not fit, no scale, a layout of its own", async () => {
    await kept(dense(quantizedAs("INT8", [0.5, 1, 2], [0, 0, 0])));
    await kept(dense({ type: TensorType.INT8 }));
    await kept(dense(quantizedAs("INT8", [0.5], [0]), { type: "FullyConnectedOptions", value: { weightsFormat: 1 } }));
  });

  test("operators without a rule", async () => {
    await kept(
      model(["x"], ["y"], (graph) =>
        graph
          .tensor("x", [2], "INT32")
          .constant("w", [2, 2], W, quantizedAs("INT8", [0.5], [0]))
          .tensor("y", [2, 2])
          .operator("EMBEDDING_LOOKUP", ["x", "w"], ["y"]),
      ),
    );
  });
});
