/** Random float models that LiteRT can run and every scheme can be expected to quantize well: no jumps, no poles, values of about 1. */
import { ActivationFunctionType, type BuiltinOptions, type Model, Padding } from "../../src/model/index.ts";
import { GraphBuilder, ModelBuilder } from "../helpers/models.ts";

/** Numbers from a seed (mulberry32): the same seed, the same graph. */
export class Random {
  constructor(private state: number) {}

  /** In [0, 1). */
  number(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let bits = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number from `least` to `most`. */
  whole(least: number, most: number): number {
    return least + Math.floor(this.number() * (most - least + 1));
  }

  chance(share: number): boolean {
    return this.number() < share;
  }

  of<T>(list: readonly T[]): T {
    return list[Math.floor(this.number() * list.length)]!;
  }

  /** Values in [−size, size). */
  values(count: number, size: number): Float32Array {
    return Float32Array.from({ length: count }, () => (2 * this.number() - 1) * size);
  }
}

type Tensor = { readonly name: string; readonly shape: readonly number[] };

/** A graph under way: tensors that operators may read. */
class Growing {
  readonly tensors: Tensor[] = [];
  readonly used = new Set<string>();
  /** Results of operators, in order. */
  readonly results: string[] = [];
  /** The first result of each: all of an operator's have the same settings. */
  readonly layers: string[] = [];
  private count = 0;

  constructor(
    readonly graph: GraphBuilder,
    readonly random: Random,
  ) {}

  /** A tensor to read, of a rank where that matters. */
  pick(rank?: number): Tensor | null {
    const fitting = this.tensors.filter(({ shape }) => rank === undefined || shape.length === rank);
    if (fitting.length === 0) return null;
    // Late ones more often, so that graphs grow deep.
    return this.random.chance(0.6) ? fitting.at(-1)! : this.random.of(fitting);
  }

  name(of: string): string {
    return `${of.toLowerCase()}_${this.count++}`;
  }

  floats(shape: number[], size: number): string {
    const name = this.name("c");
    const count = shape.reduce((a, b) => a * b, 1);
    this.graph.constant(name, shape, this.random.values(count, size));
    return name;
  }

  integers(shape: number[], values: readonly number[]): string {
    const name = this.name("i");
    this.graph.constant(name, shape, Int32Array.from(values));
    return name;
  }

