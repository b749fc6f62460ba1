/** Quantized models of other converters: read as LiteRT reads them (../shared/cases/21, 22, 24, 26). */
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { recordRanges } from "../../src/calibration/index.ts";
import { type Model, openModel } from "../../src/model/index.ts";
import { fakeQuantizeModel } from "../../src/passes/transform/fake-quantize-model.ts";
import { requantize } from "../../src/passes/transform/requantize.ts";
import { workspace } from "../../src/passes/workspace.ts";
import { DEFAULT_SCHEME } from "../../src/rules/schemes.ts";
import { type GraphBuilder, model, quantized, quantizedAs } from "../helpers/models.ts";
import { spaceOf, type Written, written } from "./support.ts";

async function faked(made: Model): Promise<Written> {
  const space = await spaceOf(made);
  for (const graph of space.graphs) fakeQuantizeModel(graph, true);
  return written(space);
}

const quantizedFloats = ({ tensors }: Written) =>
  [...tensors].filter(([, { dtype, scale, zeroPoint }]) => dtype === "FLOAT32" && scale.length + zeroPoint.length > 0);

/** A model of a case's folder; undefined where the folder is not there. */
function caseModel(number: string): string | undefined {
  const root = "../shared/cases";
  const folder = existsSync(root) && readdirSync(root).find((name) => name.startsWith(`${number}-`));
  const file = folder && readdirSync(`${root}/${folder}`).find((name) => name.endsWith(".tflite"));
  return file ? `${root}/${folder}/${file}` : undefined;
}

describe("UINT8 weights whose bytes are int8", () => {
  const W = Uint8Array.of(10, 200, 10, 200);
  const fc = (graph: GraphBuilder, zeroPoint: number) =>
    graph
      .tensor("x", [1, 2])
      .constant("w", [2, 2], W, quantizedAs("UINT8", [0.5], [zeroPoint]))
      .constant("b", [2], Float32Array.of(0, 0))
      .tensor("y", [1, 2])
      .operator("FULLY_CONNECTED", ["x", "w", "b"], ["y"], { type: "FullyConnectedOptions", value: {} });
  const conv = (graph: GraphBuilder, zeroPoint: number) =>
    graph
      .tensor("x", [1, 1, 1, 2])
      .constant("w", [2, 1, 1, 2], W, quantizedAs("UINT8", [0.5], [zeroPoint]))
      .constant("b", [2], Float32Array.of(0, 0))
      .tensor("y", [1, 1, 1, 2])
      .operator("CONV_2D", ["x", "w", "b"], ["y"], {
        type: "Conv2DOptions",
        value: { strideW: 1, strideH: 1, dilationWFactor: 1, dilationHFactor: 1 },
      });
  // ai-edge-litert 2.3 gives −23 for inputs of 1, with zero points of 0 and of 128: (10 + (200 − 256)) · 0.5.
  for (const [name, build] of Object.entries({ fc, conv })) {
    test.each([0, 128])(`${name}, zero point %d: recorded as LiteRT computes it`, async (zeroPoint) => {
      const ones = new Uint8Array(Float32Array.of(1, 1).buffer);
      async function* records() {
        yield [ones.slice()];
      }
      const data = { description: "ones", count: 1, records, close() {} };
      const made = model(["x"], ["y"], (graph) => void build(graph, zeroPoint));
      const ranges = [...(await recordRanges(made, data, { reduction: { kind: "minmax" }, workers: 1 })).values()];
      expect(ranges.find((range) => range.name === "y")).toMatchObject({ min: -23, max: -23 });
    });

    test.each([0, 128])(`${name}, zero point %d: as floats`, async (zeroPoint) => {
      const { tensors } = await faked(model(["x"], ["y"], (graph) => void build(graph, zeroPoint)));
      expect(tensors.get("w_DQ")!.values).toEqual([5, -28, 5, -28]);
    });
  }

  test("GATHER reads UINT8 as it is", async () => {
    const made = model(["i"], ["y"], (graph) =>
      graph
        .tensor("i", [2], "INT32")
        .constant("w", [2, 2], W, quantizedAs("UINT8", [0.5], [0]))
        .tensor("y", [2, 2], "UINT8", quantized(0.5, 0))
        .operator("GATHER", ["w", "i"], ["y"], { type: "GatherOptions", value: {} }),
    );
    expect((await faked(made)).tensors.get("w_DQ")!.values).toEqual([5, 100, 5, 100]);
  });

  const path = caseModel("21");
  test.if(path !== undefined)("segmentation_weights_only has the sizes of numbers that LiteRT has", async () => {
    const opened = openModel(path!);
    const shape = opened.model.subgraphs![0]!.tensors![opened.model.subgraphs![0]!.inputs![0]!]!.shape!;
    const ones = new Uint8Array(new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(1).buffer);
    async function* records() {
      yield [ones.slice()];
    }
    const data = { description: "ones", count: 1, records, close() {} };
    const ranges = await recordRanges(opened.model, data, { reduction: { kind: "minmax" }, workers: 1 });
    opened.close();
    const { min, max } = [...ranges.values()].find(({ name }) => name === "output/BiasAdd")!;
    // ai-edge-litert 2.3 (which rounds activations, too): -2.349 to 16.554.
    expect(Math.abs(min - -2.349)).toBeLessThan(2);
    expect(Math.abs(max - 16.554)).toBeLessThan(2);
  });
});

