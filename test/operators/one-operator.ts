/** A case in words (cases.ts) → a model of one operator, and what every tensor of it should be after quantization. */
import type { BuiltinOperator, BuiltinOptions, Model, TensorType } from "../../src/model/index.ts";
import { GraphBuilder, ModelBuilder, quantized, recorded } from "../helpers/models.ts";
import { generator } from "../kernels/oracle.ts";
import type { Case } from "./cases.ts";
import {
  biasFor,
  byOwnValues,
  byParameters,
  type Expected,
  f32,
  fromRange,
  integerScaleOf,
  perTensor,
  predefinedOf,
  type Quantized,
  unitsOf,
  weightsOf,
} from "./oracle.ts";

const single = ([min, max]: [number, number]): [number, number] => [f32(min), f32(max)];
const RANGES = (
  [
    [-1.5, 2.25],
    [0.125, 6.75],
    [-7.3, -0.2],
    [-1e-4, 1e-4],
    [-0.51, 40.5],
    [0, 0.3],
  ] as [number, number][]
).map(single);
const RESULT: [number, number] = [-3.1, 4.3];
const SIZES: Record<string, number> = { x: 4, "^": 4, b: 3, u: 3 };

export interface Operand {
  word: string;
  name: string;
  shape: number[];
  range: [number, number];
  /** The values of a constant. */
  values: Float32Array<ArrayBuffer> | null;
}

export interface Parsed {
  operands: Operand[];
  results: { word: string; name: string }[];
  range: [number, number];
  weights: number[];
}

/** `constant` is the index of an operand that becomes a constant. */
export function parse({ words, weights = [], range = RESULT }: Case, constant?: number): Parsed {
  const [left, right] = words.split(" -> ") as [string, string];
  const operands = left.split(" ").map((word, index): Operand => {
    const held = "wbu".includes(word[0]!) || index === constant;
    const shape = word[0] === "w" ? weights : [SIZES[word] ?? 1];
    const count = shape.reduce((a, b) => a * b, 1);
    const values = held ? floats(count, index) : null;
    return { word, name: `${word[0] === "^" ? "x" : word[0]}${index}`, shape, range: RANGES[index]!, values };
  });
  const results = right.split(" ").map((word, index) => ({ word, name: `y${index}` }));
  return { operands, results, range: single(range), weights };
}

/** Ordinary values; every fifth is zero, so that units of size 0 are there, and channels of one sign. */
function floats(count: number, seed: number): Float32Array<ArrayBuffer> {
  const next = generator(seed + 99);
  return Float32Array.from({ length: count }, (_, i) => (i % 5 === 2 ? 0 : (next() / 2 ** 32 - 0.3) * 5));
}

export function modelOf(op: string, { operands, results, range }: Parsed, options?: BuiltinOptions): Model {
  const builder = new ModelBuilder();
  const graph = new GraphBuilder(builder);
  const inputs: string[] = [];
  for (const { word, name, shape, range, values } of operands) {
    if (word === "i") {
      graph.constant(name, [1], Int32Array.of(1));
    } else if (values && word === "q") {
      graph.constant(name, [1], Uint8Array.of(7), { type: 3 as TensorType, ...quantized(0.25, 4) });
    } else if (values && word === "B") {
      graph.constant(name, [1], Uint8Array.of(1), { type: 6 as TensorType });
    } else if (values) {
      graph.constant(name, shape, values);
    } else {
      inputs.push(name);
      if (word === "I") graph.tensor(name, [1], "INT32");
      else if (word === "B") graph.tensor(name, [1], "BOOL");
      else if (word === "q") graph.tensor(name, [1], "UINT8", quantized(0.25, 4));
      else graph.tensor(name, shape, "FLOAT32", recorded(...range));
    }
  }
  for (const { word, name } of results) {
    if (word[0] === ":") graph.tensor(name, [1], word.slice(1) as "INT32");
    else if (word === "k") graph.tensor(name, [4], "UINT8", quantized(0.5, 3));
    else graph.tensor(name, [4], "FLOAT32", recorded(...range));
  }
  const names = (list: readonly { name: string }[]) => list.map(({ name }) => name);
  const code = op === "CUSTOM" ? "Mine" : undefined;
  graph.operator(op as keyof typeof BuiltinOperator, names(operands), names(results), options, code);
  const called = new GraphBuilder(builder)
    .tensor("a", [4], "FLOAT32", recorded(-1, 1))
    .tensor("b", [4], "FLOAT32", recorded(0, 1))
    .operator("ABS", ["a"], ["b"]);
  const needsOther = JSON.stringify(options ?? {}).includes("SubgraphIndex");
  const more = needsOther ? [called.graph(["a"], ["b"])] : [];
  return builder.model(graph.graph(inputs, names(results)), ...more);
}

