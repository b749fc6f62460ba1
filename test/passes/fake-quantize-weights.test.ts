/** Weights rounded to quantized values and back (§5.2), and quantized once more with the parameters they keep. */
import { describe, expect, test } from "bun:test";
import { quantParam } from "../../src/graph/quantparam.ts";
import type { Model } from "../../src/model/index.ts";
import { quantizeGraph } from "../../src/passes/minmax/index.ts";
import { fakeQuantizeWeights } from "../../src/passes/transform/fake-quantize-weights.ts";
import { model, recorded } from "../helpers/models.ts";
import { asym0, fakeasym, fakesym, generator, sym0 } from "../kernels/oracle.ts";
import { f32, hex, scaledOf } from "../operators/oracle.ts";
import { nodeOf, spaceOf, written } from "./support.ts";

const SCHEMES = [
  { dtype: "UINT8", granularity: "channel" },
  { dtype: "UINT8", granularity: "layer" },
  { dtype: "INT16", granularity: "channel" },
] as const;
type Scheme = (typeof SCHEMES)[number];

/** Operator, operands, shape of the weights and their channel axis. */
const KINDS: [op: string, operands: string, shape: number[], axis: number][] = [
  ["CONV_2D", "x w b", [3, 2, 2, 2], 0],
  ["DEPTHWISE_CONV_2D", "x w b", [1, 3, 3, 4], 3],
  ["FULLY_CONNECTED", "x w b", [5, 7], 0],
  ["TRANSPOSE_CONV", "i w x b", [3, 2, 2, 2], 0],
];

function values(count: number): Float32Array<ArrayBuffer> {
  const next = generator(count);
  return Float32Array.from({ length: count }, (_, i) => (i % 7 === 0 ? 0 : (next() / 2 ** 32 - 0.4) * 3));
}

function built(op: string, operands: string, shape: readonly number[], axis: number, w: Float32Array): Model {
  return model(["x"], ["y"], (graph) =>
    graph
      .tensor("x", [4], "FLOAT32", recorded(-1, 1))
      .tensor("y", [4], "FLOAT32", recorded(0, 2))
      .constant("i", [1], Int32Array.of(1))
      .constant("w", [...shape], w)
      .constant("b", [shape[axis]!], values(shape[axis]!))
      .operator(op as "CONV_2D", operands.split(" "), ["y"]),
  );
}

/** Parameters of each channel, or of the whole. */
function parametersOf(w: Float32Array, shape: readonly number[], axis: number, { dtype, granularity }: Scheme) {
  const inner = granularity === "layer" ? w.length : shape.slice(axis + 1).reduce((a, b) => a * b, 1);
  const channels = granularity === "layer" ? 1 : shape[axis]!;
  const scaled = Array.from({ length: channels }, (_, c) => {
    const own = [...w].filter((_, i) => Math.floor(i / inner) % channels === c);
    return scaledOf(dtype, Math.min(...own), Math.max(...own));
  });
  const list = (of: (s: (typeof scaled)[number]) => number) => Float32Array.from(scaled, of);
  const scale = list((s) => s.scale);
  const nmin = list((s) => s.nudgedMin);
  const nmax = list((s) => s.nudgedMax);
  return { layout: { channels, inner }, p: { scale, nmin, nmax, inv: scale.map((s) => f32(1 / s)) }, scaled };
}

const hexes = (list: Iterable<number>) => Array.from(list, hex);

