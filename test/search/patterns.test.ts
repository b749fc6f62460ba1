/** Formulas in a graph: where they are, and what looks like them and is not. */
import { expect, test } from "bun:test";
import type { Model } from "../../src/model/index.ts";
import { findPattern, PATTERNS, type Pattern } from "../../src/search/patterns.ts";
import { type GraphBuilder, model } from "../helpers/models.ts";
import { spaceOf } from "../passes/support.ts";

interface Norm {
  swapped?: boolean;
  axes?: [number[], number[]];
  meanOf?: string;
  epsilon?: number[];
}

/** x → layer normalization → y. */
export function layerNorm({
  swapped = false,
  axes = [
    [1, 2],
    [2, 1],
  ],
  meanOf = "x",
  epsilon = [1e-3],
}: Norm): Model {
  const order = (...names: string[]) => (swapped ? names.reverse() : names);
  return model(["x", "other"], ["y"], (graph: GraphBuilder) => {
    for (const name of ["x", "other", "sub", "square", "y"]) graph.tensor(name, [1, 4, 4]);
    for (const name of ["mean", "variance", "add", "root"]) graph.tensor(name, [1, 1, 1]);
    graph
      .constant("axes1", [axes[0].length], Int32Array.from(axes[0]))
      .constant("axes2", [axes[1].length], Int32Array.from(axes[1]))
      .constant("epsilon", [epsilon.length], Float32Array.from(epsilon))
      .operator("MEAN", [meanOf, "axes1"], ["mean"], { type: "ReducerOptions", value: { keepDims: true } })
      .operator("SUB", ["x", "mean"], ["sub"], { type: "SubOptions", value: {} })
      .operator("MUL", ["sub", "sub"], ["square"], { type: "MulOptions", value: {} })
      .operator("MEAN", ["square", "axes2"], ["variance"], { type: "ReducerOptions", value: { keepDims: true } })
      .operator("ADD", order("variance", "epsilon"), ["add"], { type: "AddOptions", value: {} })
      .operator("RSQRT", ["add"], ["root"])
      .operator("MUL", order("sub", "root"), ["y"], { type: "MulOptions", value: {} });
  });
}

interface Soft {
  axis?: number[];
  keepDims?: boolean;
  sumOf?: string;
}

/** x → RELU r → softmax of single operators → y. */
export function softmax({ axis = [2], keepDims = true, sumOf = "exp" }: Soft): Model {
  return model(["x"], ["y"], (graph: GraphBuilder) => {
    for (const name of ["x", "r", "sub", "exp", "y"]) graph.tensor(name, [1, 4, 4]);
    for (const name of ["max", "sum"]) graph.tensor(name, [1, 4, 1]);
    const value = { keepDims };
    graph
      .constant("axis", [axis.length], Int32Array.from(axis))
      .operator("RELU", ["x"], ["r"])
      .operator("REDUCE_MAX", ["r", "axis"], ["max"], { type: "ReducerOptions", value })
      .operator("SUB", ["r", "max"], ["sub"], { type: "SubOptions", value: {} })
      .operator("EXP", ["sub"], ["exp"], { type: "ExpOptions", value: {} })
      .operator("SUM", [sumOf, "axis"], ["sum"], { type: "ReducerOptions", value })
      .operator("DIV", ["exp", "sum"], ["y"], { type: "DivOptions", value: {} });
  });
}

async function found(of: Model, pattern: Pattern): Promise<{ high: string[]; low: string[] }[]> {
  const { graphs, context } = await spaceOf(of, { likeReference: true });
  const indexes = ({ dtype, constant }: { dtype: string; constant: Parameters<typeof context.scanner.bytes>[0] }) =>
    dtype === "INT32" ? [...new Int32Array(context.scanner.bytes(constant).buffer)] : undefined;
  return findPattern(graphs[0]!, pattern, indexes).map(({ high, low }) => ({
    high: high.map(({ name }) => name).sort(),
    low: low.map(({ name }) => name).sort(),
  }));
}

const NORM = [{ high: ["add", "root", "square", "variance"], low: ["mean", "sub", "y"] }];
const norms: [name: string, norm: Norm, is: boolean][] = [
  ["as it is usually written", {}, true],
  ["operands the other way round", { swapped: true }, true],
  [
    "axes counted from the end",
    {
      axes: [
        [-1, -2],
        [1, 2],
      ],
    },
    true,
  ],
  ["other axes", { axes: [[1], [2]] }, false],
  ["the mean of another tensor", { meanOf: "other" }, false],
  ["an epsilon for each element", { epsilon: [1, 2, 3, 4] }, false],
];
for (const [name, norm, is] of norms)
  test(`layer normalization: ${name}`, async () => {
    expect(await found(layerNorm(norm), PATTERNS.layerNorm)).toEqual(is ? NORM : []);
  });

const SOFT = [{ high: ["exp", "sub"], low: ["max", "r", "sum", "y"] }];
const softs: [name: string, soft: Soft, is: boolean][] = [
  ["the last axis", {}, true],
  ["the last axis from the end", { axis: [-1] }, true],
  ["another axis", { axis: [1] }, false],
  ["two axes", { axis: [1, 2] }, false],
  ["axes that go", { keepDims: false }, false],
  ["the sum of something else", { sumOf: "sub" }, false],
];
for (const [name, soft, is] of softs)
  test(`softmax: ${name}`, async () => {
    expect(await found(softmax(soft), PATTERNS.softmax)).toEqual(is ? SOFT : []);
  });

test("one is not the other", async () => {
  expect(await found(softmax({}), PATTERNS.layerNorm)).toEqual([]);
  expect(await found(layerNorm({}), PATTERNS.softmax)).toEqual([]);
});
