/** Operators that only move values take over their operand's parameters (§3.10). */
import { expect, test } from "bun:test";
import type { Model } from "../../src/model/index.ts";
import { propagateForward } from "../../src/passes/minmax/propagate-forward.ts";
import { quantizeActivations } from "../../src/passes/minmax/quantize-activations.ts";
import { type GraphBuilder, model, recorded } from "../helpers/models.ts";
import { f32, fromRange, hex, predefinedOf } from "../operators/oracle.ts";
import { dropIn, nodeOf, parametersOf, type Setup, spaceOf, written } from "./support.ts";

const X: [number, number] = [-1, 1];
const OWN: [number, number] = [0, 2.5];

/** x and other tensors with ranges: x's is X, all others' OWN. */
function built(names: string[], outputs: string[], fill: (graph: GraphBuilder) => void): Model {
  return model(["x"], outputs, (graph) => {
    graph.tensor("x", [4], "FLOAT32", recorded(...X));
    for (const name of names) graph.tensor(name, [4], "FLOAT32", recorded(...OWN));
    graph.constant("i", [1], Int32Array.of(0)).tensor("at", [1], "INT32");
    fill(graph);
  });
}

async function factsOf(made: Model, setup?: Setup) {
  return (await written(await dropIn(made, setup))).tensors;
}

test("chains of operators that move values end with the first one's parameters", async () => {
  const made = built(["g", "s", "u0", "u1"], ["u0", "u1", "g"], (graph) =>
    graph
      .operator("GATHER", ["x", "i"], ["g"])
      .operator("STRIDED_SLICE", ["g", "i", "i", "i"], ["s"])
      .operator("UNPACK", ["s"], ["u0", "u1"]),
  );
  // GATHER with a constant index: a constant that is no float is left alone.
  const tensors = await factsOf(made);
  for (const name of ["x", "g", "s", "u0", "u1"]) expect(tensors.get(name)).toMatchObject(fromRange("UINT8", X));
});

test("the order of operators does not matter: repeated until nothing changes", async () => {
  const made = built(["a", "b", "c"], ["c"], (graph) =>
    graph
      .operator("GATHER", ["b", "i"], ["c"])
      .operator("GATHER", ["a", "i"], ["b"])
      .operator("GATHER", ["x", "i"], ["a"]),
  );
  const space = await spaceOf(made);
  const graph = space.graphs[0]!;
  quantizeActivations(graph, space.context);
  let rounds = 0;
  while (propagateForward(graph, space.context)) rounds++;
  expect(rounds).toBeGreaterThan(0);
  for (const name of ["a", "b", "c"]) expect(parametersOf(nodeOf(graph, name))).toEqual(fromRange("UINT8", X));
  expect(propagateForward(graph, space.context)).toBe(false);
});

test("behind a special activation they take its fixed parameters", async () => {
  const made = built(["t", "g", "other"], ["g", "other"], (graph) =>
    graph.operator("LOGISTIC", ["x"], ["t"]).operator("GATHER", ["t", "i"], ["g"]).operator("ABS", ["t"], ["other"]),
  );
  const tensors = await factsOf(made);
  expect(tensors.get("g")).toMatchObject(predefinedOf("logistic", "UINT8"));
  expect(tensors.get("other")).toMatchObject(fromRange("UINT8", OWN));
});

test("ranges are not copied", async () => {
  const made = built(["g"], ["g"], (graph) => graph.operator("GATHER", ["x", "i"], ["g"]));
  const { min, max, scale } = (await factsOf(made, { saveMinMax: true })).get("g")!;
  expect({ min, max }).toEqual({ min: [hex(OWN[0])], max: [hex(OWN[1])] });
  expect(scale).toEqual(fromRange("UINT8", X).scale);
});

test("operators that are not listed keep their own", async () => {
  for (const op of ["SLICE", "SQUEEZE", "EXPAND_DIMS", "TILE", "PAD", "MIRROR_PAD", "RESIZE_BILINEAR"] as const) {
    const made = built(["y"], ["y"], (graph) => graph.operator(op, ["x", "i"], ["y"]));
    expect((await factsOf(made)).get("y")).toMatchObject(fromRange("UINT8", OWN));
  }
  for (const op of ["RELU", "DEPTH_TO_SPACE", "SPACE_TO_DEPTH", "MAX_POOL_2D"] as const) {
    const made = built(["y"], ["y"], (graph) => graph.operator(op, ["x"], ["y"]));
    expect((await factsOf(made)).get("y")).toMatchObject(fromRange("UINT8", OWN));
  }
});

test("without a range of their own they take the dtype but no parameters", async () => {
  const made = built([], ["g"], (graph) => graph.tensor("g", [4]).operator("GATHER", ["x", "i"], ["g"]));
  expect((await factsOf(made)).get("g")).toMatchObject({ dtype: "UINT8", scale: [], zeroPoint: [] });
});

test("TF-style max-pool takes its operand's, and hands them on", async () => {
  const made = built(["p", "g"], ["g"], (graph) =>
    graph.operator("MAX_POOL_2D", ["x"], ["p"]).operator("GATHER", ["p", "i"], ["g"]),
  );
  const asked = await factsOf(made, { tfStyleMaxpool: true });
  for (const name of ["p", "g"]) expect(asked.get(name)).toMatchObject(fromRange("UINT8", X));
  const not = await factsOf(made);
  for (const name of ["p", "g"]) expect(not.get(name)).toMatchObject(fromRange("UINT8", OWN));
});

test("an integer scale keeps the zero point of the scale before", async () => {
  const range: [number, number] = [f32(-700.3), f32(900.7)];
  const made = model(["x"], ["g"], (graph) =>
    graph
      .tensor("x", [4], "FLOAT32", recorded(...range))
      .tensor("f", [4], "FLOAT32", recorded(...range))
      .tensor("g", [4], "FLOAT32", recorded(0, 1))
      .constant("i", [1], Int32Array.of(0))
      .operator("FLOOR", ["x"], ["f"])
      .operator("GATHER", ["f", "i"], ["g"]),
  );
  // 1601 / 255 = 6.278…: scale 6; zero point round(700.3 / 6.278…) = 112.
  const tensors = await factsOf(made);
  for (const name of ["f", "g"]) expect(tensors.get(name)).toMatchObject({ scale: [hex(6)], zeroPoint: [112] });
});