  add(
    op: Parameters<GraphBuilder["operator"]>[0],
    operands: string[],
    shapes: readonly number[][],
    options?: BuiltinOptions,
  ): void {
    const names = shapes.map((shape) => {
      const name = this.name(op);
      this.graph.tensor(name, shape);
      this.tensors.push({ name, shape });
      this.results.push(name);
      return name;
    });
    this.layers.push(names[0]!);
    for (const name of operands) this.used.add(name);
    this.graph.operator(op, operands, names, options);
  }
}

const { NONE, RELU, RELU6 } = ActivationFunctionType;
/** NONE as often as the others together. */
const activation = (random: Random): ActivationFunctionType => random.of([NONE, NONE, RELU, RELU6]);
const last = (shape: readonly number[]): number => shape.at(-1)!;

/** Each adds an operator, or nothing where no tensor fits. */
const STEPS: readonly ((growing: Growing, random: Random) => void)[] = [
  (growing, random) => {
    const x = growing.pick()!;
    const op = random.of(["RELU", "RELU6", "TANH", "LOGISTIC", "ABS", "NEG", "ELU", "HARD_SWISH"] as const);
    growing.add(op, [x.name], [[...x.shape]]);
  },
  (growing, random) => {
    const x = growing.pick()!;
    const [op, options] = random.of<["LEAKY_RELU" | "SOFTMAX", BuiltinOptions]>([
      ["LEAKY_RELU", { type: "LeakyReluOptions", value: { alpha: 0.1 } }],
      ["SOFTMAX", { type: "SoftmaxOptions", value: { beta: 1 } }],
    ]);
    growing.add(op, [x.name], [[...x.shape]], options);
  },
  (growing, random) => {
    const x = growing.pick(4);
    if (!x) return;
    const [out, side] = [random.whole(1, 6), random.whole(1, 3)];
    const size = 1.5 / Math.sqrt(side * side * last(x.shape));
    const operands = [
      x.name,
      growing.floats([out, side, side, last(x.shape)], size),
      random.chance(0.8) ? growing.floats([out], 0.3) : "",
    ];
    const value = {
      padding: Padding.SAME,
      strideW: 1,
      strideH: 1,
      dilationWFactor: 1,
      dilationHFactor: 1,
      fusedActivationFunction: activation(random),
    };
    growing.add("CONV_2D", operands, [[...x.shape.slice(0, 3), out]], { type: "Conv2DOptions", value });
  },
  (growing, random) => {
    const x = growing.pick(4);
    if (!x) return;
    const channels = last(x.shape);
    const value = {
      padding: Padding.SAME,
      strideW: 1,
      strideH: 1,
      depthMultiplier: 1,
      dilationWFactor: 1,
      dilationHFactor: 1,
      fusedActivationFunction: activation(random),
    };
    const operands = [x.name, growing.floats([1, 3, 3, channels], 0.5), growing.floats([channels], 0.3)];
    growing.add("DEPTHWISE_CONV_2D", operands, [[...x.shape]], { type: "DepthwiseConv2DOptions", value });
  },
  (growing, random) => {
    const x = growing.pick(2);
    if (!x) return;
    const [inner, out] = [last(x.shape), random.whole(1, 9)];
    const bias = random.chance(0.7) ? growing.floats([out], 0.3) : "";
    const operands = [x.name, growing.floats([out, inner], 1.5 / Math.sqrt(inner)), bias];
    const value = { fusedActivationFunction: activation(random) };
    growing.add("FULLY_CONNECTED", operands, [[x.shape[0]!, out]], { type: "FullyConnectedOptions", value });
  },
  (growing, random) => {
    const x = growing.pick()!;
    const same = growing.tensors.filter(({ shape }) => shape.join() === x.shape.join());
    const other = random.chance(0.3) ? growing.floats([last(x.shape)], 1) : random.of(same).name;
    const fusedActivationFunction = activation(random);
    const [op, options] = random.of<["ADD" | "SUB" | "MUL", BuiltinOptions]>([
      ["ADD", { type: "AddOptions", value: { fusedActivationFunction } }],
      ["SUB", { type: "SubOptions", value: { fusedActivationFunction } }],
      ["MUL", { type: "MulOptions", value: { fusedActivationFunction } }],
    ]);
    growing.add(op, [x.name, other], [[...x.shape]], options);
  },
  (growing, random) => {
    const x = growing.pick()!;
    const same = growing.tensors.filter(({ shape }) => shape.join() === x.shape.join());
    growing.add(random.of(["MAXIMUM", "MINIMUM"] as const), [x.name, random.of(same).name], [[...x.shape]]);
  },
  (growing, random) => {
    const x = growing.pick()!;
    const fitting = growing.tensors.filter(({ shape }) => shape.slice(0, -1).join() === x.shape.slice(0, -1).join());
    const operands = [x, random.of(fitting)];
    const shape = [...x.shape.slice(0, -1), operands.reduce((sum, each) => sum + last(each.shape), 0)];
    const value = { axis: x.shape.length - 1, fusedActivationFunction: NONE };
    growing.add(
      "CONCATENATION",
      operands.map(({ name }) => name),
      [shape],
      { type: "ConcatenationOptions", value },
    );
  },
  (growing) => {
    const x = growing.pick(4);
    if (!x) return;
    const to = [1, x.shape.reduce((a, b) => a * b, 1)];
    const options = { type: "ReshapeOptions", value: { newShape: Int32Array.from(to) } } as const;
    growing.add("RESHAPE", [x.name, growing.integers([2], to)], [to], options);
  },
  (growing) => {
    const x = growing.pick(4);
    if (!x) return;
    const order = [0, 2, 1, 3];
    const shape = order.map((axis) => x.shape[axis]!);
    growing.add("TRANSPOSE", [x.name, growing.integers([4], order)], [shape], { type: "TransposeOptions", value: {} });
  },
  (growing) => {
    const x = growing.pick();
    if (!x || last(x.shape) % 2 !== 0) return;
    const half = [...x.shape.slice(0, -1), last(x.shape) / 2];
    const options = { type: "SplitOptions", value: { numSplits: 2 } } as const;
    growing.add("SPLIT", [growing.integers([], [x.shape.length - 1]), x.name], [half, half], options);
    growing.used.add(x.name);
  },
  (growing, random) => {
    const x = growing.pick(4);
    if (!x || x.shape[1]! < 2 || x.shape[2]! < 2) return;
    const value = {
      padding: Padding.VALID,
      strideW: 1,
      strideH: 1,
      filterWidth: 2,
      filterHeight: 2,
      fusedActivationFunction: NONE,
    };
    const shape = [x.shape[0]!, x.shape[1]! - 1, x.shape[2]! - 1, last(x.shape)];
    const op = random.of(["MAX_POOL_2D", "AVERAGE_POOL_2D"] as const);
    growing.add(op, [x.name], [shape], { type: "Pool2DOptions", value });
  },
  (growing) => {
    const x = growing.pick(4);
    if (!x) return;
    const shape = [x.shape[0]!, x.shape[1]! + 2, x.shape[2]! + 1, last(x.shape)];
    const paddings = growing.integers([4, 2], [0, 0, 1, 1, 0, 1, 0, 0]);
    growing.add("PAD", [x.name, paddings], [shape], { type: "PadOptions", value: {} });
  },
  (growing) => {
    const x = growing.pick(4);
    if (!x) return;
    const options = { type: "ReducerOptions", value: { keepDims: false } } as const;
    growing.add("MEAN", [x.name, growing.integers([2], [1, 2])], [[x.shape[0]!, last(x.shape)]], options);
  },
  (growing) => {
    // There is no rule for it: stays float, with borders.
    const x = growing.pick()!;
    growing.add("COS", [x.name], [[...x.shape]]);
  },
];

export interface RandomModel {
  readonly model: Model;
  /** A name for each operator that may have settings of its own. */
  readonly layers: readonly string[];
}

/** A model of 2 to 12 operators; `large`: with weights that several threads share. */
export function randomModel(random: Random, large: boolean): RandomModel {
  const builder = new ModelBuilder();
  const growing = new Growing(new GraphBuilder(builder), random);
  const inputs = Array.from({ length: random.whole(1, 2) }, (_, i) => `x${i}`);
  for (const name of inputs) {
    const shape = random.chance(0.8) ? [1, 4, 4, random.whole(1, 4)] : [random.whole(1, 2), 8];
    growing.graph.tensor(name, shape);
    growing.tensors.push({ name, shape });
  }
  const wanted = random.whole(2, 12);
  for (let tries = 0; growing.results.length < wanted && tries < 100; tries++) random.of(STEPS)(growing, random);
  if (large) addLarge(growing);
  const outputs = growing.results.filter((name) => !growing.used.has(name) || random.chance(0.05));
  return { model: builder.model(growing.graph.graph(inputs, outputs)), layers: growing.layers };
}

/** Two matrices of 1.5 million weights. */
function addLarge(growing: Growing): void {
  const x = growing.random.of(growing.tensors);
  const inner = x.shape.reduce((a, b) => a * b, 1);
  const flat = growing.name("flat");
  growing.graph.tensor(flat, [1, inner]);
  growing.graph.operator("RESHAPE", [x.name, growing.integers([2], [1, inner])], [flat], {
    type: "ReshapeOptions",
    value: { newShape: Int32Array.of(1, inner) },
  });
  growing.used.add(x.name);
  const wide = Math.ceil(1_500_000 / inner);
  const options = { type: "FullyConnectedOptions", value: { fusedActivationFunction: NONE } } as const;
  growing.add(
    "FULLY_CONNECTED",
    [flat, growing.floats([wide, inner], 1.5 / Math.sqrt(inner)), ""],
    [[1, wide]],
    options,
  );
  const middle = growing.results.at(-1)!;
  const out = growing.floats([8, wide], 1.5 / Math.sqrt(wide));
  growing.add("FULLY_CONNECTED", [middle, out, growing.floats([8], 0.3)], [[1, 8]], options);
}
