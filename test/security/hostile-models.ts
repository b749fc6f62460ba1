/** Models that mean harm: graphs that no converter writes, in files that are well-formed as FlatBuffers. */
import { rangeOf } from "../../src/model/bytes.ts";
import type { Model, SubGraph } from "../../src/model/index.ts";
import { DimensionType } from "../../src/model/index.ts";
import { GraphBuilder, ModelBuilder, model, recorded } from "../helpers/models.ts";

/** `x → ABS a0 → ABS a1 → …` */
export function chain(length: number): Model {
  return model(["x"], [`a${length - 1}`], (graph) => {
    graph.tensor("x", [1, 4], "FLOAT32", recorded(-1, 1));
    for (let i = 0; i < length; i++)
      graph
        .tensor(`a${i}`, [1, 4], "FLOAT32", recorded(-1, 1))
        .operator("ABS", [i === 0 ? "x" : `a${i - 1}`], [`a${i}`]);
  });
}

/** Two operators, each of which reads what the other yields. */
export function cycle(): Model {
  return model(["x"], ["a"], (graph) =>
    graph
      .tensor("x", [1, 4], "FLOAT32", recorded(-1, 1))
      .tensor("a", [1, 4], "FLOAT32", recorded(-1, 1))
      .tensor("b", [1, 4], "FLOAT32", recorded(-1, 1))
      .operator("ADD", ["x", "b"], ["a"], { type: "AddOptions", value: {} })
      .operator("ABS", ["a"], ["b"]),
  );
}

/** An operator that reads its own result. */
export function ownResult(): Model {
  return model(["x"], ["a"], (graph) =>
    graph
      .tensor("x", [1, 4], "FLOAT32", recorded(-1, 1))
      .tensor("a", [1, 4], "FLOAT32", recorded(-1, 1))
      .operator("ADD", ["x", "a"], ["a"], { type: "AddOptions", value: {} }),
  );
}

/** Two operators yield one tensor; a third yields the graph's input, a fourth a constant. */
export function yieldedTwice(): Model {
  return model(["x"], ["a"], (graph) =>
    graph
      .tensor("x", [1, 4], "FLOAT32", recorded(-1, 1))
      .tensor("a", [1, 4], "FLOAT32", recorded(-1, 1))
      .constant("w", [1, 4], new Float32Array(4))
      .operator("ABS", ["x"], ["a"])
      .operator("NEG", ["x"], ["a"])
      .operator("NEG", ["a"], ["x"])
      .operator("NEG", ["a"], ["w"]),
  );
}

function calling(kind: "CALL" | "IF" | "WHILE" | "STABLEHLO_COMPOSITE" | "CALL_ONCE"): Model {
  const builder = new ModelBuilder();
  const graph = new GraphBuilder(builder);
  graph.tensor("x", [1, 4], "FLOAT32", recorded(-1, 1)).tensor("y", [1, 4], "FLOAT32", recorded(-1, 1));
  graph.constant("c", [1], Int32Array.of(1));
  const options = {
    CALL: { type: "CallOptions", value: { subgraph: 0 } },
    IF: { type: "IfOptions", value: { thenSubgraphIndex: 0, elseSubgraphIndex: 0 } },
    WHILE: { type: "WhileOptions", value: { condSubgraphIndex: 0, bodySubgraphIndex: 0 } },
    STABLEHLO_COMPOSITE: undefined,
    CALL_ONCE: { type: "CallOnceOptions", value: { initSubgraphIndex: 0 } },
  }[kind];
  graph.operator(
    kind,
    kind === "IF" ? ["c", "x"] : kind === "CALL_ONCE" ? [] : ["x"],
    kind === "CALL_ONCE" ? [] : ["y"],
    options as never,
  );
  if (kind === "CALL_ONCE") graph.operator("ABS", ["x"], ["y"]);
  if (kind === "STABLEHLO_COMPOSITE")
    graph.operators[0]!.builtinOptions2 = {
      type: "StableHLOCompositeOptions",
      value: { name: "own", decompositionSubgraphIndex: 0 },
    } as never;
  return builder.model(graph.graph(["x"], ["y"]));
}

/** Subgraphs that run themselves. */
export const RECURSIVE: Readonly<Record<string, () => Model>> = {
  call: () => calling("CALL"),
  if: () => calling("IF"),
  while: () => calling("WHILE"),
  composite: () => calling("STABLEHLO_COMPOSITE"),
  "call-once": () => calling("CALL_ONCE"),
};

/** `while (true)`: a condition that is always true. */
export function endless(): Model {
  const builder = new ModelBuilder();
  const main = new GraphBuilder(builder);
  main
    .tensor("x", [1, 4], "FLOAT32", recorded(-1, 1))
    .tensor("y", [1, 4], "FLOAT32", recorded(-1, 1))
    .operator("WHILE", ["x"], ["y"], { type: "WhileOptions", value: { condSubgraphIndex: 1, bodySubgraphIndex: 2 } });
  const condition = new GraphBuilder(builder);
  condition
    .tensor("c/x", [1, 4])
    .tensor("zero", [1, 4])
    .tensor("less", [1, 4], "BOOL")
    .tensor("all", [], "BOOL")
    .constant("axes", [2], Int32Array.of(0, 1))
    .operator("SUB", ["c/x", "c/x"], ["zero"], { type: "SubOptions", value: {} })
    .operator("EQUAL", ["zero", "zero"], ["less"], { type: "EqualOptions", value: {} })
    .operator("REDUCE_ALL", ["less", "axes"], ["all"], { type: "ReducerOptions", value: {} });
  const body = new GraphBuilder(builder);
  body.tensor("b/x", [1, 4]).tensor("b/y", [1, 4]).operator("ABS", ["b/x"], ["b/y"]);
  return builder.model(main.graph(["x"], ["y"]), condition.graph(["c/x"], ["all"]), body.graph(["b/x"], ["b/y"]));
}

