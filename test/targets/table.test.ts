/** The table of targets against what was measured: onert-operators.tsv is what the runtime itself did with 448 small models. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { BuiltinOperator } from "../../src/model/index.ts";
import { PREPARE_NAMES } from "../../src/passes/prepare/index.ts";
import { DEFAULT_TARGETS, kernelRow, TARGETS, targetRow } from "../../src/rules/targets.ts";

interface Measured {
  readonly op: string;
  /** Some float model ran. */
  readonly float: boolean;
  /** Some uint8 model ran as uint8; null where none was made. */
  readonly uint8: boolean | null;
  /** The largest difference of those, per tensor, in steps. */
  readonly steps: number;
}

const MEASURED: Measured[] = readFileSync(join(import.meta.dir, "onert-operators.tsv"), "utf8")
  .trimEnd()
  .split("\n")
  .slice(1)
  .filter((line) => !line.startsWith("CUSTOM:"))
  .map((line) => {
    const [op = "", float = "", layer = ""] = line.split("\t");
    const made = layer !== "" && !/^float×\d+$/.test(layer);
    return {
      op,
      float: /\bok×/.test(float),
      uint8: made ? /\bok×/.test(layer) : null,
      steps: Number(/max ([\d.e+-]+)/.exec(layer)?.[1] ?? 0),
    };
  });

const { onert } = TARGETS;

describe("onert", () => {
  for (const { op, float, uint8, steps } of MEASURED) {
    test(op, () => {
      const row = targetRow(onert, op);
      // DEQUANTIZE and QUANTIZE have float on one side only.
      if (!["DEQUANTIZE", "QUANTIZE"].includes(op))
        expect({ op, float: row.dtypes.includes("FLOAT32") }).toEqual({ op, float });
      // uint8 to uint8 was tried; float to uint8 is at the border of every float operator.
      if (uint8 !== null && op !== "QUANTIZE")
        expect({ op, uint8: row.dtypes.includes("UINT8") }).toEqual({ op, uint8 });
      // Where numbers were wrong, the row says what helps.
      const mends = row.tied || row.keepFloat || row.alwaysWrong;
      if (uint8 && steps > 2) expect({ op, mends: Boolean(mends) }).toEqual({ op, mends: true });
    });
  }

  test("FULLY_CONNECTED is wrong per channel only", () => {
    expect(targetRow(onert, "FULLY_CONNECTED").weights).toBe("per tensor");
    for (const op of ["CONV_2D", "DEPTHWISE_CONV_2D"]) expect(targetRow(onert, op).weights).toBe(undefined);
  });

  test("what is not in the table has no kernel", () => {
    expect(targetRow(onert, "HARD_SWISH").dtypes).toEqual([]);
    expect(targetRow(onert, "CUSTOM").dtypes).toEqual([]);
  });
});

test("every target names operators, steps and formats that there are", () => {
  for (const [name, target] of Object.entries(TARGETS)) {
    expect(target.name).toBe(name);
    expect(Object.keys(target.operators()).filter((op) => !(op in BuiltinOperator))).toEqual([]);
    const steps = [...target.prepare.always, ...target.prepare.quantized];
    expect(steps.filter((step) => !PREPARE_NAMES.includes(step))).toEqual([]);
    for (const [op, row] of Object.entries(target.operators()))
      if (row.keepFloat && kernelRow(target, op).dtypes.length > 0)
        expect([op, kernelRow(target, op).dtypes]).toEqual([op, expect.arrayContaining(["FLOAT32"])]);
  }
  expect(DEFAULT_TARGETS).toEqual({
    circle: { target: TARGETS.onert, obeyed: false },
    tflite: { target: TARGETS.litert, obeyed: true },
  });
});