describe("an axis past the rank of a bias", () => {
  test("means its only axis", async () => {
    const made = model(["x"], ["y"], (graph) =>
      graph
        .tensor("x", [1, 1, 1, 2], "INT8", quantized(0.5, 0))
        .constant("w", [1, 1, 1, 2], Int8Array.of(1, 2), quantizedAs("INT8", [1, 2], [0, 0], 3))
        .constant("b", [2], Int32Array.of(4, 6), quantizedAs("INT32", [0.5, 1], [0, 0], 3))
        .tensor("y", [1, 1, 1, 2], "INT8", quantized(0.5, 0))
        .operator("DEPTHWISE_CONV_2D", ["x", "w", "b"], ["y"], {
          type: "DepthwiseConv2DOptions",
          value: { strideW: 1, strideH: 1, depthMultiplier: 1 },
        }),
    );
    const { tensors } = await faked(made);
    expect(tensors.get("b_DQ")!.values).toEqual([2, 6]);
    expect(tensors.get("w_DQ")!.values).toEqual([1, 4]);
  });
});

describe("float tensors", () => {
  test("have no scale and no zero point: PACK, UNPACK", async () => {
    const made = model(["a"], ["y"], (graph) =>
      graph
        .tensor("a", [2, 3], "INT8", quantized(0.5, 7))
        .tensor("u", [3], "INT8", quantized(0.5, 7))
        .tensor("v", [3], "INT8", quantized(0.5, 7))
        .tensor("y", [2, 3], "INT8", quantized(0.5, 7))
        .operator("UNPACK", ["a"], ["u", "v"], { type: "UnpackOptions", value: { num: 2, axis: 0 } })
        .operator("PACK", ["v", "u"], ["y"], { type: "PackOptions", value: { valuesCount: 2, axis: 0 } }),
    );
    const after = await faked(made);
    expect(quantizedFloats(after)).toEqual([]);
    expect(after.tensors.get("a_FQ_Quantize")).toMatchObject({ dtype: "INT8", zeroPoint: [7] });
  });

  const path = caseModel("24");
  test.if(path !== undefined)("have none in movenet_ptq", async () => {
    const opened = openModel(path!);
    const space = workspace(opened, DEFAULT_SCHEME);
    for (const graph of space.graphs) fakeQuantizeModel(graph, true);
    const after = await written(space);
    opened.close();
    expect(after.tensors.size).toBeGreaterThan(100);
    expect(quantizedFloats(after)).toEqual([]);
  });
});

