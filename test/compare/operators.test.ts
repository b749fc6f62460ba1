/**
 * Every operator of the table in a small model that LiteRT can run: quantized by the drop-in front (which quantizes them all) to uint8 and
 * int16, and compared. Nothing may be refused, every number is finite, and int16 is nearer to the float model than uint8.
 */
import { expect, test } from "bun:test";
import { OPERATORS } from "../../src/rules/operators.ts";
import { dropIn } from "../passes/support.ts";
import { modelFor, OTHERS, ROWS, recordsFor } from "./operator-models.ts";
import { compared, modelOf } from "./support.ts";

test("every operator of the table has a model, or a reason", () => {
  expect(Object.keys(OPERATORS).filter((op) => !ROWS[op] && !OTHERS[op])).toEqual([]);
  expect([...Object.keys(ROWS), ...Object.keys(OTHERS)].filter((op) => !OPERATORS[op])).toEqual([]);
});

/** Their values jump where an operand's rounding moves it over an edge. */
const JUMPS = ["CEIL", "FLOOR", "FLOOR_DIV", "FLOOR_MOD", "ROUND", "SIGN"];

for (const [op, row] of Object.entries(ROWS)) {
  test(op, async () => {
    const float = modelFor(op, row);
    const records = recordsFor(op, row);
    // Steps of the results; those of the operands are smaller.
    const steps = { UINT8: (2 * (row.bound ?? 2.5)) / 255, INT16: (row.bound ?? 2.5) / 32767 };
    for (const dtype of ["UINT8", "INT16"] as const) {
      const other = await modelOf(await dropIn(float, { dtype, likeReference: false }));
      const { outputs } = await compared(float, other, records, { layers: true });
      expect(outputs).toHaveLength(row.results?.length ?? 1);
      for (const { metrics } of outputs) {
        expect(metrics.notFinite).toBe(0);
        // The mean error is a quarter of a step from rounding the result, and of each operand what the operator makes of its rounding.
        if (!JUMPS.includes(op)) expect(metrics.mae / steps[dtype]).toBeLessThan(4);
      }
    }
  });
}
