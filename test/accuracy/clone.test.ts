/** A copied graph is the same graph, and changing it changes nothing of the original. */
import { expect, test } from "bun:test";
import { cloneGraph } from "../../src/graph/clone.ts";
import { activeNodes } from "../../src/graph/graph.ts";
import { importGraph } from "../../src/graph/import.ts";
import { quantParam } from "../../src/graph/quantparam.ts";
import { CASES, modelOf, randomFloats, sizeOf } from "./support.ts";

test("same nodes, operands and users; its own parameters", () => {
  const each = CASES["3×3 same"]!;
  const graph = importGraph(modelOf(each, randomFloats(sizeOf(each.weights), 5)), 0, "litert");
  const { graph: copy, copyOf } = cloneGraph(graph);
  const shape = ({ nodes }: typeof graph) =>
    nodes.map(({ id, kind, op, name, dtype, shape, inputs, users, constant }) => ({
      ...{ id, kind, op, name, dtype, shape, constant },
      inputs: inputs.map((operand) => operand?.id),
      users: [...users].map((user) => user.id),
    }));
  expect(shape(copy)).toEqual(shape(graph));
  expect(activeNodes(copy).length).toBe(activeNodes(graph).length);
  expect(copy.inputs.map(({ id }) => id)).toEqual(graph.inputs.map(({ id }) => id));
  const node = graph.outputs[0]!.inputs[0]!;
  expect(copyOf(node)).not.toBe(node);
  copyOf(node).quant = quantParam({ min: Float32Array.of(0), max: Float32Array.of(1), provenance: { from: "given" } });
  copyOf(node).dtype = "INT8";
  expect([node.quant, node.dtype]).toEqual([null, "FLOAT32"]);
});
