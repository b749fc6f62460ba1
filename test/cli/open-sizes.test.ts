/** A model whose height and width are open, by the executable: samples of two sizes, --input-shape, and what is said of made-up samples. */
import { expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { openModel, serializeModel } from "../../src/model/index.ts";
import { GraphBuilder, ModelBuilder } from "../calibration/models.ts";
import { file, floats, npy } from "../calibration/support.ts";
import { cleanUpAfterwards, folder, minmaxq, succeeded } from "./support.ts";

cleanUpAfterwards();

/** `y = mean over height and width of x`, times 2. */
async function prepared(): Promise<string> {
  const cwd = folder();
  const builder = new ModelBuilder();
  const shapeSignature = Int32Array.of(1, -1, -1, 2);
  const model = builder.model(
    new GraphBuilder(builder)
      .tensor("x", [1, 1, 1, 2], "FLOAT32", { shapeSignature })
      .constant("axes", [2], Int32Array.of(1, 2))
      .tensor("y", [1, 2])
      .operator("MEAN", ["x", "axes"], ["y"], { type: "ReducerOptions", value: {} })
      .graph(["x"], ["y"]),
  );
  file(cwd, "m.tflite", await serializeModel(model, { dialect: "tflite" }));
  mkdirSync(join(cwd, "samples"));
  for (const [i, [height, width]] of [
    [4, 6],
    [9, 2],
  ].entries()) {
    const count = height! * width! * 2;
    // Means are 1 and 3.
    const values = floats(...Array.from({ length: count }, (_, at) => (at < count / 2 ? 0 : 2 + 4 * i)));
    file(join(cwd, "samples"), `${i}.npy`, npy("<f4", [1, height!, width!, 2], values));
  }
  return cwd;
}

test("each sample has its own size, in quantize and compare", async () => {
  const cwd = await prepared();
  const data = ["--data", "samples"];
  const { out } = await succeeded(["quantize", "m.tflite", ...data, "--mode", "minmax", "-o", "q.circle"], { cwd });
  expect(out).not.toContain("warning");
  const opened = openModel(join(cwd, "q.circle"));
  const tensors = opened.model.subgraphs![0]!.tensors!;
  const scaleOf = (name: string) => tensors.find((each) => each.name === name)!.quantization!.scale![0]!;
  expect(scaleOf("x")).toBeCloseTo(6 / 255, 6);
  expect(scaleOf("y")).toBeCloseTo(3 / 255, 6);
  opened.close();
  const compared = await succeeded(["compare", "m.tflite", "q.circle", ...data, "--json"], { cwd });
  const { outputs, samples } = JSON.parse(compared.out);
  expect(samples).toBe(2);
  expect(outputs[0].metrics.sqnr === null || outputs[0].metrics.sqnr > 40).toBe(true);
});

test("made-up samples need --input-shape, or are said to mean nothing", async () => {
  const cwd = await prepared();
  const run = ["quantize", "m.tflite", "--data", "random:2", "--force", "-o", "q.circle"];
  const without = await minmaxq(run, { cwd });
  expect(without.out + without.err).toContain(
    'warning: input "x": [1, ?, ?, 2] has sizes that the model leaves open, and random samples are [1, 1, 1, 2]',
  );
  const given = await minmaxq([...run, "--input-shape", "x=1,8,8,2"], { cwd });
  expect(given.code).toBe(0);
  expect(given.out + given.err).not.toContain("leaves open");
  const compare = await minmaxq(["compare", "m.tflite", "q.circle", "--data", "random:2"], { cwd });
  expect(compare.err).toContain("--input-shape");
  const wrong = await minmaxq([...run, "--input-shape", "x=1,8,8,3"], { cwd });
  expect(wrong.code).toBe(2);
  expect(wrong.err).toContain('--input-shape: [1, 8, 8, 3] does not fit input "x", which is [1, ?, ?, 2]');
});
