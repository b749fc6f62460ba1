/**
 * Operators whose operands are known, computed by LiteRT itself.
 *
 *     c ─▶ STRIDED_SLICE ─▶ r   is run as   c ─▶ STRIDED_SLICE ─▶ r ─▶ ADD ─▶ shown
 *                                                    input: 0 ────────┘
 *
 * Why r is not an output itself: LiteRT computes some operators on constants (STRIDED_SLICE, PACK …) while it prepares the model,
 * puts the result elsewhere than in the output's buffer, and then shows uninitialised memory as the result without a word. What
 * depends on an input is computed when it should be, and adding 0, multiplying by 1 and OR with false change no bit of a number.
 */
import { rangeOf } from "../model/bytes.ts";
import {
  BuiltinOperator,
  type BuiltinOptions,
  type Fill,
  type Model,
  type Operator,
  type OperatorCode,
  type SubGraph,
  serializeModel,
  type Tensor,
  TensorType,
} from "../model/index.ts";
import { knownShape } from "./graph-facts.ts";
import { compileLibrary, EngineError, loadEngine } from "./litert.ts";

/** Bytes of tensors that are the same for every record, by tensor index. */
export type Known = ReadonlyMap<number, Uint8Array>;

/** How a result is shown: an operator that changes nothing, with a neutral input. */
interface Probe {
  readonly code: BuiltinOperator;
  readonly options: BuiltinOptions;
  /** The input's type and bytes; the result's type too. */
  readonly type: TensorType;
  readonly neutral: Uint8Array;
}

const bytesOf = (list: Float32Array | Int32Array | BigInt64Array) => new Uint8Array(list.buffer);
const plus = (type: TensorType, zero: Uint8Array): Probe => ({
  code: BuiltinOperator.ADD,
  options: { type: "AddOptions", value: {} },
  type,
  neutral: zero,
});
const INTEGERS = plus(TensorType.INT32, bytesOf(Int32Array.of(0)));

const PROBES: ReadonlyMap<TensorType, Probe> = new Map([
  [
    TensorType.FLOAT32,
    {
      // −0 + 0 would be 0; −0 · 1 is −0.
      code: BuiltinOperator.MUL,
      options: { type: "MulOptions", value: {} },
      type: TensorType.FLOAT32,
      neutral: bytesOf(Float32Array.of(1)),
    },
  ],
  [TensorType.INT32, INTEGERS],
  [TensorType.INT64, plus(TensorType.INT64, bytesOf(BigInt64Array.of(0n)))],
  [
    TensorType.BOOL,
    {
      code: BuiltinOperator.LOGICAL_OR,
      options: { type: "LogicalOrOptions", value: {} },
      type: TensorType.BOOL,
      neutral: Uint8Array.of(0),
    },
  ],
  // Shown as INT32, and made small again.
  [TensorType.INT8, INTEGERS],
  [TensorType.UINT8, INTEGERS],
  [TensorType.INT16, INTEGERS],
]);

/** Whether results of a type can be asked for. */
export function canBeShown(type: TensorType | undefined): boolean {
  return PROBES.has(type ?? TensorType.FLOAT32);
}

/**
 * Runs some operators by themselves; gives the bytes of their results by tensor index. Operands must be constants or `known`,
 * and the results of a type that `canBeShown`. Throws EngineError when LiteRT refuses. `fill` computes Deferred contents.
 */
export async function evaluate(
  model: Model,
  graph: SubGraph,
  operators: readonly Operator[],
  known: Known,
  fill?: Fill,
): Promise<Map<number, Uint8Array>> {
  const part = new Part(model, graph, known);
  const results = [...new Set(operators.flatMap((operator) => Array.from(operator.outputs ?? [])))].filter(
    (index) => index >= 0,
  );
  for (const operator of operators) part.copy(operator);
  for (const index of results) part.show(index);
  const bytes = await serializeModel(part.model(), { dialect: "tflite", fill });
  const names = results.map((index) => `shown${index}`);
  const engine = await loadEngine(bytes, names, await compileLibrary(false), false);
  try {
    const values = new Map<number, Uint8Array>();
    // Twice: a result whose shape LiteRT learns only while it runs is rubbish the first time and an error the second time.
    await engine.run(part.inputBytes, () => {});
    await engine.run(part.inputBytes, (output, value) => {
      const index = results[output]!;
      values.set(index, narrowed(value.slice(), graph.tensors![index]!.type));
    });
    return values;
  } finally {
    engine.close();
  }
}

