/** Operators computed by LiteRT: every element type, and those that LiteRT computes before it runs. */
import { expect, test } from "bun:test";
import { evaluate } from "../../src/calibration/evaluate.ts";
import { constantsKnown } from "../../src/calibration/fold.ts";
import { EngineError } from "../../src/calibration/litert.ts";
import { type BuiltinOptions, type Model, TensorType } from "../../src/model/index.ts";
import { type GraphBuilder, model } from "../helpers/models.ts";

/** Bytes of the result "y" of the one operator that `fill` adds. */
async function compute(fill: (graph: GraphBuilder) => GraphBuilder): Promise<ArrayBuffer> {
  const of: Model = model([], ["y"], (graph) => {
    fill(graph);
  });
  const [values] = (await evaluate(of, of.subgraphs![0]!, of.subgraphs![0]!.operators!, new Map())).values();
  return values!.slice().buffer;
}

const slice: BuiltinOptions = { type: "StridedSliceOptions", value: {} };
const one = (graph: GraphBuilder, start: number) =>
  graph
    .constant("from", [1], Int32Array.of(start))
    .constant("to", [1], Int32Array.of(start + 1))
    .constant("by", [1], Int32Array.of(1));

test("floats keep their bits: −0, infinities, the smallest numbers, NaN", async () => {
  const values = Float32Array.of(-0, 0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e-45, 3.4e38, Number.NaN);
  const bits = new Uint32Array(
    await compute((graph) =>
      graph
        .constant("c", [7], values)
        .constant("dims", [2], Int32Array.of(1, 7))
        .tensor("y", [1, 7])
        .operator("RESHAPE", ["c", "dims"], ["y"]),
    ),
  );
  expect(bits).toEqual(new Uint32Array(values.buffer));
});

test("what LiteRT computes while it prepares a model: STRIDED_SLICE of INT32, FLOAT32, INT64, BOOL and small integers", async () => {
  const sliced = (type: TensorType, values: Float32Array | Int32Array | BigInt64Array | Uint8Array | Int8Array) =>
    compute((graph) =>
      one(graph, 1)
        .constant("c", [3], values, { type })
        .tensor("y", [1], "INT32", { type })
        .operator("STRIDED_SLICE", ["c", "from", "to", "by"], ["y"], slice),
    );
  const { INT32, FLOAT32, INT64, BOOL, INT8, UINT8 } = TensorType;
  expect(new Int32Array(await sliced(INT32, Int32Array.of(5, -6, 7)))).toEqual(Int32Array.of(-6));
  expect(new Float32Array(await sliced(FLOAT32, Float32Array.of(5, 0.1, 7)))).toEqual(Float32Array.of(0.1));
  const large = -(2n ** 53n) - 1n;
  expect(new BigInt64Array(await sliced(INT64, BigInt64Array.of(0n, large, 0n)))).toEqual(BigInt64Array.of(large));
  expect(new Uint8Array(await sliced(BOOL, Uint8Array.of(0, 1, 0)))).toEqual(Uint8Array.of(1));
  expect(new Int8Array(await sliced(INT8, Int8Array.of(0, -128, 0)))).toEqual(Int8Array.of(-128));
  expect(new Uint8Array(await sliced(UINT8, Uint8Array.of(0, 255, 0)))).toEqual(Uint8Array.of(255));
});

test("CAST to INT16 rounds as LiteRT does, and is narrow again", async () => {
  const bytes = await compute((graph) =>
    graph
      .constant("c", [2], Float32Array.of(-3, 1234))
      .tensor("y", [2], "INT16")
      .operator("CAST", ["c"], ["y"], {
        type: "CastOptions",
        value: { inDataType: TensorType.FLOAT32, outDataType: TensorType.INT16 },
      }),
  );
  expect(new Int16Array(bytes)).toEqual(Int16Array.of(-3, 1234));
});

test("a shape that is not declared is an error, not rubbish", async () => {
  const dynamic = compute((graph) =>
    graph
      .constant("c", [4], Float32Array.of(1, 2, 3, 4))
      .constant("dims", [1], Int32Array.of(4))
      .tensor("where", [1, 1], "INT64")
      .tensor("mask", [4], "BOOL")
      .constant("two", [], Float32Array.of(2))
      .operator("GREATER", ["c", "two"], ["mask"])
      .operator("WHERE", ["mask"], ["where"]),
  );
  await expect(dynamic).rejects.toThrow(EngineError);
});

test("recording: a shape that is cut out of another one is known", async () => {
  const of = model(["x"], ["y"], (graph) =>
    one(graph, 2)
      .tensor("x", [1, 2, 3])
      .tensor("shape", [3], "INT32")
      .tensor("last", [1], "INT32")
      .constant("first", [1], Int32Array.of(2))
      .tensor("dims", [2], "INT32")
      .tensor("y", [2, 3])
      .operator("SHAPE", ["x"], ["shape"], { type: "ShapeOptions", value: { outType: TensorType.INT32 } })
      .operator("STRIDED_SLICE", ["shape", "from", "to", "by"], ["last"], slice)
      .operator("CONCATENATION", ["first", "last"], ["dims"], { type: "ConcatenationOptions", value: {} })
      .operator("RESHAPE", ["x", "dims"], ["y"]),
  );
  const graph = of.subgraphs![0]!;
  const known = await constantsKnown(of, graph);
  const dims = known.get(graph.tensors!.findIndex(({ name }) => name === "dims"))!;
  expect([...new Int32Array(dims.slice().buffer)]).toEqual([2, 3]);
});
