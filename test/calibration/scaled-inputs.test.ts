/** Inputs that a model scales itself. */
import { expect, test } from "bun:test";
import { scaledInputs } from "../../src/calibration/index.ts";
import { GraphBuilder, ModelBuilder } from "./models.ts";

const graphOf = (builder: ModelBuilder) =>
  new GraphBuilder(builder)
    .tensor("x", [1, 4])
    .tensor("z", [1, 4])
    .tensor("moved", [2, 2])
    .tensor("y", [2, 2])
    .constant("shape", [2], Int32Array.of(2, 2))
    .constant("by", [1], Float32Array.of(1 / 255));

test("by a constant, behind operators that only move values", () => {
  const builder = new ModelBuilder();
  const graph = graphOf(builder)
    .operator("RESHAPE", ["x", "shape"], ["moved"])
    .operator("MUL", ["moved", "by"], ["y"], { type: "MulOptions", value: {} });
  expect(scaledInputs(builder.model(graph.graph(["x", "z"], ["y"])))).toEqual([true, false]);
});

test("not by another input, and not where something else reads it, too", () => {
  const builder = new ModelBuilder();
  const graph = graphOf(builder)
    .operator("MUL", ["x", "z"], ["y"], { type: "MulOptions", value: {} })
    .operator("MUL", ["x", "by"], ["moved"], { type: "MulOptions", value: {} });
  expect(scaledInputs(builder.model(graph.graph(["x", "z"], ["y", "moved"])))).toEqual([false, false]);
  const other = new ModelBuilder();
  const convolved = graphOf(other).operator("LOGISTIC", ["x"], ["y"]);
  expect(scaledInputs(other.model(convolved.graph(["x"], ["y"])))).toEqual([false]);
});