/** INT32 values as those of a smaller type, which they are. */
function narrowed(bytes: Uint8Array<ArrayBuffer>, type: TensorType | undefined): Uint8Array {
  const values = () => new Int32Array(bytes.buffer);
  switch (type) {
    case TensorType.INT8:
    case TensorType.UINT8:
      return Uint8Array.from(values());
    case TensorType.INT16:
      return new Uint8Array(Int16Array.from(values()).buffer);
    default:
      return bytes;
  }
}

/** A model of some operators of another one: only the tensors in use, so that their constants are all that is written. */
class Part {
  readonly inputBytes: Uint8Array[] = [];
  private readonly tensors: Tensor[] = [];
  private readonly operators: Operator[] = [];
  private readonly inputs: number[] = [];
  private readonly outputs: number[] = [];
  private readonly codes: OperatorCode[];
  private readonly buffers: NonNullable<Model["buffers"]> = [{}];
  private readonly places = new Map<number, number>();
  private readonly neutrals = new Map<Probe, number>();

  constructor(
    private readonly whole: Model,
    private readonly graph: SubGraph,
    private readonly known: Known,
  ) {
    this.codes = [...(whole.operatorCodes ?? [])];
  }

  copy(operator: Operator): void {
    const place = (index: number) => (index < 0 ? index : this.place(index));
    const inputs = Int32Array.from(operator.inputs ?? [], place);
    this.operators.push({ ...operator, inputs, outputs: Int32Array.from(operator.outputs ?? [], place) });
  }

  show(index: number): void {
    const { type = TensorType.FLOAT32 } = this.graph.tensors![index]!;
    const probe = PROBES.get(type);
    if (!probe) throw new EngineError("a result's type cannot be shown");
    const shape = Int32Array.from(knownShape(this.graph.tensors![index]!));
    let from = this.place(index);
    if (probe.type !== type) {
      const wide = this.tensors.push({ name: `wide${index}`, shape, type: probe.type, buffer: 0 }) - 1;
      this.emit(BuiltinOperator.CAST, [from], wide, {
        type: "CastOptions",
        value: { inDataType: type, outDataType: probe.type },
      });
      from = wide;
    }
    const shown = this.tensors.push({ name: `shown${index}`, shape, type: probe.type, buffer: 0 }) - 1;
    this.emit(probe.code, [from, this.neutral(probe)], shown, probe.options);
    this.outputs.push(shown);
  }

  model(): Model {
    const subgraph: SubGraph = {
      tensors: this.tensors,
      operators: this.operators,
      inputs: Int32Array.from(this.inputs),
      outputs: Int32Array.from(this.outputs),
    };
    return { version: 3, operatorCodes: this.codes, subgraphs: [subgraph], buffers: this.buffers };
  }

  /** Where a tensor of the whole graph is in this one. */
  private place(index: number): number {
    const placed = this.places.get(index);
    if (placed !== undefined) return placed;
    const tensor = this.graph.tensors![index]!;
    const bytes = this.known.get(index);
    const content = bytes === undefined ? this.whole.buffers?.[tensor.buffer ?? 0] : { data: rangeOf(bytes) };
    const buffer = content?.data ? this.buffers.push(content) - 1 : 0;
    const shape = Int32Array.from(knownShape(tensor));
    const copy = { ...tensor, buffer, shape, name: `t${index}`, shapeSignature: undefined, quantization: undefined };
    const at = this.tensors.push(copy) - 1;
    this.places.set(index, at);
    return at;
  }

  /** The input that a probe combines its results with: one element. */
  private neutral(probe: Probe): number {
    const known = this.neutrals.get(probe);
    if (known !== undefined) return known;
    const at =
      this.tensors.push({
        name: `neutral${this.inputs.length}`,
        shape: Int32Array.of(1),
        type: probe.type,
        buffer: 0,
      }) - 1;
    this.neutrals.set(probe, at);
    this.inputs.push(at);
    this.inputBytes.push(probe.neutral);
    return at;
  }

  private emit(builtinCode: BuiltinOperator, inputs: number[], output: number, builtinOptions: BuiltinOptions): void {
    const opcodeIndex = this.codes.push({ builtinCode, version: 1 }) - 1;
    this.operators.push({
      opcodeIndex,
      inputs: Int32Array.from(inputs),
      outputs: Int32Array.of(output),
      builtinOptions,
    });
  }
}
