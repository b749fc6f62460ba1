/** dtypes of tensors without a range follow operands, options and other graphs (§2.1, §10.4). */
import { expect, test } from "bun:test";
import { type BuiltinOperator, type BuiltinOptions, TensorType } from "../../src/model/index.ts";
import { inferDtypes } from "../../src/passes/infer-dtypes.ts";
import { GraphBuilder, ModelBuilder, model, quantized } from "../helpers/models.ts";
import { nodeOf, spaceOf } from "./support.ts";

const U8 = quantized(1, 0);

test("through chains of any order, to a fixed point", async () => {
  const made = model(["x"], ["c"], (graph) =>
    graph
      .tensor("x", [4], "UINT8", U8)
      .tensor("a", [4])
      .tensor("b", [4])
      .tensor("c", [4])
      .operator("ABS", ["b"], ["c"])
      .operator("SQUEEZE", ["a"], ["b"])
      .operator("RELU", ["x"], ["a"]),
  );
  const { graphs } = await spaceOf(made);
  inferDtypes(graphs[0]!, graphs);
  for (const name of ["a", "b", "c"]) expect(nodeOf(graphs[0]!, name).dtype).toBe("UINT8");
  expect(graphs[0]!.outputs[0]!.dtype).toBe("UINT8");
  // Declared dtypes are state apart.
  expect(graphs[0]!.outputDtypes).toEqual(["FLOAT32"]);
});

/** Operator, operands of x (UINT8), n (INT32), b (BOOL) and f (FLOAT32), dtypes of its results. */
const CASES: [op: keyof typeof BuiltinOperator, operands: string, results: string, options?: BuiltinOptions][] = [
  ["SPLIT", "n x", "UINT8 UINT8"],
  ["ONE_HOT", "n n x f", "UINT8"],
  ["SELECT", "b x f", "UINT8"],
  ["SELECT_V2", "b x f", "UINT8"],
  ["FILL", "n x", "UINT8"],
  ["SCATTER_ND", "n x n", "UINT8"],
  ["SPARSE_TO_DENSE", "n n x f", "UINT8"],
  ["TRANSPOSE_CONV", "n f x", "UINT8"],
  ["GATHER", "x n", "UINT8"],
  ["DEQUANTIZE", "x", "FLOAT32"],
  ["BCQ_GATHER", "x n", "FLOAT32"],
  ["LESS", "x x", "BOOL"],
  ["LOGICAL_NOT", "b", "BOOL"],
  ["REDUCE_ANY", "b n", "BOOL"],
  ["RANK", "x", "INT32"],
  ["WHERE", "b", "INT64"],
  ["SHAPE", "x", "INT64", { type: "ShapeOptions", value: { outType: TensorType.INT64 } }],
  ["ARG_MAX", "x n", "INT32", { type: "ArgMaxOptions", value: { outputType: TensorType.INT32 } }],
  ["NON_MAX_SUPPRESSION_V4", "x x n x x", "INT32 INT32"],
  ["NON_MAX_SUPPRESSION_V5", "x x n x x x", "INT32 FLOAT32 INT32"],
];

for (const [op, operands, results, options] of CASES) test(op, () => check(op, operands, results, options));

async function check(
  op: keyof typeof BuiltinOperator,
  operands: string,
  results: string,
  options: BuiltinOptions | undefined,
) {
  const names = results.split(" ").map((_, i) => `y${i}`);
  const made = model(["x", "n", "b", "f"], names, (graph) => {
    graph.tensor("x", [4], "UINT8", U8).tensor("n", [1], "INT32").tensor("b", [1], "BOOL").tensor("f", [4]);
    // They start with a dtype that none of them should have.
    for (const name of names) graph.tensor(name, [4], "INT8");
    graph.operator(op, operands.split(" "), names, options);
  });
  const { graphs } = await spaceOf(made);
  inferDtypes(graphs[0]!, graphs);
  expect(names.map((name) => nodeOf(graphs[0]!, name).dtype).join(" ")).toBe(results);
}

test("QUANTIZE, CAST, CUSTOM and what is float on purpose keep their own", async () => {
  const made = model(["x"], ["q", "c", "u", "f"], (graph) =>
    graph
      .tensor("x", [4], "UINT8", U8)
      .tensor("q", [4], "INT16", U8)
      .tensor("c", [4], "INT32")
      .tensor("u", [4], "INT8")
      .tensor("f", [4])
      .operator("QUANTIZE", ["x"], ["q"])
      .operator("CAST", ["x"], ["c"], { type: "CastOptions", value: { inDataType: 3, outDataType: 2 } })
      .operator("CUSTOM", ["x"], ["u"], undefined, "Mine")
      .operator("COS", ["x"], ["f"]),
  );
  const { graphs } = await spaceOf(made);
  nodeOf(graphs[0]!, "f").float = { code: "no-rule", text: "on purpose" };
  inferDtypes(graphs[0]!, graphs);
  const dtypes = ["q", "c", "u", "f"].map((name) => nodeOf(graphs[0]!, name).dtype);
  expect(dtypes).toEqual(["INT16", "INT32", "INT8", "FLOAT32"]);
});

test("control flow: WHILE takes the condition's declared inputs, IF the then-branch's declared outputs", async () => {
  const builder = new ModelBuilder();
  const main = new GraphBuilder(builder)
    .tensor("b", [1], "BOOL")
    .tensor("x", [4])
    .tensor("w", [4])
    .tensor("i", [4])
    .operator("WHILE", ["x"], ["w"], { type: "WhileOptions", value: { condSubgraphIndex: 1, bodySubgraphIndex: 1 } })
    .operator("IF", ["b", "x"], ["i"], { type: "IfOptions", value: { thenSubgraphIndex: 1, elseSubgraphIndex: 0 } });
  const called = new GraphBuilder(builder).tensor("p", [4]).tensor("r", [4]).operator("ABS", ["p"], ["r"]);
  const made = builder.model(main.graph(["b", "x"], ["w", "i"]), called.graph(["p"], ["r"]));
  const { graphs } = await spaceOf(made);
  graphs[1]!.inputDtypes[0] = "INT16";
  graphs[1]!.outputDtypes[0] = "UINT8";
  inferDtypes(graphs[0]!, graphs);
  expect(nodeOf(graphs[0]!, "w").dtype).toBe("INT16");
  expect(nodeOf(graphs[0]!, "i").dtype).toBe("UINT8");
});
