/** Models of several signatures, and what they compute, written down without LiteRT. */
import type { Model, SignatureDef, SubGraph, Tensor } from "../../src/model/index.ts";
import { GraphBuilder, ModelBuilder } from "../helpers/models.ts";

const WEIGHTS = Float32Array.of(1, -2, 0.5, 0.25, -1, 3, 2, 0.125);

/** `[tensor, name]` of inputs and outputs by number. */
export function signature(
  name: string,
  subgraphIndex: number,
  inputs: readonly (readonly [string, number])[],
  outputs: readonly (readonly [string, number])[],
): SignatureDef {
  const maps = (list: readonly (readonly [string, number])[]) =>
    list.map(([name, tensorIndex]) => ({ name, tensorIndex }));
  return { signatureKey: name, subgraphIndex, inputs: maps(inputs), outputs: maps(outputs) };
}

/** Copies of a model's shared tensor: the same buffer in another subgraph. */
function sharing(graph: GraphBuilder, name: string, shape: number[], buffer: number): GraphBuilder {
  return graph.tensor(name, shape, "FLOAT32", { buffer });
}

/**
 * Two subgraphs that share the weights w [2,4]:
 *
 *     encode   e_in [1,4] ("x") ─▶ FULLY_CONNECTED w e_out ("y")
 *     decode   d_in [1,4] ("x") ─▶ FULLY_CONNECTED w d_mid ─▶ ABS d_out ("z")
 */
export function encodeDecode(): Model {
  const builder = new ModelBuilder();
  const first = new GraphBuilder(builder).tensor("e_in", [1, 4]).constant("w", [2, 4], WEIGHTS);
  const buffer = builder.buffers.length - 1;
  const encode = named(
    "encoder",
    first
      .tensor("e_out", [1, 2])
      .operator("FULLY_CONNECTED", ["e_in", "w", ""], ["e_out"], { type: "FullyConnectedOptions", value: {} })
      .graph(["e_in"], ["e_out"]),
  );
  const decode = named(
    "decoder",
    sharing(new GraphBuilder(builder).tensor("d_in", [1, 4]), "w", [2, 4], buffer)
      .tensor("d_mid", [1, 2])
      .tensor("d_out", [1, 2])
      .operator("FULLY_CONNECTED", ["d_in", "w", ""], ["d_mid"], { type: "FullyConnectedOptions", value: {} })
      .operator("ABS", ["d_mid"], ["d_out"])
      .graph(["d_in"], ["d_out"]),
  );
  return {
    ...builder.model(encode, decode),
    signatureDefs: [signature("encode", 0, [["x", 0]], [["y", 2]]), signature("decode", 1, [["x", 0]], [["z", 3]])],
  };
}

export function named(name: string, graph: SubGraph): SubGraph {
  return { ...graph, name };
}

/** w · x, rows of w first. */
export function projected(x: readonly number[], weights: ArrayLike<number> = WEIGHTS): number[] {
  return [0, 1].map((row) => x.reduce((sum, value, i) => sum + weights[4 * row + i]! * value, 0));
}

/** Smallest and largest of all values of all records. */
export function extremes(records: readonly (readonly number[])[]): [number, number] {
  const all = records.flat();
  return [Math.min(...all), Math.max(...all)];
}

/** The range in a tensor's table. */
export function rangeIn(graph: SubGraph, name: string): [number, number] | undefined {
  const { min, max } = tensorIn(graph, name).quantization ?? {};
  return min?.length && max?.length ? [min[0]!, max[0]!] : undefined;
}

export function tensorIn(graph: SubGraph, name: string): Tensor {
  const found = graph.tensors!.find((tensor) => tensor.name === name);
  if (!found) throw new Error(`no tensor "${name}"`);
  return found;
}

/**
 * x [1,4] ─▶ STABLEHLO_COMPOSITE "test.scaled" y ─▶ ABS z, where the composite's decomposition is a ─▶ MUL by 2 half ─▶ ADD 1 b. `twice`: a second
 * composite of the same decomposition behind the first.
 */
export function withComposite(twice = false): Model {
  const builder = new ModelBuilder();
  const composite = (main: GraphBuilder, from: string, to: string) => {
    main.operator("STABLEHLO_COMPOSITE", [from], [to]);
    main.operators.at(-1)!.builtinOptions2 = {
      type: "StableHLOCompositeOptions",
      value: { name: "test.scaled", decompositionSubgraphIndex: 1 },
    };
  };
  const main = new GraphBuilder(builder)
    .tensor("x", [1, 4])
    .tensor("y", [1, 4])
    .tensor("y2", [1, 4])
    .tensor("z", [1, 4]);
  composite(main, "x", "y");
  if (twice) composite(main, "y", "y2");
  main.operator("ABS", [twice ? "y2" : "y"], ["z"]);
  const body = new GraphBuilder(builder)
    .tensor("a", [1, 4])
    .constant("two", [1], Float32Array.of(2))
    .constant("one", [1], Float32Array.of(1))
    .tensor("half", [1, 4])
    .tensor("b", [1, 4])
    .operator("MUL", ["a", "two"], ["half"], { type: "MulOptions", value: {} })
    .operator("ADD", ["half", "one"], ["b"], { type: "AddOptions", value: {} });
  return builder.model(named("main", main.graph(["x"], ["z"])), named("scaled_impl", body.graph(["a"], ["b"])));
}

/** Two signatures on one variable: "fill" assigns x to it, "use" reads it and yields v + x; with `both`, "use" assigns its result too. */
export function withVariable(both = false): Model {
  const builder = new ModelBuilder();
  const handle = (graph: GraphBuilder) =>
    graph
      .tensor("v", [], "RESOURCE")
      .operator("VAR_HANDLE", [], ["v"], { type: "VarHandleOptions", value: { container: "", sharedName: "cache" } });
  const fill = handle(new GraphBuilder(builder).tensor("x", [1, 4]).tensor("y", [1, 4]))
    .operator("ASSIGN_VARIABLE", ["v", "x"], [], { type: "AssignVariableOptions", value: {} })
    .operator("ABS", ["x"], ["y"]);
  const use = handle(new GraphBuilder(builder).tensor("x", [1, 4]).tensor("old", [1, 4]).tensor("y", [1, 4]));
  if (both) use.operator("ASSIGN_VARIABLE", ["v", "x"], [], { type: "AssignVariableOptions", value: {} });
  use
    .operator("READ_VARIABLE", ["v"], ["old"], { type: "ReadVariableOptions", value: {} })
    .operator("ADD", ["old", "x"], ["y"], { type: "AddOptions", value: {} });
  return {
    ...builder.model(fill.graph(["x"], ["y"]), use.graph(["x"], ["y"])),
    signatureDefs: [signature("fill", 0, [["x", 0]], [["y", 1]]), signature("use", 1, [["x", 0]], [["y", 2]])],
  };
}
