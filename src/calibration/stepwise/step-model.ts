/**
 * One operator as a model of its own, for operands whose sizes are known.
 *
 *     sizes    a, b ─▶ OP ─▶ y ─▶ SHAPE ─▶ … ADD 0 ─▶ dims of y     what LiteRT says y's size is
 *     values   a, b ─▶ OP ─▶ y                                       with y's true size written into its shape
 *     values   a, b ─▶ OP ─▶ y ─▶ RESHAPE ─▶ shown                   where LiteRT learns y's size only while it runs: such tensors
 *                                                                    cannot be outputs
 *
 * Operands that are constants of the file stay constants, so that weights are weights to XNNPACK. LiteRT computes operators on
 * constants alone while it prepares a model and shows nothing of that, so operands of those are inputs. A tensor without elements cannot be
 * an input; it is made of another one by SLICE.
 */
import { rangeOf } from "../../model/bytes.ts";
import {
  BuiltinOperator,
  type BuiltinOptions,
  type Content,
  type Model,
  type Operator,
  type OperatorCode,
  type SubGraph,
  subgraphCalls,
  type Tensor,
  TensorType,
} from "../../model/index.ts";
import { elementCount } from "../inputs.ts";
import { EngineError } from "../litert.ts";
import type { LoweringTarget } from "../lowering.ts";
import type { StatefulLowering } from "../recurrent/floats.ts";
import { movedSubgraph } from "../slices.ts";

/** An operand as this step has it. */
export interface StepOperand {
  /** The tensor of the graph that it is. */
  readonly tensor: Tensor;
  readonly shape: readonly number[];
  /** The file's or computed bytes, when they are to be part of the model. */
  readonly constant?: Content;
}

export interface StepResult {
  readonly tensor: Tensor;
  /** Known for `values`. */
  readonly shape?: readonly number[];
}

export interface Step {
  readonly model: Model;
  /** For each input of the step: which operand it is fed with. */
  readonly feeds: readonly number[];
  readonly outputNames: readonly string[];
}

/** Most dims that LiteRT's kernels take, and room for a few more. */
export const MOST_DIMS = 8;

/** What LiteRT takes for "to be found out". Behind a result with another declared shape SHAPE says what was declared. */
const UNKNOWN: readonly number[] = [];

/** What is run: an operator, as LiteRT has it or taken apart. */
export interface StepOperator {
  readonly operator: Operator;
  /** Where LiteRT does not run it as it is: what takes it apart, and the places of its states, whose values afterwards are results behind its own. */
  readonly apart?: { readonly lower: StatefulLowering; readonly states: readonly number[] };
}

/** The step that tells the results' sizes: outputs are dims (INT32, of which the first are written) and rank of each result. */
export function sizesStep(
  of: Model,
  operator: StepOperator,
  operands: readonly (StepOperand | null)[],
  results: readonly StepResult[],
): Step {
  const builder = new Builder(of);
  const places = builder.operator(operator, operands, results);
  const zero = builder.input("zero", TensorType.INT32, [1]);
  const shown = places.flatMap((place, i) => {
    const dims = builder.tensor(`dims${i}`, TensorType.INT32, [MOST_DIMS]);
    const rank = builder.tensor(`rank${i}`, TensorType.INT32, []);
    // Never empty: LiteRT does not run a model twice that shows the dims of a scalar.
    const more = builder.tensor(`more${i}`, TensorType.INT32, [MOST_DIMS + 1]);
    builder.emit(BuiltinOperator.SHAPE, [place], [dims], {
      type: "ShapeOptions",
      value: { outType: TensorType.INT32 },
    });
    builder.emit(BuiltinOperator.CONCATENATION, [dims, zero], [more], { type: "ConcatenationOptions", value: {} });
    builder.emit(BuiltinOperator.RANK, [place], [rank], { type: "RankOptions", value: {} });
    return [builder.add(more, zero, `shown_dims${i}`, MOST_DIMS + 1), builder.add(rank, zero, `shown_rank${i}`, 1)];
  });
  return builder.step(shown);
}

/** The step that computes results of known sizes; `settle` where LiteRT learns them only while it runs. Results without elements are left out. */
export function valuesStep(
  of: Model,
  operator: StepOperator,
  operands: readonly (StepOperand | null)[],
  results: readonly (StepResult & { readonly shape: readonly number[] })[],
  settle: boolean,
): Step {
  const builder = new Builder(of);
  const places = builder.operator(operator, operands, settle ? results.map(({ tensor }) => ({ tensor })) : results);
  const shown = places.flatMap((place, i) => {
    const { shape, tensor } = results[i]!;
    if (elementCount(shape) === 0) return [];
    return [settle ? builder.reshaped(place, tensor, shape, `shown${i}`) : place];
  });
  return builder.step(shown);
}

class Builder {
  private readonly tensors: Tensor[] = [];
  private readonly operators: Operator[] = [];
  private readonly codes: OperatorCode[] = [];
  private readonly buffers: NonNullable<Model["buffers"]> = [{}];
  private readonly inputs: number[] = [];
  private readonly feeds: number[] = [];
  private called: SubGraph[] = [];

  constructor(private readonly of: Model) {}

  /** Adds the operator; gives its results' places. */
  operator(
    { operator, apart }: StepOperator,
    operands: readonly (StepOperand | null)[],
    results: readonly StepResult[],
  ): readonly number[] {
    const places = operands.map((operand, i) => (operand === null ? -1 : this.operand(operand, i)));
    const outputs = results.map(({ tensor, shape }, i) =>
      this.push({ ...tensor, name: `result${i}`, shape: Int32Array.from(shape ?? UNKNOWN), buffer: 0 }),
    );
    if (apart) {
      this.apart(operator, apart, places, outputs);
      return outputs;
    }
    const code = this.of.operatorCodes![operator.opcodeIndex ?? 0]!;
    this.operators.push({
      ...operator,
      opcodeIndex: this.codes.push(code) - 1,
      inputs: Int32Array.from(places),
      outputs: Int32Array.from(outputs),
    });
    if (subgraphCalls(operator).length > 0)
      this.called = this.of.subgraphs!.slice(1).map((each) => movedSubgraph(each, this.of, this.codes, this.buffers));
    return outputs;
  }

