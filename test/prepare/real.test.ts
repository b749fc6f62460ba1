/** Real models: the same numbers before and after, with batch-norms put in too, and quantized to the end. */

import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import type { Output } from "../../src/base/output.ts";
import { quantize } from "../../src/commands/quantize.ts";
import { rangeOf } from "../../src/model/bytes.ts";
import {
  BuiltinOperator,
  type Conv2DOptions,
  type Model,
  type Operator,
  openModel,
  operatorName,
  operatorTexts,
  type Tensor,
} from "../../src/model/index.ts";
import { OPTIONS } from "../../src/options/table.ts";
import type { OptionValues } from "../../src/options/values.ts";
import { difference, largestDifference, numbers, opened, prepared, run } from "./support.ts";

const ROOT = join(import.meta.dir, "../..");
const paths = [join(ROOT, "../shared/models"), join(ROOT, "node_modules/@mediapipe/face_detection")]
  .filter((folder) => existsSync(folder))
  .flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)))
  .filter((path) => path.endsWith(".tflite"));

/**
 * Operators afterwards, counted in the files by hand: those that are neither DEQUANTIZE or DENSIFY of a constant nor a RELU behind an
 * operator that takes it (all of them are).
 */
const OPERATORS: Record<string, { before: number; relu: number }> = {
  "face_detection_short_range.tflite": { before: 164 - 74, relu: 17 },
  "hand_landmark_lite.tflite": { before: 167 - 102, relu: 0 },
  "iris_landmark.tflite": { before: 169, relu: 0 },
  "pose_detection.tflite": { before: 291 - 144 - 38, relu: 0 },
  "selfie_segmentation.tflite": { before: 246 - 110, relu: 22 },
  "face_detection_full_range.tflite": { before: 354 - 178, relu: 47 },
  "face_detection_full_range_sparse.tflite": { before: 388 - 182 - 46, relu: 0 },
};

const folder = mkdtempSync(join(tmpdir(), "minmaxq-prepare-"));
afterAll(() => rmSync(folder, { recursive: true }));

for (const path of paths) {
  const known = OPERATORS[basename(path)];
  describe(basename(path), () => {
    test("fused activations change no bit of any tensor", async () => {
      const of = openModel(path);
      try {
        const got = await prepared(of);
        if (known) {
          expect(operatorTexts(got.before)).toHaveLength(known.before);
          expect(operatorTexts(got.after)).toHaveLength(known.before - known.relu);
          expect(got.said).toEqual(known.relu > 0 ? [`fused ${known.relu} RELU`] : []);
        }
        expect(operatorTexts(got.after).filter((line) => line.startsWith("RELU("))).toEqual([]);
        expect(await largestDifference(got)).toBe(0);
      } finally {
        of.close();
      }
    }, 60_000);

    test("a batch-norm behind every convolution folds into it", async () => {
      const file = openModel(path);
      try {
        const { model, added } = withBatchNorms(file.model);
        const of = await opened(model);
        const got = await prepared(of);
        const kinds = (name: string) => got.said.join().match(new RegExp(`(\\d+) ${name} into`, "g")) ?? [];
        const folded = (name: string) => kinds(name).reduce((sum, text) => sum + Number.parseInt(text, 10), 0);
        expect([folded("MUL"), folded("ADD")]).toEqual([added, added]);
        // Rounding grows along a model, much where activations clamp large numbers. What the smallest change of the input (one
        // unit in the last place) makes of the same model is the measure: rounding within must not do much more.
        const before = await run(got.before);
        const noise = difference(before, await run(got.before, 1, 1 + 2 ** -23));
        expect(noise).toBeLessThan(1e-4);
        expect(difference(before, await run(got.after))).toBeLessThan(4 * noise);
      } finally {
        file.close();
      }
    }, 60_000);

    test("quantizes and verifies", async () => {
      const output = join(folder, `${basename(path)}.circle`);
      const lines = await quantized(path, output);
      const said = lines.find((line) => line.includes("prepared:"));
      expect(said).toBe(known?.relu ? `  prepared: fused ${known.relu} RELU` : undefined);
      const off = await quantized(path, output, ["all"]);
      expect(off.some((line) => line.includes("prepared:"))).toBe(false);
    }, 60_000);
  });
}

/** `minmaxq quantize PATH --data random:1`; throws when the result does not verify. Its lines. */
async function quantized(path: string, path2: string, off?: string[]): Promise<string[]> {
  const defaults = Object.entries(OPTIONS).map(([name, row]) => [name, "default" in row ? row.default : undefined]);
  const options = {
    ...Object.fromEntries(defaults),
    output: path2,
    data: [{ location: "random:1" }],
    numThreads: 1,
    withoutSteps: off,
  };
  const lines: string[] = [];
  const output: Output = { print: (line) => lines.push(line), tell: () => {}, progress: () => () => {} };
  await quantize.run([path], options as OptionValues, output);
  return lines;
}

/**
 * Each CONV_2D and DEPTHWISE_CONV_2D result r becomes r·m + a, with the activation behind: factors near 1 (so that the model's numbers
 * keep their size), one per channel.
 */
function withBatchNorms(model: Model): { model: Model; added: number } {
  const graph = model.subgraphs![0]!;
  const tensors: Tensor[] = [...graph.tensors!];
  const buffers = [...model.buffers!];
  const operatorCodes = [...model.operatorCodes!, code(BuiltinOperator.MUL), code(BuiltinOperator.ADD)];
  const operators: Operator[] = [];
  let added = 0;
  const constant = (values: Float32Array): number => {
    const buffer = buffers.push({ data: rangeOf(new Uint8Array(values.buffer)) }) - 1;
    return tensors.push({ name: `bn${tensors.length}`, shape: Int32Array.of(values.length), type: 0, buffer }) - 1;
  };
  for (const operator of graph.operators!) {
    const name = operatorName(model, operator);
    if (name !== "CONV_2D" && name !== "DEPTHWISE_CONV_2D") {
      operators.push(operator);
      continue;
    }
    const result = operator.outputs![0]!;
    const table = tensors[result]!;
    const channels = table.shape!.at(-1)!;
    const inner = () => tensors.push({ ...table, name: `${table.name}_bn${tensors.length}` }) - 1;
    const [convolved, multiplied] = [inner(), inner()];
    const options = operator.builtinOptions as { type: "Conv2DOptions"; value: Conv2DOptions };
    const { fusedActivationFunction } = options.value;
    const m = constant(numbers(channels, added + 1).map((value) => 1 + value / 4));
    const a = constant(numbers(channels, added + 1000).map((value) => value / 4));
    operators.push(
      {
        ...operator,
        outputs: Int32Array.of(convolved),
        builtinOptions: { ...options, value: { ...options.value, fusedActivationFunction: 0 } },
      },
      {
        opcodeIndex: operatorCodes.length - 2,
        inputs: Int32Array.of(convolved, m),
        outputs: Int32Array.of(multiplied),
        builtinOptions: { type: "MulOptions", value: {} },
      },
      {
        opcodeIndex: operatorCodes.length - 1,
        inputs: Int32Array.of(multiplied, a),
        outputs: Int32Array.of(result),
        builtinOptions: { type: "AddOptions", value: { fusedActivationFunction } },
      },
    );
    added++;
  }
  const subgraph = { ...graph, tensors, operators };
  return { model: { ...model, operatorCodes, buffers, subgraphs: [subgraph, ...model.subgraphs!.slice(1)] }, added };
}

function code(builtinCode: BuiltinOperator) {
  return { builtinCode, version: 1 };
}
