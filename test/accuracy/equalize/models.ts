/** A model in which every role of src/rules/channels.ts lies between operators that can even its channels out. */
import type { ActivationFunctionType, BuiltinOperator, Model } from "../../../src/model/index.ts";
import { type GraphBuilder, model } from "../../helpers/models.ts";

/** Numbers from −1 to 1, the same in every run. */
export function numbers(count: number, seed: number): Float32Array {
  let state = seed * 2654435761;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 31 - 1) * 0.7;
  });
}

const RELU6 = 3;
const RELU = 1;

/** Names of tensors by step; `act` of convolutions is a fused activation. */
export class Net {
  private count = 0;

  constructor(private readonly g: GraphBuilder) {}

  private constant(shape: number[], size = 1): string {
    const name = `c${this.count++}`;
    const values = numbers(
      shape.reduce((a, b) => a * b, 1),
      this.count,
    );
    this.g.constant(
      name,
      shape,
      values.map((value) => value * size),
    );
    return name;
  }

  ints(values: number[], shape = [values.length]): string {
    const name = `i${this.count++}`;
    this.g.constant(name, shape, Int32Array.from(values));
    return name;
  }

  conv(
    x: string,
    inputs: number,
    name: string,
    outputs: number,
    size: number,
    act: ActivationFunctionType = 0,
  ): string {
    this.g.tensor(name, [1, size, size, outputs]);
    this.g.operator(
      "CONV_2D",
      [x, this.constant([outputs, 3, 3, inputs], act === RELU6 ? 0.2 : 1), this.constant([outputs])],
      [name],
      {
        type: "Conv2DOptions",
        value: { padding: 0, strideW: 1, strideH: 1, fusedActivationFunction: act },
      },
    );
    return name;
  }

  depthwise(x: string, inputs: number, name: string, size: number, multiplier = 1): string {
    const outputs = inputs * multiplier;
    this.g.tensor(name, [1, size, size, outputs]);
    this.g.operator("DEPTHWISE_CONV_2D", [x, this.constant([1, 3, 3, outputs]), this.constant([outputs])], [name], {
      type: "DepthwiseConv2DOptions",
      value: { padding: 0, strideW: 1, strideH: 1, depthMultiplier: multiplier, fusedActivationFunction: RELU },
    });
    return name;
  }

  op(kind: keyof typeof BuiltinOperator, inputs: string[], name: string, shape: number[], options?: never): string {
    this.g.tensor(name, shape);
    this.g.operator(kind, inputs, [name], options);
    return name;
  }

  weights(shape: number[]): string {
    return this.constant(shape);
  }
}

export function everyRole(): Model {
  return model(["x"], ["y"], (g) => {
    const net = new Net(g);
    const options = (type: string, value: object) => ({ type, value }) as never;
    g.tensor("x", [1, 8, 8, 3]);
    const a = net.conv("x", 3, "a", 4, 8, RELU6);
    const slope = net.op("PRELU", [a, net.weights([1, 1, 4])], "slope", [1, 8, 8, 4]);
    const dw = net.depthwise(slope, 4, "dw", 8, 2);
    const half = net.op(
      "SPLIT",
      [net.ints([3], []), dw],
      "half0",
      [1, 8, 8, 4],
      options("SplitOptions", { numSplits: 2 }),
    );
    // A second result of the same operator.
    g.tensor("half1", [1, 8, 8, 4]);
    g.operators.at(-1)!.outputs = Int32Array.of(...g.operators.at(-1)!.outputs!, g.tensors.length - 1);
    const sum = net.op("ADD", [half, "half1"], "sum", [1, 8, 8, 4], options("AddOptions", {}));
    const padded = net.op("PAD", [sum, net.ints([0, 0, 1, 1, 1, 1, 1, 2], [4, 2])], "padded", [1, 10, 10, 7]);
    const wide = net.conv(padded, 7, "wide", 7, 10);
    const both = net.op("SUB", [padded, wide], "both", [1, 10, 10, 7], options("SubOptions", {}));
    const shifted = net.op("ADD", [both, net.weights([7])], "shifted", [1, 10, 10, 7], options("AddOptions", {}));
    const one = net.op(
      "MAXIMUM",
      [shifted, net.weights([1])],
      "one",
      [1, 10, 10, 7],
      options("MaximumMinimumOptions", {}),
    );
    const scaled = net.op("MUL", [one, net.weights([7])], "scaled", [1, 10, 10, 7], options("MulOptions", {}));
    const pool = net.op(
      "MAX_POOL_2D",
      [scaled],
      "pool",
      [1, 5, 5, 7],
      options("Pool2DOptions", { padding: 1, strideW: 2, strideH: 2, filterWidth: 2, filterHeight: 2 }),
    );
    const leaky = net.op("LEAKY_RELU", [pool], "leaky", [1, 5, 5, 7], options("LeakyReluOptions", { alpha: 0.2 }));
    const sized = net.op(
      "RESIZE_BILINEAR",
      [leaky, net.ints([6, 6])],
      "sized",
      [1, 6, 6, 7],
      options("ResizeBilinearOptions", {}),
    );
    const slice = net.op(
      "SLICE",
      [sized, net.ints([0, 0, 0, 2]), net.ints([1, 6, 6, 5])],
      "slice",
      [1, 6, 6, 5],
      options("SliceOptions", {}),
    );
    const joined = net.op(
      "CONCATENATION",
      [slice, sized],
      "joined",
      [1, 6, 6, 12],
      options("ConcatenationOptions", { axis: 3 }),
    );
    const turned = net.op(
      "TRANSPOSE",
      [joined, net.ints([0, 3, 1, 2])],
      "turned",
      [1, 12, 6, 6],
      options("TransposeOptions", {}),
    );
    const back = net.op(
      "TRANSPOSE",
      [turned, net.ints([0, 2, 3, 1])],
      "back",
      [1, 6, 6, 12],
      options("TransposeOptions", {}),
    );
    g.tensor("up", [1, 6, 6, 5]);
    g.operator(
      "TRANSPOSE_CONV",
      [net.ints([1, 6, 6, 5]), net.weights([5, 3, 3, 12]), back],
      ["up"],
      options("TransposeConvOptions", { padding: 0, strideW: 1, strideH: 1 }),
    );
    const flat = net.op(
      "RESHAPE",
      ["up", net.ints([1, 180])],
      "flat",
      [1, 180],
      options("ReshapeOptions", { newShape: Int32Array.of(1, 180) }),
    );
    g.tensor("hidden", [1, 6]);
    g.operator(
      "FULLY_CONNECTED",
      [flat, net.weights([6, 180]), net.weights([6])],
      ["hidden"],
      options("FullyConnectedOptions", { fusedActivationFunction: RELU }),
    );
    const mean = net.op("MEAN", ["up", net.ints([1, 2])], "mean", [1, 5], options("ReducerOptions", {}));
    g.tensor("other", [1, 6]);
    g.operator(
      "FULLY_CONNECTED",
      [mean, net.weights([6, 5]), net.weights([6])],
      ["other"],
      options("FullyConnectedOptions", {}),
    );
    const all = net.op("ADD", ["hidden", "other"], "all", [1, 6], options("AddOptions", {}));
    g.tensor("y", [1, 3]);
    g.operator(
      "FULLY_CONNECTED",
      [all, net.weights([3, 6]), net.weights([3])],
      ["y"],
      options("FullyConnectedOptions", {}),
    );
  });
}