  /** Operators in the place of one with states. Throws EngineError when there are none. */
  private apart(
    operator: Operator,
    { lower, states }: NonNullable<StepOperator["apart"]>,
    places: readonly number[],
    outputs: readonly number[],
  ): void {
    const own = operator.outputs?.length ?? 0;
    const target: LoweringTarget = {
      tensor: (index) => this.tensors[index]!,
      integers: () => undefined,
      add: (shape) => this.tensor(`inner${this.tensors.length}`, TensorType.FLOAT32, shape),
      constant: (values, shape) => {
        const type = values instanceof Float32Array ? TensorType.FLOAT32 : TensorType.INT32;
        const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
        return this.tensor(`inner${this.tensors.length}`, type, shape, bytes);
      },
      emit: (code, inputs, results, options) => this.emit(code, [...inputs], [...results], options),
    };
    const isGiven = (place: number) => (places[place] ?? -1) >= 0;
    const reason = lower(
      { ...operator, inputs: Int32Array.from(places), outputs: Int32Array.from(outputs.slice(0, own)) },
      target,
      {
        before: (place) => (isGiven(place) ? places[place] : undefined),
        after: (place, value) => {
          const at = states.indexOf(place);
          if (at < 0) return;
          // A tensor of its own: it may be a result, too.
          const from = value();
          const shape = Array.from(this.tensors[from]!.shape ?? []);
          const wanted = target.constant(Int32Array.from(shape), [shape.length]);
          this.emit(BuiltinOperator.RESHAPE, [from, wanted], [outputs[own + at]!]);
        },
      },
    );
    if (reason !== undefined) throw new EngineError(`cannot be run: ${reason}`);
  }

  input(name: string, type: TensorType, shape: readonly number[]): number {
    const place = this.tensor(name, type, shape);
    this.inputs.push(place);
    this.feeds.push(-1);
    return place;
  }

  tensor(name: string, type: TensorType, shape: readonly number[], bytes?: Uint8Array): number {
    const buffer = bytes ? this.buffers.push({ data: rangeOf(bytes) }) - 1 : 0;
    return this.push({ name, type, shape: Int32Array.from(shape), buffer });
  }

  emit(builtinCode: BuiltinOperator, inputs: number[], outputs: number[], builtinOptions?: BuiltinOptions): void {
    const opcodeIndex = this.codes.push({ builtinCode, version: 1 }) - 1;
    this.operators.push({
      opcodeIndex,
      inputs: Int32Array.from(inputs),
      outputs: Int32Array.from(outputs),
      builtinOptions,
    });
  }

  add(from: number, zero: number, name: string, count: number): number {
    const sum = this.tensor(name, TensorType.INT32, [count]);
    this.emit(BuiltinOperator.ADD, [from, zero], [sum], { type: "AddOptions", value: {} });
    return sum;
  }

  reshaped(from: number, tensor: Tensor, shape: readonly number[], name: string): number {
    const dims = Int32Array.from(shape);
    const wanted = this.tensor(`${name}_shape`, TensorType.INT32, [dims.length], new Uint8Array(dims.buffer));
    const result = this.push({ ...tensor, name, shape: dims, buffer: 0 });
    this.emit(BuiltinOperator.RESHAPE, [from, wanted], [result], { type: "ReshapeOptions", value: { newShape: dims } });
    return result;
  }

  step(outputs: readonly number[]): Step {
    const graph: SubGraph = {
      tensors: this.tensors,
      operators: this.operators,
      inputs: Int32Array.from(this.inputs),
      outputs: Int32Array.from(outputs),
    };
    return {
      model: {
        version: 3,
        operatorCodes: this.codes,
        subgraphs: [graph, ...this.called],
        buffers: this.buffers,
      },
      feeds: this.feeds,
      outputNames: outputs.map((place) => this.tensors[place]!.name!),
    };
  }

  private push(tensor: Tensor): number {
    return this.tensors.push({ ...tensor, shapeSignature: undefined, isVariable: undefined }) - 1;
  }

  private operand({ tensor, shape, constant }: StepOperand, index: number): number {
    const name = `operand${index}`;
    if (constant) {
      const buffer = this.buffers.push({ data: constant }) - 1;
      return this.push({ ...tensor, name, shape: Int32Array.from(shape), buffer });
    }
    if (elementCount(shape) === 0) return this.empty(tensor, shape, name);
    const place = this.push({ ...tensor, name, shape: Int32Array.from(shape), buffer: 0 });
    this.inputs.push(place);
    this.feeds.push(index);
    return place;
  }

  /** A tensor without elements. */
  private empty(tensor: Tensor, shape: readonly number[], name: string): number {
    const one = this.input(`${name}_one`, tensor.type ?? TensorType.FLOAT32, [1]);
    const bounds = new Uint8Array(Int32Array.of(0).buffer);
    const begin = this.tensor(`${name}_begin`, TensorType.INT32, [1], bounds);
    const size = this.tensor(`${name}_size`, TensorType.INT32, [1], bounds);
    const none = this.push({ ...tensor, name: `${name}_none`, shape: Int32Array.of(0), buffer: 0 });
    this.emit(BuiltinOperator.SLICE, [one, begin, size], [none], { type: "SliceOptions", value: {} });
    return this.reshaped(none, tensor, shape, name);
  }
}
