/** Rounding to 16 bits by operators on floats: what LiteRT's own QUANTIZE and DEQUANTIZE yield. */
import { expect, test } from "bun:test";
import { withFloatRounding } from "../../src/accuracy/float-rounding.ts";
import { BuiltinOperator, type Model } from "../../src/model/index.ts";
import { model, quantizedAs } from "../helpers/models.ts";
import { outputsOf, randomFloats } from "./support.ts";

const SCALE = 0.00025;
const [COUNT, MOST] = [4096, 32767];

/** `also`: what else reads the integers. */
const rounding = (also?: "an output") =>
  model(["x"], also ? ["z", "q"] : ["z"], (graph) =>
    graph
      .tensor("x", [1, COUNT])
      .tensor("q", [1, COUNT], "INT16", quantizedAs("INT16", [SCALE], [0]))
      .tensor("y", [1, COUNT])
      .tensor("z", [1, COUNT])
      .operator("QUANTIZE", ["x"], ["q"])
      .operator("DEQUANTIZE", ["q"], ["y"])
      .operator("NEG", ["y"], ["z"]),
  );

const kinds = ({ operatorCodes = [], subgraphs }: Model) =>
  subgraphs![0]!.operators!.map(({ opcodeIndex }) => operatorCodes[opcodeIndex ?? 0]!.builtinCode);

test("the same values, but where a step's half decides; and what lies beyond the range ends there", async () => {
  // From far below the range to far above it.
  const values = randomFloats(COUNT, 9, 12);
  const own = rounding();
  const other = withFloatRounding(own);
  expect(kinds(own)).toContain(BuiltinOperator.QUANTIZE);
  expect(kinds(other)).not.toContain(BuiltinOperator.QUANTIZE);
  const [[expected], [found]] = [await outputsOf(own, [values], "z"), await outputsOf(other, [values], "z")];
  let differ = 0;
  for (const [i, value] of values.entries()) {
    const steps = value / SCALE;
    const share = Math.abs(steps - Math.trunc(steps));
    if (Math.abs(share - 0.5) < 0.01) continue;
    // −32768 is LiteRT's alone.
    if (steps < -MOST) expect(found![i]!).toBeCloseTo(MOST * SCALE, 5);
    else if (Math.abs(found![i]! - expected![i]!) > 1e-6) differ++;
  }
  expect(values.some((value) => value / SCALE > MOST)).toBe(true);
  expect(differ).toBe(0);
});

test("integers that are read otherwise stay", () => {
  const own = rounding("an output");
  expect(kinds(withFloatRounding(own))).toEqual(kinds(own));
});
