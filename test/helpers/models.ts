/** Small models made of tables, for the tests. */
import { rangeOf } from "../../src/model/bytes.ts";
import {
  BuiltinOperator,
  type BuiltinOptions,
  type Model,
  type Operator,
  type SubGraph,
  type Tensor,
  TensorType,
} from "../../src/model/index.ts";

type TypeName = keyof typeof TensorType;
type Values = Float32Array | Int32Array | Uint16Array | Uint8Array | Int8Array | BigInt64Array;

/** Builds one subgraph: tensors are added by name, operators refer to them by name; "" is an absent operand. */
export class GraphBuilder {
  readonly tensors: Tensor[] = [];
  readonly operators: Operator[] = [];
  private readonly names = new Map<string, number>([["", -1]]);

  constructor(readonly builder: ModelBuilder) {}

  tensor(name: string, shape: number[], type: TypeName = "FLOAT32", more: Partial<Tensor> = {}): this {
    this.names.set(name, this.tensors.length);
    this.tensors.push({ name, shape: Int32Array.from(shape), type: TensorType[type], buffer: 0, ...more });
    return this;
  }

  /** Another element type than FLOAT32 or INT32 is given as `more.type`. */
  constant(name: string, shape: number[], values: Values, more: Partial<Tensor> = {}): this {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    const buffer = this.builder.buffers.push({ data: rangeOf(bytes) }) - 1;
    return this.tensor(name, shape, values instanceof Float32Array ? "FLOAT32" : "INT32", { buffer, ...more });
  }

  operator(
    kind: keyof typeof BuiltinOperator,
    inputs: string[],
    outputs: string[],
    builtinOptions?: BuiltinOptions,
    customCode?: string,
  ): this {
    this.operators.push({
      opcodeIndex: this.builder.code(BuiltinOperator[kind], customCode),
      inputs: this.indexes(inputs),
      outputs: this.indexes(outputs),
      builtinOptions,
    });
    return this;
  }

  graph(inputs: string[], outputs: string[]): SubGraph {
    return {
      tensors: this.tensors,
      operators: this.operators,
      inputs: this.indexes(inputs),
      outputs: this.indexes(outputs),
    };
  }

  private indexes(names: string[]): Int32Array {
    return Int32Array.from(names, (name) => this.names.get(name)!);
  }
}

export class ModelBuilder {
  readonly buffers: NonNullable<Model["buffers"]> = [{}];
  private readonly codes: NonNullable<Model["operatorCodes"]> = [];

  code(builtinCode: BuiltinOperator, customCode?: string): number {
    return this.codes.push({ builtinCode, version: 1, customCode }) - 1;
  }

  model(...subgraphs: SubGraph[]): Model {
    return { version: 0, operatorCodes: this.codes, subgraphs, buffers: this.buffers };
  }
}

/** A model with one subgraph. */
export function model(inputs: string[], outputs: string[], fill: (graph: GraphBuilder) => void): Model {
  const builder = new ModelBuilder();
  const graph = new GraphBuilder(builder);
  fill(graph);
  return builder.model(graph.graph(inputs, outputs));
}

/** The members of a tensor with a recorded range. */
export function recorded(min: number, max: number): Partial<Tensor> {
  return { quantization: { min: Float32Array.of(min), max: Float32Array.of(max) } };
}

/** Scales and zero points of a type, along an axis where there are several. */
export function quantizedAs(
  type: keyof typeof TensorType,
  scale: number[],
  zeroPoint: number[],
  axis = 0,
): Partial<Tensor> {
  const quantization = {
    scale: Float32Array.from(scale),
    zeroPoint: BigInt64Array.from(zeroPoint, BigInt),
    quantizedDimension: axis,
  };
  return { type: TensorType[type], quantization };
}

/** The members of a tensor that is quantized already. */
export function quantized(scale: number, zeroPoint: number): Partial<Tensor> {
  return { quantization: { scale: Float32Array.of(scale), zeroPoint: BigInt64Array.of(BigInt(zeroPoint)) } };
}
