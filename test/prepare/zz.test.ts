import { test } from "bun:test";
import { model } from "/work/main/test/helpers/models.ts";
import { TensorType } from "/work/main/src/model/index.ts";
import { opened, prepared, run, only, told, bytesOf } from "/work/main/test/prepare/support.ts";
import { foldConstants, evaluate } from "/work/main/src/calibration/fold.ts";
test("s", async () => {
  const make = (opts: any, out: number[]) => model(["x"], ["y"], (graph) => graph
        .tensor("x", [1, 2, 3], "FLOAT32")
        .constant("shape", [3], Int32Array.of(1,2,3))
        .constant("zero", [1], Int32Array.of(0))
        .constant("one", [1], Int32Array.of(1))
        .constant("rest", [], Int32Array.of(6))
        .tensor("batch", out, "INT32")
        .tensor("packed", [2], "INT32")
        .tensor("y", [1, 6], "FLOAT32")
        .operator("STRIDED_SLICE", ["shape", "zero", "one", "one"], ["batch"], opts)
        .operator("PACK", ["batch", "rest"], ["packed"], { type: "PackOptions", value: { valuesCount: 2 } })
        .operator("RESHAPE", ["x", "packed"], ["y"]));
  for (const [o, s] of [[{ type: "StridedSliceOptions", value: { shrinkAxisMask: 1 } }, []], [{ type: "StridedSliceOptions", value: {beginMask: 0 } }, [1]]] as any) {
  const of = make(o, s);
  for (let i = 0; i < 3; i++) {
  const g = of.subgraphs![0]!;
  console.log([...(await evaluate(of, g, [g.operators![0]!], new Map()))].map(([k, v]) => [g.tensors![k]!.name, v.length, new Int32Array(v.buffer)]));
  console.log([...(await foldConstants(of, g))].map(([k, v]) => [g.tensors![k]!.name, v.length, new Int32Array(v.buffer)]));
  }
  }
});
