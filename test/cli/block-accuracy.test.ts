/** --accuracy with weights in blocks, through the executable. */
import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { serializeModel } from "../../src/model/index.ts";
import { randomFloats } from "../accuracy/support.ts";
import { npy } from "../calibration/support.ts";
import { model } from "../helpers/models.ts";
import { cleanUpAfterwards, folder, succeeded } from "./support.ts";

cleanUpAfterwards();

const [ROWS, WIDTH] = [64, 128];
const FC = { type: "FullyConnectedOptions", value: { keepNumDims: true } } as const;

const twoLayers = () =>
  model(["x"], ["z"], (graph) =>
    graph
      .tensor("x", [1, ROWS, WIDTH])
      .tensor("y", [1, ROWS, WIDTH])
      .tensor("z", [1, ROWS, WIDTH])
      .constant("w", [WIDTH, WIDTH], randomFloats(WIDTH * WIDTH, 1))
      .constant("a", [WIDTH], randomFloats(WIDTH, 2))
      .constant("v", [WIDTH, WIDTH], randomFloats(WIDTH * WIDTH, 3))
      .constant("b", [WIDTH], randomFloats(WIDTH, 4))
      .operator("FULLY_CONNECTED", ["x", "w", "a"], ["y"], FC)
      .operator("FULLY_CONNECTED", ["y", "v", "b"], ["z"], FC),
  );

/** A .npy file of samples whose values hang together. */
function samples(count: number, seed: number): Uint8Array {
  const values = randomFloats(count * ROWS * WIDTH, seed);
  for (let i = 0; i < values.length; i++) if (i % WIDTH > 0) values[i] = 0.9 * values[i - 1]! + 0.3 * values[i]!;
  return npy("<f4", [count, 1, ROWS, WIDTH], new Uint8Array(values.buffer));
}

test("least squares win several dB over the nearest integers, on samples that they have not seen", async () => {
  const cwd = folder();
  writeFileSync(join(cwd, "model.tflite"), await serializeModel(twoLayers(), { dialect: "tflite" }));
  writeFileSync(join(cwd, "some.npy"), samples(12, 5));
  writeFileSync(join(cwd, "others.npy"), samples(6, 6));
  const quantized = async (name: string, ...words: string[]) => {
    const own = ["quantize", "model.tflite", "--scheme", "dynamic-int4", "--block", "32", "-o", name, "--json"];
    const { out } = await succeeded([...own, ...words], { cwd });
    const compared = await succeeded(["compare", "model.tflite", name, "--data", "others.npy", "--json"], { cwd });
    const { outputs } = JSON.parse(compared.out) as { outputs: { metrics: { sqnr: number } }[] };
    const { notes } = JSON.parse(out) as { notes: { code: string; text: string }[] };
    return { sqnr: outputs[0]!.metrics.sqnr, notes: notes.filter(({ code }) => code === "rounding") };
  };
  const plain = await quantized("plain.tflite");
  const best = await quantized("best.tflite", "--data", "some.npy", "--accuracy", "best");
  expect(best.notes.map(({ text }) => text)).toEqual([expect.stringContaining("; kept")]);
  expect(best.sqnr).toBeGreaterThan(plain.sqnr + 3);
  // Where nothing is tried, least squares are taken as they are; the same bytes on any number of threads.
  const words = ["--data", "some.npy", "--rounding", "gptq", "--bias-correction"];
  const one = await quantized("one.tflite", ...words, "--num-threads", "1");
  await quantized("two.tflite", ...words, "--num-threads", "2");
  expect(one.sqnr).toBeGreaterThan(plain.sqnr + 3);
  const bytes = (name: string) => Bun.file(join(cwd, name)).bytes();
  expect(Buffer.compare(await bytes("one.tflite"), await bytes("two.tflite"))).toBe(0);
}, 60_000);
