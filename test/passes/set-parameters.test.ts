/** Parameters that a person gives: numbers that a tensor's dtype cannot have. */
import { expect, test } from "bun:test";
import { forceParameters } from "../../src/passes/transform/set-parameters.ts";
import { messageOf } from "../calibration/support.ts";
import { model, quantized } from "../helpers/models.ts";
import { spaceOf } from "./support.ts";

const made = () =>
  model(["x"], ["y"], (graph) =>
    graph
      .tensor("x", [4], "UINT8", quantized(0.5, 128))
      .tensor("y", [4], "INT16", quantized(0.5, 0))
      .operator("QUANTIZE", ["x"], ["y"]),
  );

const IMPOSSIBLE = [
  { name: "x", scale: 0.1, zeroPoint: 256 },
  { name: "y", scale: 0, zeroPoint: 0 },
];

test("are refused, all in one error", async () => {
  const { graphs } = await spaceOf(made());
  const message = await messageOf(async () => forceParameters(graphs, IMPOSSIBLE));
  expect(message).toContain('"x": zero point 256 is no UINT8; give one from 0 to 255');
  expect(message).toContain('"y": a scale of 0');
});

test("are taken by the drop-in front, as by the reference", async () => {
  const { graphs } = await spaceOf(made());
  forceParameters(graphs, IMPOSSIBLE, true);
  expect(graphs[0]!.inputs[0]!.quant!.zeroPoint).toEqual(BigInt64Array.of(256n));
});
