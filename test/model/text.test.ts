/** The text form of a model: what each line says, and that it is the same for the same tables. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { MemoryBytes } from "../../src/model/bytes.ts";
import {
  ActivationFunctionType,
  operatorTexts,
  readModel,
  serializeModel,
  subgraphText,
} from "../../src/model/index.ts";
import { cleanUpAfterwards, folder, minmaxq, REAL } from "../cli/support.ts";
import { model } from "../helpers/models.ts";

cleanUpAfterwards();

const made = () =>
  model(["x"], ["y", "z"], (graph) =>
    graph
      .tensor("x", [1, 4], "UINT8", { quantization: { scale: Float32Array.of(0.5), zeroPoint: BigInt64Array.of(3n) } })
      .constant("w", [2, 4], new Float32Array(8))
      .tensor("y", [1, 2], "FLOAT32", { quantization: { min: Float32Array.of(-1), max: Float32Array.of(1 / 3) } })
      .tensor("z", [1, 2])
      .operator("FULLY_CONNECTED", ["x", "w", ""], ["y"], {
        type: "FullyConnectedOptions",
        value: { fusedActivationFunction: ActivationFunctionType.RELU6, keepNumDims: true },
      })
      .operator("CUSTOM", ["y"], ["z"], undefined, "Mine"),
  );

const LINES = [
  "input x UINT8[1,4] scale 0.5 zero point 3",
  "constant w FLOAT32[2,4]",
  "FULLY_CONNECTED(x, w, -) RELU6 {keepNumDims true} -> y FLOAT32[1,2] range -1…0.333333",
  "CUSTOM:Mine(y) -> z FLOAT32[1,2]",
  "output y",
  "output z",
];

test("a line for each input, constant, operator and output; the same after writing and reading", async () => {
  expect(subgraphText(made(), 0)).toEqual(LINES);
  const bytes = await serializeModel(made(), { dialect: "tflite" });
  expect(subgraphText(readModel(new MemoryBytes(bytes)).model, 0)).toEqual(LINES);
});

test("operators by names alone", () => {
  expect(operatorTexts(made())).toEqual(["FULLY_CONNECTED(x, w, -) RELU6 -> y", "CUSTOM:Mine(y) -> z"]);
});

test("inspect --text prints every subgraph so, without colours", async () => {
  const { code, out, err } = await minmaxq(["inspect", REAL, "--text"], { cwd: folder() });
  expect({ code, err }).toEqual({ code: 0, err: "" });
  const { model: real } = readModel(new MemoryBytes(readFileSync(REAL)));
  expect(out.split("\n")).toEqual([
    `subgraph 0 "${real.subgraphs![0]!.name ?? ""}"`,
    ...subgraphText(real, 0).map((line) => `  ${line}`),
    "",
  ]);
  // The detector's first convolution, as the file's own tables have it.
  expect(out.split("\n").find((line) => line.startsWith("  CONV_2D"))).toBe(
    "  CONV_2D(input, conv2d/Kernel_dequantize, conv2d/Bias_dequantize) {strideW 2, strideH 2} -> conv2d FLOAT32[1,64,64,24]",
  );
});
