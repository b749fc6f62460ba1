/** Models with a state in variable tensors through `quantize` and `compare`. Expected values are computed by hand. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { quantize } from "../../src/driver/quantize.ts";
import { type Model, nameOf, openModel, serializeModel, TensorType } from "../../src/model/index.ts";
import { SCHEMES } from "../../src/rules/schemes.ts";
import { floats, outputsOf } from "../calibration/support.ts";
import { int8Lstm } from "../helpers/int8-lstm.ts";
import { model } from "../helpers/models.ts";
import { compared, fakeQuantized } from "./support.ts";

const folder = mkdtempSync(join(tmpdir(), "minmaxq-recurrent-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** a = x · first; r = a + kept · (r before); y = r. */
function accumulator(kept: number): Model {
  return model(["x"], ["y"], (graph) =>
    graph
      .tensor("x", [1, 2])
      .constant("first", [2, 2], Float32Array.of(2, 0, 0, 2))
      .constant("one", [2, 2], Float32Array.of(1, 0, 0, 1))
      .constant("kept", [2, 2], Float32Array.of(kept, 0, 0, kept))
      .constant("b", [2], new Float32Array(2))
      .tensor("h", [1, 2], "FLOAT32", { isVariable: true })
      .tensor("a", [1, 2])
      .tensor("r", [1, 2])
      .tensor("y", [1, 2])
      .operator("FULLY_CONNECTED", ["x", "first", "b"], ["a"], { type: "FullyConnectedOptions", value: {} })
      .operator("RNN", ["a", "one", "kept", "b", "h"], ["r"], { type: "RNNOptions", value: {} })
      .operator("FULLY_CONNECTED", ["r", "one", "b"], ["y"], { type: "FullyConnectedOptions", value: {} }),
  );
}

test("a state counts in a sequence alone", async () => {
  const records = [[floats(1, 2)], [floats(3, -1)], [floats(0, 4)]];
  const alone = await compared(accumulator(1), accumulator(0), records);
  expect(alone.outputs[0]!.metrics.mse).toBe(0);
  const following = await compared(accumulator(1), accumulator(0), records, { sequence: true });
  // What is kept: 0 and 0; 2 and 4; 8 and 2.
  expect(following.outputs[0]!.metrics.mse).toBeCloseTo((0 + 0 + 4 + 16 + 64 + 4) / 6, 5);
});

test("the operator stays float with its reason, the rest is quantized", async () => {
  const path = join(folder, "m.tflite");
  await Bun.write(path, await serializeModel({ ...accumulator(0.5), version: 3 }, { dialect: "tflite" }));
  const output = join(folder, "q.tflite");
  const report = await quantize({
    model: path,
    output,
    options: { scheme: SCHEMES.int8, granularity: "channel" },
    samples: { sources: [{ location: "random:4" }], reduction: { kind: "minmax" } },
  });
  expect(report.notes.filter(({ kind }) => kind === "float").map(({ text }) => text)).toEqual([
    'RNN "r": LiteRT has no int8 kernel for it',
  ]);
  expect(report.run).toEqual({
    runtime: "LiteRT",
    ran: false,
    reason: `LiteRT's WASM build loads no variable tensors ("h"); all operators without a state ran one by one`,
  });
  const opened = openModel(output);
  const { tensors } = opened.model.subgraphs![0]!;
  const dtypes = Object.fromEntries(tensors!.map(({ name, type }) => [name, nameOf(TensorType, type ?? 0)]));
  opened.close();
  expect(dtypes).toMatchObject({ x: "INT8", first: "INT8", y: "INT8", h: "FLOAT32", r: "FLOAT32", kept: "FLOAT32" });
});

test("an LSTM in integers as the float model that rounds as it does: what LiteRT's int8 kernel gives", async () => {
  const { made, integers, litert } = int8Lstm();
  const fake = await fakeQuantized(made);
  // The state is no activation: nothing stands between it and its operator.
  const { tensors } = fake.subgraphs![0]!;
  expect(tensors!.filter(({ isVariable }) => isVariable).map(({ name, type = 0 }) => [name, type])).toEqual([
    ["h", TensorType.FLOAT32],
    ["c", TensorType.FLOAT32],
  ]);
  const [values] = await outputsOf(fake, [floats(...integers.map((q) => (q - 3) * 0.01))]);
  expect([...values!].map((value) => value * 128)).toEqual(litert);
});
