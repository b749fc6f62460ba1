/**
 * The real models of ../shared/models through `quantize --data`: every result verifies, and every weight and bias stands for
 * its original value to within half a step.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { quantize } from "../src/commands/quantize.ts";
import { activeNodes, type Graph, isConstant, type Node } from "../src/graph/graph.ts";
import { readRange } from "../src/model/bytes.ts";
import { openModel } from "../src/model/index.ts";
import { OPTIONS } from "../src/options/table.ts";
import type { OptionValues } from "../src/options/values.ts";
import { PREPARE_NAMES } from "../src/passes/prepare/index.ts";
import { workspace } from "../src/passes/workspace.ts";
import { roleOf, rowOf } from "../src/rules/operators.ts";
import { SCHEMES } from "../src/rules/schemes.ts";

const SHARED = join(import.meta.dir, "../../shared");
const MODELS: Readonly<Record<string, string>> = {
  face_detection_short_range: "face_128.npz",
  hand_landmark_lite: "hand_224.npz",
  iris_landmark: "iris_64.npz",
  pose_detection: "pose_224.npz",
  selfie_segmentation: "selfie_256.npy",
};
const SETTINGS = [
  { dtype: "uint8", granularity: "layer" },
  { dtype: "uint8", granularity: "channel" },
  { dtype: "int16", granularity: "channel" },
] as const;

const folder = mkdtempSync(join(tmpdir(), "minmaxq-models-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const silent = { print: () => {}, tell: () => {}, progress: () => () => {} };

function defaults(): OptionValues {
  const values = Object.entries(OPTIONS).map(([name, row]) => [name, "default" in row ? row.default : undefined]);
  return Object.fromEntries(values.filter(([, value]) => value !== undefined)) as OptionValues;
}

if (existsSync(SHARED)) {
  for (const [model, data] of Object.entries(MODELS)) {
    describe(model, () => {
      for (const setting of SETTINGS) {
        test(`${setting.dtype} ${setting.granularity}`, async () => {
          const input = join(SHARED, "models", `${model}.tflite`);
          const output = join(folder, `${model}.circle`);
          // The command verifies before it writes and throws otherwise.
          // Prepared weights (batch-norm folded in) are no longer the original ones.
          const withoutSteps = [...PREPARE_NAMES];
          const options = {
            ...defaults(),
            ...setting,
            withoutSteps,
            data: [{ location: join(SHARED, "calibration", data) }],
            output,
          };
          await quantize.run([input], options, silent);
          const { weights, bias } = worstSteps(input, output);
          // Half a step, beyond what f32 arithmetic costs (worstOf).
          expect(weights).toBeLessThanOrEqual(0.5);
          expect(bias).toBeLessThanOrEqual(0.5);
        }, 120_000);
      }
    });
  }
} else {
  console.log("../shared is not there: the tests on real models are skipped");
  test.skip("real models", () => {});
}

/** The largest distance of a dequantized weight (and bias) from the original, in steps, over all of the model. */
function worstSteps(input: string, output: string): { weights: number; bias: number } {
  const original = openModel(input);
  const quantized = openModel(output);
  const before = workspace(original, { scheme: SCHEMES.uint8, granularity: "channel" });
  const after = workspace(quantized, { scheme: SCHEMES.uint8, granularity: "channel" });
  const operators = new Map(operatorsOf(before.graphs[0]!).map((node) => [node.name, node]));
  const worst = { weights: 0, bias: 0 };
  let compared = 0;
  for (const node of operatorsOf(after.graphs[0]!)) {
    for (const [index, operand] of node.inputs.entries()) {
      const { role } = roleOf(rowOf(node.op), index);
      if ((role !== "weights" && role !== "bias") || !isConstant(operand) || operand.dtype === "FLOAT32") continue;
      const source = operators.get(node.name)!.inputs[index]!;
      const values = before.context.scanner.values(source.name, source.constant!);
      worst[role] = Math.max(worst[role], worstOf(operand, values));
      compared++;
    }
  }
  expect(compared).toBeGreaterThan(40);
  original.close();
  quantized.close();
  return worst;
}

const operatorsOf = (graph: Graph) => activeNodes(graph).filter((node) => node.kind === "operator");

/** Naive dequantization of one constant against its original values. */
function worstOf(node: Node, values: Float32Array): number {
  const constant = node.constant!;
  if (constant.kind !== "stored") throw new Error("a quantized constant is stored");
  const { buffer } = readRange(constant.content);
  const integers =
    node.dtype === "UINT8"
      ? new Uint8Array(buffer)
      : node.dtype === "INT16"
        ? new Int16Array(buffer)
        : node.dtype === "INT32"
          ? new Int32Array(buffer)
          : new BigInt64Array(buffer);
  const { scale, zeroPoint, axis } = node.quant!;
  const inner = scale.length === 1 ? values.length : node.shape.slice(axis + 1).reduce((a, b) => a * b, 1);
  let worst = 0;
  for (let i = 0; i < values.length; i++) {
    const channel = scale.length === 1 ? 0 : Math.floor(i / inner) % scale.length;
    const value = (Number(integers[i]!) - Number(zeroPoint[channel]!)) * scale[channel]!;
    // What f32 arithmetic costs: a few roundings of 2⁻²⁴ each, of the value itself (bias · f32(1/scale)) or, for asymmetric
    // weights, of its distance from the range's end, which is at most 255 steps.
    const slack = Math.max(Math.abs(values[i]!), 255 * scale[channel]!) * 2 ** -22;
    worst = Math.max(worst, (Math.abs(value - values[i]!) - slack) / scale[channel]!);
  }
  return worst;
}
