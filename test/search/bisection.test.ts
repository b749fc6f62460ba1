/** Bisection over depth against depths found by walking every way, and against trying every cut. */
import { describe, expect, test } from "bun:test";
import { activeNodes, type Graph, type Node } from "../../src/graph/graph.ts";
import { type BisectionStep, bisect, depthsOf, HighIsWorse, highSide, worseEnd } from "../../src/search/bisection.ts";
import { type GraphBuilder, model } from "../helpers/models.ts";
import { spaceOf } from "../passes/support.ts";

/** `length` operators in a row: r1 … rN. */
function row(length: number) {
  return model(["x"], [`r${length}`], (graph: GraphBuilder) => {
    graph.tensor("x", [1, 4]);
    for (let i = 1; i <= length; i++)
      graph.tensor(`r${i}`, [1, 4]).operator("RELU", [i === 1 ? "x" : `r${i - 1}`], [`r${i}`]);
  });
}

/** Ways of unequal length, a split, a constant, and what depends on no input. */
const BRANCHES = model(["x", "z"], ["out", "half1"], (graph) =>
  graph
    .tensor("x", [1, 4])
    .tensor("z", [1, 4])
    .constant("c", [1, 4], Float32Array.of(1, 2, 3, 4))
    .constant("axis", [1], Int32Array.of(1))
    .tensor("long1", [1, 4])
    .tensor("long2", [1, 4])
    .tensor("sum", [1, 4])
    .tensor("alone", [1, 4])
    .tensor("half0", [1, 2])
    .tensor("half1", [1, 2])
    .tensor("out", [1, 2])
    .operator("RELU", ["x"], ["long1"])
    .operator("ABS", ["c"], ["alone"])
    .operator("ADD", ["long1", "alone"], ["long2"], { type: "AddOptions", value: {} })
    .operator("MUL", ["z", "long2"], ["sum"], { type: "MulOptions", value: {} })
    .operator("SPLIT", ["axis", "sum"], ["half0", "half1"], { type: "SplitOptions", value: { numSplits: 2 } })
    .operator("RELU", ["half0"], ["out"]),
);

/** The longest of all ways to an input, each walked. */
function longest(node: Node): number | undefined {
  if (node.kind === "input") return 0;
  const ways = node.inputs.flatMap((operand) => (operand ? (longest(operand) ?? []) : []));
  return ways.length === 0 ? undefined : 1 + Math.max(...ways);
}

const graphOf = async (of: ReturnType<typeof row>): Promise<Graph> =>
  (await spaceOf(of, { likeReference: true })).graphs[0]!;

test("depths are the longest ways", async () => {
  const graph = await graphOf(BRANCHES);
  const depths = depthsOf(graph);
  for (const node of activeNodes(graph)) expect([node.name, depths.of.get(node)]).toEqual([node.name, longest(node)]);
  // x → long1 → long2 → sum → SPLIT → half0 → out → the graph's output.
  expect(depths).toMatchObject({ least: 0, most: 7 });
  expect([...depths.of].filter(([{ name }]) => ["c", "axis", "alone"].includes(name))).toEqual([]);
});

test("a side has each name once, and neither inputs nor constants", async () => {
  const graph = await graphOf(BRANCHES);
  const depths = depthsOf(graph);
  expect(highSide(graph, depths, 2, "front")).toEqual(["long1", "long2"]);
  // The operator SPLIT has the name of its first result.
  expect(highSide(graph, depths, 4, "back").sort()).toEqual(["half0", "half1", "out"]);
  expect(highSide(graph, depths, 99, "front").sort()).toEqual(["half0", "half1", "long1", "long2", "out", "sum"]);
});

describe("the cut that is found is the best of all cuts", () => {
  for (const end of ["front", "back"] as const)
    for (const length of [1, 2, 5, 8])
      test(`${end}, ${length} operators`, async () => {
        const graph = await graphOf(row(length));
        const depths = depthsOf(graph);
        // Each operator that is not high costs 1; high ones a thousandth.
        const costOf = (count: number) => length - count + count / 1000;
        const error = async (high: BisectionStep["high"]) =>
          high === "all" ? costOf(length) : high === "none" ? length : costOf(high.length);
        for (let target = 0.5; target < length; target++) {
          const found = await bisect({ graph, error, target: { error: target }, highEnd: () => end });
          const cuts = Array.from({ length: depths.most + 1 }, (_, cut) => highSide(graph, depths, cut, end));
          const good = cuts.filter((each) => costOf(each.length) < target);
          const fewest = Math.min(...good.map((each) => each.length));
          expect(found.high).toHaveLength(fewest);
          expect(found.error).toBe(costOf(fewest));
          expect(found.steps.length).toBeLessThanOrEqual(3 + Math.ceil(Math.log2(depths.most + 1)));
          expect(new Set(found.steps.map(({ cut }) => cut)).size).toBe(found.steps.length - 1);
        }
      });
});

describe("before any cut", () => {
  const run = async (high: number, low: number, target: { ratio: number } | { error: number }, cut = 9) => {
    const graph = await graphOf(row(4));
    const of = { all: high, none: low };
    const error = async (part: BisectionStep["high"]) => (typeof part === "string" ? of[part] : cut);
    return bisect({ graph, error, target, highEnd: () => "front" });
  };
  test("the high model where nothing is below the target", async () => {
    expect(await run(1, 3, { ratio: 0 })).toMatchObject({ high: "all", cut: null, error: 1, target: 1 });
    expect(await run(2, 2, { ratio: 0.5 })).toMatchObject({ high: "all", end: null });
  });
  test("the low model where it is good enough", async () => {
    expect(await run(1, 3, { ratio: 1 })).toMatchObject({ high: "none", cut: null, error: 3, target: 3 });
    expect(await run(1, 3, { error: 5 })).toMatchObject({ high: "none" });
  });
  test("the low model where no cut meets the target", async () => {
    const found = await run(1, 3, { ratio: 0.5 });
    expect(found).toMatchObject({ high: "none", cut: null, error: 3, target: 2, end: "front" });
    expect(found.steps.length).toBeGreaterThan(3);
  });
  test("a high model that is worse, or no number, is an error", async () => {
    expect(run(3, 1, { ratio: 0.5 })).rejects.toThrow(HighIsWorse);
    expect(run(Number.NaN, 1, { ratio: 0.5 })).rejects.toThrow(HighIsWorse);
  });
  test("the target is computed in float32", async () => {
    const found = await run(Math.fround(0.1), Math.fround(0.7), { ratio: 0.3 });
    const f = Math.fround;
    expect(found.target).toBe(f(f(0.1) + f(f(0.3) * f(f(0.7) - f(0.1)))));
  });
});

test("the worse half by the errors of tensors", async () => {
  const depths = depthsOf(await graphOf(row(4)));
  // Depths 0 to 5, the output's included; the middle is 2.5.
  expect(
    worseEnd(
      depths,
      new Map([
        ["r2", 2],
        ["r3", 1],
      ]),
    ),
  ).toBe("front");
  expect(
    worseEnd(
      depths,
      new Map([
        ["r2", 1],
        ["r3", 2],
      ]),
    ),
  ).toBe("back");
  expect(
    worseEnd(
      depths,
      new Map([
        ["r2", 1],
        ["r3", 1],
      ]),
    ),
  ).toBe("back");
  expect(worseEnd(depths, new Map())).toBe("back");
});
