/** Of a chain of Quantize operators only the last is kept, and one that changes nothing is bypassed (§4.2). */
import { expect, test } from "bun:test";
import type { TensorType } from "../../src/model/index.ts";
import { removeRedundantQuantize } from "../../src/passes/minmax/remove-redundant-quantize.ts";
import { model, quantized } from "../helpers/models.ts";
import { nodeOf, operandsOf, spaceOf, written } from "./support.ts";

type Parameters = [type: keyof typeof TensorType, scale: number, zeroPoint: number];

/** x → q0 → q1 … → ABS y. */
async function chain(x: Parameters, ...quantize: Parameters[]) {
  const tensor = ([type, scale, zeroPoint]: Parameters) => [type, quantized(scale, zeroPoint)] as const;
  const made = model(["x"], ["y"], (graph) => {
    graph.tensor("x", [4], ...tensor(x)).tensor("y", [4], "UINT8");
    quantize.forEach((each, i) => {
      graph.tensor(`q${i}`, [4], ...tensor(each)).operator("QUANTIZE", [i ? `q${i - 1}` : "x"], [`q${i}`]);
    });
    graph.operator("ABS", [`q${quantize.length - 1}`], ["y"]);
  });
  const space = await spaceOf(made);
  const graph = space.graphs[0]!;
  let rounds = 0;
  while (removeRedundantQuantize(graph)) rounds++;
  return { graph, rounds, operators: (await written(space)).operators.toSorted() };
}

test("one that changes nothing is bypassed", async () => {
  const { operators, rounds, graph } = await chain(["UINT8", 0.5, 3], ["UINT8", 0.5, 3]);
  expect(operators).toEqual(["ABS(x) -> y"]);
  expect(rounds).toBe(1);
  // The bypassed one still counts as a user of x.
  expect([...nodeOf(graph, "x").users].map(({ name }) => name).sort()).toEqual(["q0", "y"]);
});

test.each<[string, Parameters]>([
  ["dtype", ["INT16", 0.5, 3]],
  ["scale", ["UINT8", 0.25, 3]],
  ["scale by one bit", ["UINT8", Math.fround(0.5 + 2 ** -24), 3]],
  ["zero point", ["UINT8", 0.5, 4]],
])("another %s is kept", async (_, parameters) => {
  const { operators, rounds } = await chain(["UINT8", 0.5, 3], parameters);
  expect(operators).toEqual(["ABS(q0) -> y", "QUANTIZE(x) -> q0"]);
  expect(rounds).toBe(0);
});

test("of a chain the last is kept, whatever is in between", async () => {
  const { operators } = await chain(["UINT8", 0.5, 3], ["INT16", 0.1, 0], ["UINT8", 9, 9], ["UINT8", 2, 1]);
  expect(operators).toEqual(["ABS(q2) -> y", "QUANTIZE(x) -> q2"]);
});

test("a chain that comes back to where it began disappears", async () => {
  const { operators, rounds } = await chain(["UINT8", 0.5, 3], ["INT16", 0.1, 0], ["UINT8", 0.5, 3]);
  expect(operators).toEqual(["ABS(x) -> y"]);
  expect(rounds).toBeGreaterThan(0);
});

test("several scales or none are not compared", async () => {
  const two = { quantization: { scale: Float32Array.of(1, 1), zeroPoint: BigInt64Array.of(0n, 0n) } };
  for (const more of [two, {}]) {
    const made = model(["x"], ["q"], (graph) =>
      graph.tensor("x", [2], "UINT8", more).tensor("q", [2], "UINT8", more).operator("QUANTIZE", ["x"], ["q"]),
    );
    const graph = (await spaceOf(made)).graphs[0]!;
    expect(removeRedundantQuantize(graph)).toBe(false);
    expect(operandsOf(graph.outputs[0]!)).toEqual(["q"]);
  }
});

test("outputs are re-pointed, too; Dequantize is not folded", async () => {
  const made = model(["x"], ["q", "d"], (graph) =>
    graph
      .tensor("x", [4], "UINT8", quantized(1, 0))
      .tensor("q", [4], "UINT8", quantized(1, 0))
      .tensor("d", [4])
      .operator("QUANTIZE", ["x"], ["q"])
      .operator("DEQUANTIZE", ["q"], ["d"]),
  );
  const graph = (await spaceOf(made)).graphs[0]!;
  expect(removeRedundantQuantize(graph)).toBe(true);
  expect(graph.outputs.map(operandsOf)).toEqual([["x"], ["d"]]);
  expect(operandsOf(nodeOf(graph, "d"))).toEqual(["x"]);
});