for (const [op, operands, shape, axis] of KINDS) {
  describe.each(SCHEMES.map((scheme) => [`${scheme.dtype} by ${scheme.granularity}`, scheme] as const))(
    `${op}, %s`,
    (_, scheme) => {
      const w = values(shape.reduce((a, b) => a * b, 1));
      const { layout, p, scaled } = parametersOf(w, shape, axis, scheme);
      const fake = scheme.dtype === "UINT8" ? fakeasym(w, layout, p) : fakesym(w, layout, p, 32767);

      test("float values that are quantized ones", async () => {
        const space = await spaceOf(built(op, operands, shape, axis, w), scheme);
        fakeQuantizeWeights(space.graphs[0]!, space.context);
        const { tensors } = await written(space);
        const fact = tensors.get("w")!;
        expect(hexes(fact.values as number[])).toEqual(hexes(fake));
        expect(fact).toMatchObject({
          dtype: "FLOAT32",
          scale: hexes(p.scale),
          zeroPoint: scaled.map((s) => s.zeroPoint),
          min: hexes(p.nmin),
          max: hexes(p.nmax),
          axis: scheme.granularity === "layer" ? 0 : axis,
        });
        // Everything else loses its parameters and keeps its values.
        for (const name of ["x", "y", "b"]) expect(tensors.get(name)).toMatchObject({ scale: [], min: [], max: [] });
        expect(tensors.get("b")!.values).toEqual([...values(shape[axis]!)]);
      });

      test("quantized once more: the parameters stay, nothing is clipped (QA0, QS0)", async () => {
        const space = await spaceOf(built(op, operands, shape, axis, w), scheme);
        const graph = space.graphs[0]!;
        fakeQuantizeWeights(graph, space.context);
        for (const [node, max] of [
          [nodeOf(graph, "x"), 1],
          [nodeOf(graph, "y"), 2],
        ] as const)
          node.quant = quantParam({
            min: Float32Array.of(-1),
            max: Float32Array.of(max),
            provenance: { from: "file" },
          });
        for (const output of graph.outputs) output.quant = nodeOf(graph, "y").quant;
        quantizeGraph(graph, space.context);
        const fact = (await written(space)).tensors.get("w")!;
        const expected = scheme.dtype === "UINT8" ? asym0(fake, layout, p) : sym0(fake, layout, p);
        expect(fact).toMatchObject({
          dtype: scheme.dtype,
          scale: hexes(p.scale),
          zeroPoint: scaled.map((s) => s.zeroPoint),
          min: [],
          values: [...expected],
        });
      });
    },
  );
}

test("shared weights: each operator has its own copy, other users keep the original", async () => {
  const w = values(20);
  const made = model(["x"], ["y", "z", "a"], (graph) => {
    graph.tensor("x", [1, 5], "FLOAT32", recorded(-1, 1)).constant("w", [4, 5], w).constant("b", [4], values(4));
    for (const name of ["y", "z", "a"]) graph.tensor(name, [1, 4], "FLOAT32", recorded(-1, 1));
    graph
      .operator("FULLY_CONNECTED", ["x", "w", "b"], ["y"])
      .operator("FULLY_CONNECTED", ["x", "w", "b"], ["z"])
      .operator("ABS", ["w"], ["a"]);
  });
  const space = await spaceOf(made);
  fakeQuantizeWeights(space.graphs[0]!, space.context);
  const { operators, tensors } = await written(space);
  const names = operators.map((text) => text.match(/\((.*)\)/)![1]!.split(", "));
  const [first, second, original] = [names[0]![1]!, names[1]![1]!, names[2]![0]!];
  expect(new Set([first, second, original]).size).toBe(3);
  expect(tensors.get(original)!.values).toEqual([...w]);
  expect(tensors.get(first)!.values).not.toEqual([...w]);
  expect(tensors.get(second)).toEqual(tensors.get(first)!);
});

test("weights that are no float constants are skipped", async () => {
  const made = model(["x", "w"], ["y"], (graph) =>
    graph
      .tensor("x", [1, 5], "FLOAT32", recorded(-1, 1))
      .tensor("w", [4, 5], "FLOAT32", recorded(-1, 1))
      .tensor("y", [1, 4], "FLOAT32", recorded(-1, 1))
      .constant("b", [4], values(4))
      .operator("FULLY_CONNECTED", ["x", "w", "b"], ["y"]),
  );
  const space = await spaceOf(made);
  fakeQuantizeWeights(space.graphs[0]!, space.context);
  expect((await written(space)).tensors.get("w")).toMatchObject({ dtype: "FLOAT32", scale: [] });
});
