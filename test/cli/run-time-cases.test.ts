/** Models whose sizes, state or control flow only the run knows: quantized, verified and compared by the executable. Inputs are of the case folders. */
import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { shared } from "../calibration/support.ts";
import { cleanUpAfterwards, folder, minmaxq, succeeded } from "./support.ts";

cleanUpAfterwards();

/** Path and the least SQNR of its float outputs; 0 where an output is an index, or which values are chosen changes with rounding. */
const CASES: readonly [path: string, sqnr: number][] = [
  ["02-resource-variables-random-ranges/resvar", 25],
  ["04-keras3-rnn-return-sequences-cannot-run/keras_gru_seq", 30],
  ["04-keras3-rnn-return-sequences-cannot-run/lstm", 30],
  ["07-data-dependent-shapes/nms", 0],
  ["07-data-dependent-shapes/where_static", 20],
  ["07-data-dependent-shapes/whr", 0],
  ["11-random-uniform/random_op", 30],
  ["13-zero-size-output/zerodim", 30],
  ["28-sizes-known-at-run-time/dilated_conv", 30],
  ["28-sizes-known-at-run-time/topk_runtime_k", 0],
  ["28-sizes-known-at-run-time/while_dynamic", 30],
];

describe("case folders", () => {
  for (const [path, sqnr] of CASES) {
    test(path, async () => {
      const model = shared(`cases/${path}.tflite`);
      if (!model) return;
      const samples = model.replace(/tflite$/, "npz");
      const data = existsSync(samples) ? samples : "random:4";
      // Its sizes are open, and made-up samples do not tell them.
      const sizes = path.endsWith("dilated_conv") ? ["--input-shape", "input_1=1,16,16,3"] : [];
      const cwd = folder();
      await succeeded(["quantize", model, "--data", data, ...sizes, "-o", "q.circle"], { cwd });
      await succeeded(["verify", "q.circle"], { cwd });
      const compare = ["compare", model, "q.circle", "--data", data, ...sizes];
      const { out } = await succeeded([...compare, "--fail-below", `sqnr=${sqnr}`], { cwd });
      if (path.startsWith("13")) expect(out).toContain("not compared: 1 tensor without elements:\n  Identity_1");
    });
  }

  test("10: variables without a value are an error of quantize, with their names", async () => {
    const model = shared("cases/10-uninitialized-variables/uninit_vars_base.tflite");
    if (!model) return;
    const { code, err } = await minmaxq(["quantize", model, "--data", "random:1", "-o", "q.circle"], { cwd: folder() });
    expect(code).toBe(1);
    expect(err).toMatch(/the variables "sequential_18\/\S+", .* are read, but nothing assigns a value/);
  });

  test("16: one line about the Flex operator", async () => {
    const model = shared("cases/16-flex-error-text/flexop.tflite");
    if (!model) return;
    const { code, err } = await minmaxq(["quantize", model, "--data", "random:1", "-o", "q.circle"], { cwd: folder() });
    expect(code).toBe(1);
    expect(err).toContain('CUSTOM:FlexMatrixDeterminant "Identity": LiteRT does not know this custom operator');
    expect(err).not.toContain("Android");
  });
});
