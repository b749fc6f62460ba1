/** Two models that are run one after the other give the same bits as two that are run together. */
import { describe, expect, test } from "bun:test";
import { openDataSet } from "../../src/calibration/index.ts";
import { compareModels } from "../../src/compare/compare.ts";
import { openSide } from "../../src/compare/side.ts";
import { type Model, openModel } from "../../src/model/index.ts";
import { shared } from "../calibration/support.ts";
import { model, recorded } from "../helpers/models.ts";
import { dropIn } from "../passes/support.ts";
import { compared, floatRecords, modelOf } from "./support.ts";

/** x ─▶ MUL m ─▶ TANH t ─▶ ADD(t, x) y, and ARG_MAX of y; outputs are y, x itself, and the index. */
function network(): Model {
  return model(["x"], ["y", "x", "best"], (graph) =>
    graph
      .tensor("x", [1, 6], "FLOAT32", recorded(-1, 1))
      .constant("w", [6], Float32Array.of(1, -2, 3, 0.5, 0.25, -1))
      .constant("axis", [], Int32Array.of(1))
      .tensor("m", [1, 6], "FLOAT32", recorded(-3, 3))
      .tensor("t", [1, 6], "FLOAT32", recorded(-1, 1))
      .tensor("y", [1, 6], "FLOAT32", recorded(-2, 2))
      .tensor("best", [1], "INT64")
      .operator("MUL", ["x", "w"], ["m"], { type: "MulOptions", value: {} })
      .operator("TANH", ["m"], ["t"])
      .operator("ADD", ["t", "x"], ["y"], { type: "AddOptions", value: {} })
      .operator("ARG_MAX", ["y", "axis"], ["best"], { type: "ArgMaxOptions", value: { outputType: 4 } }),
  );
}

describe("one after the other", () => {
  test("outputs of any kind and layers, with one worker and two", async () => {
    const quantized = await modelOf(await dropIn(network(), { dtype: "UINT8" }));
    const records = floatRecords([6], 5);
    const together = await compared(network(), quantized, records, { layers: true });
    expect(together.outputs.length).toBe(3);
    expect(together.layers.length).toBeGreaterThan(2);
    expect(await compared(network(), quantized, records, { layers: true, cut: "always" })).toEqual(together);
    const limited = { layers: true, memoryLimit: 600e6, workers: 2 };
    expect(await compared(network(), quantized, records, limited)).toEqual(together);
  });

  test("a real model", async () => {
    const path = shared("models/face_detection_short_range.tflite");
    if (!path) return;
    const opened = openModel(path);
    const side = await openSide(opened);
    const open = (inputs: Parameters<typeof openDataSet>[1]) => openDataSet("random:2", inputs);
    const together = await compareModels([side, side], open, { workers: 1 });
    const progress: number[] = [];
    const apart = await compareModels([side, side], open, {
      cut: "always",
      onProgress: (done, total) => progress.push(done / total),
    });
    expect(apart).toEqual(together);
    expect(apart.outputs.every(({ metrics }) => metrics.mae === 0)).toBe(true);
    expect(progress.at(-1)).toBe(1);
    opened.close();
  });
});