const nothing = (dtype: string): Expected => ({ dtype, scale: [], zeroPoint: [], axis: 0 });

export interface Situation {
  dtype: Quantized;
  granularity: "layer" | "channel";
  /** §3.7: what happens to a constant activation. */
  constants: "own" | "elsewhere";
  /** Fused activation function TANH. */
  tanh?: boolean;
}

/** What every tensor should be, by name; the text's rules, one after the other. */
export function expectedOf(parsed: Parsed, situation: Situation): Map<string, Expected> {
  const { operands, results, range } = parsed;
  const { dtype, granularity, constants, tanh } = situation;
  const expected = new Map<string, Expected>();
  const own = fromRange(dtype, range);
  const pushes = operands.some(({ word }) => word === "^") && !tanh;

  /** Operand x or ^. Constant inputs of norms and PRELU are not asked for: no phase of the text quantizes them. */
  const activation = ({ word, range, values }: Operand): Expected => {
    if (!values) return word === "^" && pushes ? own : fromRange(dtype, range);
    if (word === "^" && constants === "elsewhere" && pushes) {
      const scale = new Float32Array(Uint32Array.of(Number.parseInt(own.scale[0]!, 16)).buffer)[0]!;
      return byParameters(dtype, values, scale, own.zeroPoint[0]!);
    }
    return byOwnValues(dtype, values);
  };

  for (const operand of operands) {
    const { word, name, values } = operand;
    if (word === "x" || word === "^") expected.set(name, activation(operand));
    else if (word === "i") expected.set(name, { ...nothing("INT32"), values: [1] });
    else if (word === "I") expected.set(name, nothing("INT32"));
    else if (word === "B") expected.set(name, values ? { ...nothing("BOOL"), values: [1] } : nothing("BOOL"));
    else if (word === "q") expected.set(name, perTensor("UINT8", 0.25, 4));
    else if (word[0] === "w")
      expected.set(name, weightsOf(dtype, granularity, values!, operand.shape, Number(word[1])));
    else if (word === "u") expected.set(name, unitsOf(dtype, granularity, values!));
  }
  const of = (word: string) => expected.get(operands.find((operand) => operand.word[0] === word)!.name)!;
  for (const { word, name, values } of operands) {
    if (word === "b") expected.set(name, biasFor(dtype, granularity, values!, of("x").scale[0]!, of("w").scale));
  }
  for (const { word, name } of results) {
    if (tanh && word === "r") expected.set(name, predefinedOf("tanh", dtype));
    else if (tanh && word[0] === "!") expected.set(name, { ...predefinedOf("tanh", dtype), dtype: word.slice(1) });
    else if (word === "r") expected.set(name, own);
    else if (word === "k") expected.set(name, perTensor("UINT8", 0.5, 3));
    else if (word[0] === ":") expected.set(name, nothing(word.slice(1)));
    else if (word[0] === "!") expected.set(name, { ...own, dtype: word.slice(1) });
    else if (word[0] === "=") {
      const { values: _, ...parameters } = expected.get(operands[Number(word[1])]!.name)!;
      expected.set(name, parameters);
    } else if (word === "integer") expected.set(name, integerScaleOf(dtype, range));
    else expected.set(name, predefinedOf(word, dtype));
  }
  return expected;
}