describe("requantize", () => {
  const int16x8 = (graph: GraphBuilder) =>
    graph
      .constant("w", [2, 2], Int8Array.of(1, -2, 3, -4), quantizedAs("INT8", [0.5], [0]))
      .tensor("x16", [1, 2], "INT16", quantized(0.01, 0))
      .tensor("y16", [1, 2], "INT16", quantized(0.01, 0))
      .operator("FULLY_CONNECTED", ["x16", "w"], ["y16"], { type: "FullyConnectedOptions", value: {} });

  test("leaves weights under int16 activations as they are", async () => {
    const space = await spaceOf(model(["x16"], ["y16"], (graph) => void int16x8(graph)));
    expect(space.graphs.map((graph) => requantize(graph, "uint8", space.context))).toEqual([0]);
    expect((await written(space)).tensors.get("w")).toMatchObject({ dtype: "INT8", values: [1, -2, 3, -4] });
  });

  test("doubles weights that int8 and int16 activations share", async () => {
    const made = model(["x16", "x8"], ["y16", "y8"], (graph) =>
      int16x8(graph)
        .tensor("x8", [1, 2], "INT8", quantized(0.01, 3))
        .tensor("y8", [1, 2], "INT8", quantized(0.01, -3))
        .operator("FULLY_CONNECTED", ["x8", "w"], ["y8"], { type: "FullyConnectedOptions", value: {} }),
    );
    const space = await spaceOf(made);
    for (const graph of space.graphs) requantize(graph, "uint8", space.context);
    const { tensors, operators } = await written(space);
    const weightsOf = (result: string) => {
      const [, name] = /\(\S+, ([^,)]+)/.exec(operators.find((line) => line.endsWith(`-> ${result}`))!)!;
      const { dtype, zeroPoint, values } = tensors.get(name!)!;
      return { dtype, zeroPoint, values };
    };
    expect(weightsOf("y16")).toEqual({ dtype: "INT8", zeroPoint: [0], values: [1, -2, 3, -4] });
    expect(weightsOf("y8")).toEqual({ dtype: "UINT8", zeroPoint: [128], values: [129, 126, 131, 124] });
    expect(tensors.get("y8")).toMatchObject({ dtype: "UINT8", zeroPoint: [125] });
  });

  test("int8 becomes uint8 and the same int8 again: values and zero points move by 128, scales stay", async () => {
    const made = model(["x"], ["y"], (graph) =>
      graph
        .tensor("x", [1, 2], "INT8", quantized(0.01, 3))
        .constant("w", [2, 2], Int8Array.of(-128, -1, 0, 127), quantizedAs("INT8", [0.5, 0.25], [0, 0]))
        .constant("b", [2], Int32Array.of(7, -9), quantizedAs("INT32", [0.005, 0.0025], [0, 0]))
        .tensor("y", [1, 2], "INT8", quantized(0.02, -128))
        .operator("FULLY_CONNECTED", ["x", "w", "b"], ["y"], { type: "FullyConnectedOptions", value: {} }),
    );
    const turned = async (from: Model, to: "uint8" | "int8") => {
      const space = await spaceOf(from);
      for (const graph of space.graphs) requantize(graph, to, space.context);
      return { ...(await written(space)), notes: space.context.notes };
    };
    const before = await written(await spaceOf(made));
    const uint8 = await turned(made, "uint8");
    expect(uint8.tensors.get("x")).toMatchObject({ dtype: "UINT8", zeroPoint: [131] });
    expect(uint8.tensors.get("y")).toMatchObject({ dtype: "UINT8", zeroPoint: [0] });
    expect(uint8.tensors.get("w")).toMatchObject({ dtype: "UINT8", zeroPoint: [128, 128], values: [0, 127, 128, 255] });
    expect(uint8.tensors.get("w")!.scale).toEqual(before.tensors.get("w")!.scale);
    const again = await turned(uint8.model, "int8");
    expect(again.tensors).toEqual(before.tensors);
    expect(again.notes).toEqual([]);
  });

  test("uint8 weights around another zero point than 128 are warned of: int8 kernels take 0 only", async () => {
    const space = await spaceOf(
      model(["x"], ["y"], (graph) =>
        graph
          .tensor("x", [1, 2], "UINT8", quantized(0.01, 3))
          .constant("w", [2, 2], Uint8Array.of(0, 1, 200, 255), quantizedAs("UINT8", [0.5, 0.25], [128, 100]))
          .tensor("y", [1, 2], "UINT8", quantized(0.02, 0))
          .operator("FULLY_CONNECTED", ["x", "w"], ["y"], { type: "FullyConnectedOptions", value: {} }),
      ),
    );
    for (const graph of space.graphs) requantize(graph, "int8", space.context);
    expect(space.context.notes.map(({ code, numbers }) => [code, numbers])).toEqual([
      ["int8-weights-asymmetric", { zeroPoint: -28 }],
    ]);
    expect((await written(space)).tensors.get("w")).toMatchObject({
      zeroPoint: [0, -28],
      values: [-128, -127, 72, 127],
    });
  });

  const path = caseModel("26");
  test.if(path !== undefined)("turns nothing of conv_int16x8", () => {
    const opened = openModel(path!);
    const space = workspace(opened, DEFAULT_SCHEME);
    expect(space.graphs.map((graph) => requantize(graph, "uint8", space.context))).toEqual([0]);
    opened.close();
  });
});
