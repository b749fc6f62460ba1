/**
 * The reference's Conv2D_004 from end to end, with the numbers of its own repository's test: a golden case that needs
 * nothing beside the project.
 */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCircleQuantizer } from "../../src/drop-in/circle-quantizer.ts";
import { rangeOf, readRange } from "../../src/model/bytes.ts";
import {
  ActivationFunctionType,
  BuiltinOperator,
  type Model,
  openModel,
  Padding,
  type Tensor,
  TensorType,
  writeModel,
} from "../../src/model/index.ts";
import { factsOf } from "../helpers/facts.ts";

const folder = mkdtempSync(join(tmpdir(), "minmaxq-own-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const KERNEL = [1, 2, -3, -4, -5, 6, -7, 8, 4, -2, 3, -1, -8, -6, 7, 5];

/** ifm → CONV_2D with RELU → ofm; both with recorded ranges. */
function conv2d004(): Model {
  const activation = (name: string, shape: number[], min: number, max: number): Tensor => ({
    name,
    shape: Int32Array.from(shape),
    quantization: { min: Float32Array.of(min), max: Float32Array.of(max) },
  });
  const floats = (values: number[]) => ({ data: rangeOf(new Uint8Array(Float32Array.from(values).buffer)) });
  return {
    version: 0,
    operatorCodes: [{ builtinCode: BuiltinOperator.CONV_2D }],
    buffers: [{}, floats(KERNEL), floats([1, 2])],
    subgraphs: [
      {
        tensors: [
          activation("ifm", [1, 4, 3, 2], 0.022708916887640953, 0.9911645770072937),
          { name: "ker", shape: Int32Array.of(2, 2, 2, 2), buffer: 1 },
          { name: "bias", shape: Int32Array.of(2), buffer: 2 },
          activation("ofm", [1, 2, 2, 2], 0, 14.86595230102539),
        ],
        inputs: Int32Array.of(0),
        outputs: Int32Array.of(3),
        operators: [
          {
            inputs: Int32Array.of(0, 1, 2),
            outputs: Int32Array.of(3),
            builtinOptions: {
              type: "Conv2DOptions",
              value: {
                padding: Padding.VALID,
                strideW: 1,
                strideH: 2,
                fusedActivationFunction: ActivationFunctionType.RELU,
              },
            },
          },
        ],
      },
    ],
  };
}

interface Expected {
  dtype: TensorType;
  /** f32 bits. */
  scale: string[];
  zeroPoint: number[];
  values?: (number | bigint)[];
}

/** Quantizes the model and compares each tensor by name, bit for bit. */
async function check(dtype: "uint8" | "int16", expected: Record<string, Expected>): Promise<void> {
  const input = join(folder, "input.circle");
  const output = join(folder, `${dtype}.circle`);
  await writeModel(conv2d004(), input, { dialect: "circle" });
  await runCircleQuantizer(["--quantize_with_minmax", "float32", dtype, "channel", input, output]);

  const [graph] = factsOf(output).graphs;
  expect(graph!.operators.map(({ op }) => op)).toEqual(["CONV_2D"]);
  expect(graph!.tensors.map(({ name }) => name).sort()).toEqual(Object.keys(expected).sort());
  for (const { name, quant } of graph!.tensors) {
    const { scale, zeroPoint } = expected[name]!;
    expect({ name, ...quant }).toEqual({ name, scale, zero_point: zeroPoint, min: [], max: [], axis: 0 });
  }
  const opened = openModel(output);
  for (const tensor of opened.model.subgraphs![0]!.tensors!) {
    const { dtype: type, values } = expected[tensor.name!]!;
    expect(tensor.type ?? 0).toBe(type);
    if (values) expect(valuesOf(opened.model, tensor)).toEqual(values);
  }
  opened.close();
}

function valuesOf(model: Model, tensor: Tensor): (number | bigint)[] {
  const { buffer } = readRange(model.buffers![tensor.buffer!]!.data as never);
  switch (tensor.type) {
    case TensorType.UINT8:
      return [...new Uint8Array(buffer)];
    case TensorType.INT16:
      return [...new Int16Array(buffer)];
    case TensorType.INT32:
      return [...new Int32Array(buffer)];
    default:
      return [...new BigInt64Array(buffer)];
  }
}

test("Conv2D_004, uint8 by channel", async () => {
  const { UINT8, INT32 } = TensorType;
  await check("uint8", {
    ifm: { dtype: UINT8, scale: ["3b7ebbb2"], zeroPoint: [0] },
    ker: {
      dtype: UINT8,
      scale: ["3d70f0f1", "3d70f0f1"],
      zeroPoint: [119, 136],
      values: [136, 153, 68, 51, 34, 221, 0, 255, 204, 102, 187, 119, 0, 34, 255, 221],
    },
    // 2.2864236e-4, input × weights
    bias: { dtype: INT32, scale: ["396fbfb7", "396fbfb7"], zeroPoint: [0, 0], values: [4374, 8747] },
    ofm: { dtype: UINT8, scale: ["3d6ec9bb"], zeroPoint: [0] }, // 0.05829785
  });
});

test("Conv2D_004, int16 by channel", async () => {
  const { INT16, INT64 } = TensorType;
  await check("int16", {
    ifm: { dtype: INT16, scale: ["37fdbef1"], zeroPoint: [0] },
    ker: {
      dtype: INT16,
      scale: ["39800100", "39800100"],
      zeroPoint: [0, 0],
      values: [
        ...[4096, 8192, -12288, -16384, -20479, 24575, -28671, 32767],
        ...[16384, -8192, 12288, -4096, -32767, -24575, 28671, 20479],
      ],
    },
    bias: { dtype: INT64, scale: ["31fdc0ec", "31fdc0ec"], zeroPoint: [0, 0], values: [135405920n, 270811840n] },
    ofm: { dtype: INT16, scale: ["39eddccd"], zeroPoint: [0] },
  });
});
