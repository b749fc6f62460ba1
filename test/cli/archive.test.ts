/** An archive behind a model survives every command that writes a model, in the executable. */
import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { zipSync } from "fflate";
import { serializeModel } from "../../src/model/index.ts";
import { model, recorded } from "../helpers/models.ts";
import { cleanUpAfterwards, folder, minmaxq } from "./support.ts";

cleanUpAfterwards();

const ZIP = Buffer.from(zipSync({ "labels.txt": Buffer.from("cat\ndog\n") }));

test("labels.txt stays, and inspect lists it", async () => {
  const cwd = folder();
  const made = model(["x"], ["y"], (graph) =>
    graph
      .tensor("x", [1, 4], "FLOAT32", recorded(-1, 1))
      .constant(
        "w",
        [8, 4],
        Float32Array.from({ length: 32 }, (_, i) => i / 16 - 1),
      )
      .tensor("y", [1, 8], "FLOAT32", recorded(-4, 4))
      .operator("FULLY_CONNECTED", ["x", "w", ""], ["y"], { type: "FullyConnectedOptions", value: {} }),
  );
  const bytes = await serializeModel({ ...made, version: 3 }, { dialect: "tflite" });
  writeFileSync(join(cwd, "m.tflite"), Buffer.concat([bytes, ZIP]));
  const run = async (...args: string[]) => {
    const { code, out, err } = await minmaxq(args, { cwd });
    expect([code, err]).toEqual([0, expect.any(String)]);
    return out;
  };
  const writers = [
    ["convert", "m.tflite", "-o", "convert.circle"],
    ["quantize", "m.tflite", "--no-run", "-o", "quantize.tflite"],
    ["record", "m.tflite", "--data", "random:2", "-o", "record.circle"],
    ["quantize-weights", "m.tflite", "-o", "weights.tflite"],
    ["fake-quantize", "quantize.tflite", "-o", "fake.tflite"],
    ["circle-quantizer", "--quantize_with_minmax", "float32", "uint8", "channel", "convert.circle", "front.circle"],
  ];
  for (const args of writers) {
    await run(...args);
    const file = readFileSync(join(cwd, args.at(-1)!));
    expect([args[0], file.subarray(-ZIP.length).equals(ZIP)]).toEqual([args[0], true]);
  }
  expect(await run("inspect", "front.circle")).toContain("associated files: labels.txt (8 bytes)");
  expect(JSON.parse(await run("inspect", "fake.tflite", "--json")).files).toEqual([{ name: "labels.txt", bytes: 8 }]);
});
