/** Small models for the command line: right ones and broken ones. */
import { type Model, type TensorType, writeModel } from "../../src/model/index.ts";
import { GraphBuilder, ModelBuilder, model } from "../calibration/models.ts";

export type Ranges = Readonly<Record<string, readonly [number, number] | undefined>>;

export const FLOATS = (count: number, of: (i: number) => number = (i) => (i - count / 2) / count) =>
  Float32Array.from({ length: count }, (_, i) => of(i));

/** `x → CONV_2D conv → ABS abs → LOGISTIC y`, with the ranges given. Nothing in it can be fused. */
export function convolution(ranges: Ranges = {}, weights = FLOATS(6), bias = FLOATS(3)): Model {
  return model(["x"], ["y"], (graph) =>
    graph
      .tensor("x", [1, 4, 4, 2], "FLOAT32", range(ranges.x))
      .constant("w", [3, 1, 1, 2], weights)
      .constant("b", [3], bias)
      .tensor("conv", [1, 4, 4, 3], "FLOAT32", range(ranges.conv))
      .tensor("abs", [1, 4, 4, 3], "FLOAT32", range(ranges.abs))
      .tensor("y", [1, 4, 4, 3], "FLOAT32", range(ranges.y))
      .operator("CONV_2D", ["x", "w", "b"], ["conv"], { type: "Conv2DOptions", value: { strideW: 1, strideH: 1 } })
      .operator("ABS", ["conv"], ["abs"])
      .operator("LOGISTIC", ["abs"], ["y"]),
  );
}

export const RECORDED: Ranges = { x: [-1, 1], conv: [-2, 2], abs: [0, 2], y: [0, 1] };

export function range(of: readonly [number, number] | undefined) {
  return of && { quantization: { min: Float32Array.of(of[0]), max: Float32Array.of(of[1]) } };
}

/** `x → SIN first → CUSTOM second → RELU y`: nothing to quantize but the last. */
export function withoutRules(ranges: Ranges = { x: [-1, 1], first: [-1, 1], second: [-1, 1], y: [0, 1] }): Model {
  return model(["x"], ["y"], (graph) =>
    graph
      .tensor("x", [1, 4], "FLOAT32", range(ranges.x))
      .tensor("first", [1, 4], "FLOAT32", range(ranges.first))
      .tensor("second", [1, 4], "FLOAT32", range(ranges.second))
      .tensor("y", [1, 4], "FLOAT32", range(ranges.y))
      .operator("SIN", ["x"], ["first"])
      .operator("CUSTOM", ["first"], ["second"], undefined, "MyOwnOperator")
      .operator("RELU", ["second"], ["y"]),
  );
}

/** The output is the input. */
export function withoutOperators(): Model {
  return model(["x"], ["x"], (graph) => graph.tensor("x", [1, 4], "FLOAT32", range([-1, 1])));
}

/** One operator on tensors of a type. */
export function ofType(type: keyof typeof TensorType): Model {
  return model(["x"], ["y"], (graph) =>
    graph
      .tensor("x", [1, 4], type)
      .tensor("y", [1, 4], type)
      .operator("ADD", ["x", "x"], ["y"], { type: "AddOptions", value: {} }),
  );
}

/** The batch is open: shape [1,4], signature [-1,4]. */
export function openBatch(ranges: Ranges = {}): Model {
  const shapeSignature = Int32Array.of(-1, 4);
  return model(["x"], ["y"], (graph) =>
    graph
      .tensor("x", [1, 4], "FLOAT32", { shapeSignature, ...range(ranges.x) })
      .tensor("y", [1, 4], "FLOAT32", { shapeSignature, ...range(ranges.y) })
      .operator("RELU", ["x"], ["y"]),
  );
}

/** `x → RELU before → IF(condition) {RELU | LOGISTIC} y`. */
export function withIf(ranges: Ranges = {}): Model {
  const builder = new ModelBuilder();
  const main = new GraphBuilder(builder)
    .tensor("condition", [1], "BOOL")
    .tensor("x", [1, 4], "FLOAT32", range(ranges.x))
    .tensor("before", [1, 4], "FLOAT32", range(ranges.before))
    .tensor("y", [1, 4], "FLOAT32", range(ranges.y))
    .operator("RELU", ["x"], ["before"])
    .operator("IF", ["condition", "before"], ["y"], {
      type: "IfOptions",
      value: { thenSubgraphIndex: 1, elseSubgraphIndex: 2 },
    })
    .graph(["condition", "x"], ["y"]);
  const branch = (kind: "RELU" | "LOGISTIC") =>
    new GraphBuilder(builder)
      .tensor(`${kind} in`, [1, 4])
      .tensor(`${kind} out`, [1, 4])
      .operator(kind, [`${kind} in`], [`${kind} out`])
      .graph([`${kind} in`], [`${kind} out`]);
  return builder.model(main, branch("RELU"), branch("LOGISTIC"));
}

/** Two inputs, as data sets of several inputs need. */
export function twoInputs(): Model {
  return model(["left", "right"], ["sum"], (graph) =>
    graph
      .tensor("left", [1, 4])
      .tensor("right", [1, 4])
      .tensor("sum", [1, 4])
      .operator("ADD", ["left", "right"], ["sum"], { type: "AddOptions", value: {} }),
  );
}

/** Writes a model as circle (or, by its ending, TFLite); gives the path. */
export async function write(of: Model, path: string): Promise<string> {
  await writeModel(of, path, { dialect: path.endsWith(".tflite") ? "tflite" : "circle" });
  return path;
}