/** Subgraphs of which each calls the next one twice. */
export function doubling(depth: number): Model {
  const builder = new ModelBuilder();
  const graphs = Array.from({ length: depth }, (_, i) => {
    const graph = new GraphBuilder(builder);
    graph.tensor("x", [1, 4], "FLOAT32", recorded(-1, 1)).tensor("m", [1, 4]).tensor("y", [1, 4], "FLOAT32");
    if (i === depth - 1) graph.operator("ABS", ["x"], ["m"]).operator("ABS", ["m"], ["y"]);
    else
      for (const [from, to] of [
        ["x", "m"],
        ["m", "y"],
      ] as const)
        graph.operator("CALL", [from], [to], { type: "CallOptions", value: { subgraph: i + 1 } });
    return graph.graph(["x"], ["y"]);
  });
  return builder.model(...graphs);
}

/** Tensors whose declared sizes no machine has. */
export function hugeShapes(shape: number[]): Model {
  return model(["x"], ["y"], (graph) =>
    graph
      .tensor("x", shape, "FLOAT32", recorded(-1, 1))
      .tensor("y", shape, "FLOAT32", recorded(-1, 1))
      .operator("ABS", ["x"], ["y"]),
  );
}

/** A few bytes that stand for gigabytes when they are computed from constants. */
export function filled(count: number): Model {
  return model(["x"], ["y"], (graph) =>
    graph
      .tensor("x", [1], "FLOAT32", recorded(-1, 1))
      .constant("dims", [2], Int32Array.of(count, count))
      .constant("value", [], Float32Array.of(1))
      .tensor("filled", [count, count], "FLOAT32", recorded(0, 1))
      .tensor("y", [count, count], "FLOAT32", recorded(-1, 1))
      .operator("FILL", ["dims", "value"], ["filled"], { type: "FillOptions", value: {} })
      .operator("ADD", ["x", "filled"], ["y"], { type: "AddOptions", value: {} }),
  );
}

/** A sparse constant without values that is gigabytes when it is made dense. */
export function sparse(rows: number, columns: number): Model {
  return model(["x"], ["y"], (graph) => {
    graph
      .tensor("x", [1, columns], "FLOAT32", recorded(-1, 1))
      .tensor("w", [rows, columns], "FLOAT32", {
        sparsity: {
          traversalOrder: Int32Array.of(0, 1),
          dimMetadata: [
            { format: DimensionType.DENSE, denseSize: rows },
            {
              format: DimensionType.SPARSE_CSR,
              arraySegments: { type: "Int32Vector", value: { values: new Int32Array(rows + 1).fill(1, 1) } },
              arrayIndices: { type: "Int32Vector", value: { values: Int32Array.of(0) } },
            },
          ],
        } as never,
      })
      .tensor("d", [rows, columns])
      .tensor("y", [1, rows], "FLOAT32", recorded(-1, 1))
      .operator("DENSIFY", ["w"], ["d"], { type: "DensifyOptions", value: {} })
      .operator("FULLY_CONNECTED", ["x", "d", ""], ["y"], { type: "FullyConnectedOptions", value: {} });
    graph.tensors[1]!.buffer = graph.builder.buffers.push({ data: rangeOf(new Uint8Array(4)) }) - 1;
  });
}

/** Parameters that contradict themselves or the tensor. */
export function parameters(quantization: object): Model {
  return model(["x"], ["y"], (graph) =>
    graph
      .tensor("x", [1, 4], "UINT8", { quantization: { scale: Float32Array.of(0.1), zeroPoint: BigInt64Array.of(0n) } })
      .constant("w", [4, 4], new Uint8Array(16), { type: 3 as never, quantization: quantization as never })
      .tensor("y", [1, 4], "UINT8", { quantization: quantization as never })
      .operator("FULLY_CONNECTED", ["x", "w", ""], ["y"], { type: "FullyConnectedOptions", value: {} }),
  );
}

/** The same name for everything, and everything named by it. */
export function named(name: string): Model {
  const made = model(["x"], ["y"], (graph) =>
    graph
      .tensor("x", [1, 4, 4, 2])
      .constant(
        "w",
        [3, 1, 1, 2],
        Float32Array.from({ length: 6 }, (_, i) => i / 6 - 0.5),
      )
      .constant("b", [3], Float32Array.of(0.1, 0.2, 0.3))
      .tensor("conv", [1, 4, 4, 3])
      .tensor("own", [1, 4, 4, 3])
      .tensor("y", [1, 4, 4, 3])
      .operator("CONV_2D", ["x", "w", "b"], ["conv"], { type: "Conv2DOptions", value: { strideW: 1, strideH: 1 } })
      .operator("CUSTOM", ["conv"], ["own"], undefined, `${name} op`)
      .operator("LOGISTIC", ["own"], ["y"]),
  );
  const graph = made.subgraphs![0]! as SubGraph & { name?: string };
  for (const [i, tensor] of graph.tensors!.entries()) tensor.name = `${name}${i}`;
  graph.name = `${name} graph`;
  made.description = `${name} description`;
  const buffer = made.buffers!.push({ data: rangeOf(new Uint8Array(4)) }) - 1;
  made.metadata = [{ name: `${name} metadata`, buffer }];
  const map = (name: string, tensorIndex: number) => ({ name, tensorIndex });
  made.signatureDefs = [
    { signatureKey: `${name} key`, subgraphIndex: 0, inputs: [map(`${name} in`, 0)], outputs: [map(`${name} out`, 5)] },
  ];
  return made;
}
