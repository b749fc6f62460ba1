/** `compare` takes the data that `quantize` took, and entries by signature names; ../shared/cases/14 and 15. */
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { zipSync } from "fflate";
import { type InputSpec, inputSpecs, openDataSet } from "../../src/calibration/index.ts";
import { compareModels } from "../../src/compare/compare.ts";
import { openSide } from "../../src/compare/side.ts";
import { type Model, openModel, TensorType } from "../../src/model/index.ts";
import { all, bytesOf, file, floats, folder, messageOf, npy } from "../calibration/support.ts";
import { model, quantized } from "../helpers/models.ts";
import { reopened } from "../passes/support.ts";

/** y = x · 3 for an integer input; with `step`, rounded to its multiples. */
function tripled(dtype: "UINT8" | "INT8" | "INT16", zeroPoint: number, step?: number): Model {
  return model(["x"], [step ? "y" : "m"], (graph) => {
    graph
      .tensor("x", [1, 4], dtype, quantized(0.25, zeroPoint))
      .tensor("d", [1, 4])
      .constant("c", [1], Float32Array.of(3))
      .tensor("m", [1, 4])
      .operator("DEQUANTIZE", ["x"], ["d"])
      .operator("MUL", ["d", "c"], ["m"], { type: "MulOptions", value: {} });
    if (step) graph.tensor("y", [1, 4], "INT16", quantized(step, 0)).operator("QUANTIZE", ["m"], ["y"]);
  });
}

async function mse(path: string, dtype: "UINT8" | "INT8" | "INT16", zeroPoint: number): Promise<number> {
  const sides = [
    await openSide(await reopened(tripled(dtype, zeroPoint))),
    await openSide(await reopened(tripled(dtype, zeroPoint, 8))),
  ] as const;
  const open = (inputs: readonly InputSpec[]) => openDataSet(path, inputs);
  const { outputs, records } = await compareModels(sides, open, { workers: 1 });
  expect(records).toBe(2);
  return outputs[0]!.metrics.mse;
}

/** By hand: 3 · 0.25 · (q − zero point) against the same at steps of 8. */
function expected(integers: readonly number[], zeroPoint: number): number {
  const values = integers.map((q) => 0.75 * (q - zeroPoint));
  const rounded = (value: number) => Math.sign(value) * Math.floor(Math.abs(value) / 8 + 0.5) * 8;
  return values.reduce((sum, value) => sum + (value - rounded(value)) ** 2, 0) / values.length;
}

const DTYPES = [
  { dtype: "UINT8", descr: "|u1", zeroPoint: 10, integers: [0, 13, 27, 255, 9, 31, 10, 100] },
  { dtype: "INT8", descr: "|i1", zeroPoint: -3, integers: [-128, 127, 0, -3, 5, 11, -17, 40] },
  { dtype: "INT16", descr: "<i2", zeroPoint: 0, integers: [-30, 31, 0, 17, 9000, -17, 8, 1] },
] as const;

for (const { dtype, descr, zeroPoint, integers } of DTYPES) {
  test(`${dtype} data for a ${dtype} input stand for scale · (q − zero point)`, async () => {
    const array = { UINT8: Uint8Array, INT8: Int8Array, INT16: Int16Array }[dtype].from(integers);
    const where = folder();
    const path = file(where, "q.npy", npy(descr, [2, 4], bytesOf(array)));
    const found = await mse(path, dtype, zeroPoint);
    expect(found).toBeCloseTo(expected(integers, zeroPoint), 4);
    // The floats themselves are taken, too.
    const values = floats(...integers.map((q) => 0.25 * (q - zeroPoint)));
    expect(await mse(file(where, "f.npy", npy("<f4", [2, 4], values)), dtype, zeroPoint)).toBe(found);
  });
}

test("data that fit neither are refused with what the float model wants", async () => {
  const path = file(folder(), "q.npy", npy("<i8", [2, 4], new Uint8Array(64)));
  expect(await messageOf(() => mse(path, "UINT8", 0))).toContain('model input "x" (FLOAT32 [1, 4]) wants FLOAT32');
});

test("entries of an .npz are found by signature names; the tensor's own name comes first", async () => {
  const made: Model = {
    ...model(["serving_default_a:0", "serving_default_b:0"], ["y"], (graph) =>
      graph
        .tensor("y", [1, 2])
        .tensor("serving_default_a:0", [1, 2])
        .tensor("serving_default_b:0", [1, 2])
        .operator("ADD", ["serving_default_a:0", "serving_default_b:0"], ["y"], { type: "AddOptions", value: {} }),
    ),
    signatureDefs: [
      {
        signatureKey: "serving_default",
        inputs: [
          { name: "b", tensorIndex: 2 },
          { name: "a", tensorIndex: 1 },
        ],
        outputs: [{ name: "sum", tensorIndex: 0 }],
      },
    ],
  };
  const inputs = inputSpecs(made);
  const array = (value: number) => npy("<f4", [1, 1, 2], floats(value, value));
  const read = async (entries: Record<string, Uint8Array>) =>
    all(await openDataSet(file(folder(), "a.npz", zipSync(entries)), inputs));
  expect(await read({ "b.npy": array(2), "a.npy": array(1) })).toEqual([[floats(1, 1), floats(2, 2)]]);
  const both = { "b.npy": array(2), "serving_default_b:0.npy": array(3), "a.npy": array(1) };
  expect(await read(both)).toEqual([[floats(1, 1), floats(3, 3)]]);
  expect(await messageOf(() => read({ "a.npy": array(1) }))).toContain(
    'model input "serving_default_b:0" = "b" (FLOAT32',
  );
});

const CASES = [
  ["14-signature-input-names/base.tflite", "14-signature-input-names/sig.npz", 6, "FLOAT32"],
  ["15-compare-hint-for-uint8-input/u8io_float.tflite", "15-compare-hint-for-uint8-input/u8io_float.npz", 8, "UINT8"],
] as const;

for (const [path, data, count, dtype] of CASES) {
  test.if(existsSync(`../shared/cases/${path}`))(`${path} takes its data`, async () => {
    const opened = openModel(`../shared/cases/${path}`);
    expect(TensorType[dtype]).toBe(
      (opened.model.subgraphs![0]!.tensors![opened.model.subgraphs![0]!.inputs![0]!]!.type ?? 0) as never,
    );
    const side = await openSide(opened);
    const open = (inputs: readonly InputSpec[]) => openDataSet(`../shared/cases/${data}`, inputs);
    const { records, outputs } = await compareModels([side, side], open, { workers: 1 });
    opened.close();
    expect([records, outputs[0]!.metrics.mse]).toEqual([count, 0]);
  });
}
