/** Runs single operators in LiteRT, each as a model of its own (step-model.ts) that is loaded once for every size of its operands. */
import { type Content, type Model, serializeModel, TensorType } from "../../model/index.ts";
import { byteLength } from "../../model/tensor-types.ts";
import { EngineError, fill, type Instance, type Loaded } from "../litert.ts";
import {
  MOST_DIMS,
  type Step,
  type StepOperand,
  type StepOperator,
  type StepResult,
  sizesStep,
  valuesStep,
} from "./step-model.ts";

/** A tensor's value in the interpreter. */
export interface Value {
  readonly type: TensorType;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
  /** It follows from constants alone: its contents, wherever they are. */
  readonly constant?: Content;
  /** The variable that a handle stands for. */
  readonly variable?: string;
}

/** What is to be known of an operator to run it. */
export interface Single extends StepOperator {
  /** Its number among all operators of the model. */
  readonly number: number;
  /** Its results, and its states behind them. */
  readonly results: readonly StepResult[];
  /** Whether its results' sizes follow from values of operands that are no constants. */
  readonly sizesFromValues: boolean;
  /** They may follow from operands other than shapes and counts: WHERE, UNIQUE. */
  readonly fromAnyValue: boolean;
  /** Whether each run of it draws by chance: what it has drawn must not be kept for the next record. */
  readonly chance: boolean;
}

interface Kept {
  readonly step: Step;
  readonly loaded: Loaded;
  readonly bytes: number;
}

export class Stepper {
  private readonly kept = new Map<string, Kept>();
  private readonly sizes = new Map<string, readonly (readonly number[])[]>();
  private bytes = 0;

  /** `room`: bytes of LiteRT's memory that loaded steps may take; those that were not used for longest are closed first. */
  constructor(
    private readonly model: Model,
    private readonly instance: Instance,
    private readonly room: number,
  ) {}

  /** Runs it; `null` is an absent operand. Throws EngineError. */
  async run(single: Single, values: readonly (Value | null)[], tensorOf: (operand: number) => StepOperand["tensor"]) {
    const constant = !single.apart && values.every((value) => value === null || value.constant !== undefined);
    const operands = values.map((value, i): StepOperand | null => {
      if (value === null) return null;
      return { tensor: tensorOf(i), shape: value.shape, constant: constant ? undefined : value.constant };
    });
    const key = `${single.number} ${operands.map((each) => (each?.constant ? "c" : each ? `[${each.shape}]` : "-")).join()}`;
    const settle = single.sizesFromValues || constant;
    const shapes = await this.sizesOf(single, operands, values, key, settle);
    const results = single.results.map((result, i) => ({ ...result, shape: shapes[i]! }));
    const empty = results.map(({ tensor, shape }) => byteLength(tensor.type ?? TensorType.FLOAT32, shape) === 0);
    if (empty.every((each) => each)) return results.map(({ tensor, shape }) => valueWith(tensor.type, shape));
    const id = `values ${key} ${settle ? results.map(({ shape }) => `[${shape}]`).join() : ""}`;
    const { step, loaded } = await this.load(id, () => valuesStep(this.model, single, operands, results, settle));
    const shown = await invoke(step, loaded, values);
    let next = 0;
    return results.map(({ tensor, shape }, i) => valueWith(tensor.type, shape, empty[i] ? undefined : shown[next++]));
  }

  /** Forgets what is drawn by chance, so that the next record begins anew. */
  forget(numbers: ReadonlySet<number>): void {
    for (const id of [...this.kept.keys()]) if (numbers.has(Number(id.split(" ")[1]))) this.drop(id);
  }

  close(): void {
    for (const id of [...this.kept.keys()]) this.drop(id);
  }

  private async sizesOf(
    single: Single,
    operands: readonly (StepOperand | null)[],
    values: readonly (Value | null)[],
    key: string,
    settle: boolean,
  ) {
    const told = settle ? sizesKey(single, key, values) : key;
    const known = told === undefined ? undefined : this.sizes.get(told);
    if (known) return known;
    const { step, loaded } = await this.load(`sizes ${key}`, () =>
      sizesStep(this.model, single, operands, single.results),
    );
    const numbers = (await invoke(step, loaded, values)).map((bytes) => new Int32Array(bytes.buffer));
    const shapes = single.results.map((_, i) => {
      const [dims, [rank]] = [numbers[2 * i]!, numbers[2 * i + 1]!];
      if (rank === undefined || rank > MOST_DIMS) throw new EngineError(`a result has ${rank} dims`);
      return Array.from(dims.subarray(0, rank));
    });
    if (told !== undefined) {
      if (this.sizes.size >= MOST_SIZES) this.sizes.clear();
      this.sizes.set(told, shapes);
    }
    // It will not be asked again.
    if (!settle) this.drop(`sizes ${key}`);
    return shapes;
  }

  private async load(id: string, make: () => Step): Promise<Kept> {
    const known = this.kept.get(id);
    if (known) {
      // The one that was used last comes last.
      this.kept.delete(id);
      this.kept.set(id, known);
      return known;
    }
    const step = make();
    const bytes = await serializeModel(step.model, { dialect: "tflite" });
    const need = 3 * bytes.byteLength + STEP_BYTES;
    for (const old of [...this.kept.keys()]) {
      if (this.bytes + need <= this.room) break;
      this.drop(old);
    }
    const kept = { step, loaded: await this.instance.load(bytes, step.outputNames), bytes: need };
    this.kept.set(id, kept);
    this.bytes += need;
    return kept;
  }

  private drop(id: string): void {
    const kept = this.kept.get(id);
    if (!kept) return;
    kept.loaded.close();
    this.bytes -= kept.bytes;
    this.kept.delete(id);
  }
}

/** Sizes that are remembered. */
const MOST_SIZES = 1e5;
/** Bytes of integers that are as good as a shape to remember results' sizes by. */
const SMALL = 64;

/** What an operator's sizes are remembered by when they follow from small integers, as most do; undefined when they follow from more. */
function sizesKey({ fromAnyValue }: Single, key: string, values: readonly (Value | null)[]): string | undefined {
  if (fromAnyValue) return undefined;
  const integers = values.filter(
    (value) => value && (value.type === TensorType.INT32 || value.type === TensorType.INT64) && !value.constant,
  );
  if (integers.some((value) => value!.bytes.length > SMALL)) return undefined;
  return `${key} ${integers.map((value) => value!.bytes.join()).join(";")}`;
}

/** What LiteRT needs for a loaded step besides its constants. */
const STEP_BYTES = 60e3;

/** Runs a step once; gives copies of its outputs. */
async function invoke(
  step: Step,
  loaded: Loaded,
  values: readonly (Value | null)[],
): Promise<Uint8Array<ArrayBuffer>[]> {
  const inputs = step.feeds.map((_, i) => loaded.input(i));
  try {
    for (const [i, operand] of step.feeds.entries()) {
      // What stands for nothing is 0.
      if (operand < 0) inputs[i]!.look((lent) => lent.bytes().fill(0));
      else fill(inputs[i]!, values[operand]!.bytes, `operand ${operand}`);
    }
    const outputs = await loaded.run(inputs);
    try {
      return outputs.map((output) => output.look((lent) => lent.bytes().slice()));
    } finally {
      for (const output of outputs) output.release();
    }
  } finally {
    for (const input of inputs) input.release();
  }
}

function valueWith(type: TensorType | undefined, shape: readonly number[], bytes = new Uint8Array(0)): Value {
  return { type: type ?? TensorType.FLOAT32, shape, bytes };
}
