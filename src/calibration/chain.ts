/** Slices of a model (slices.ts) that are loaded together and run one after the other; in a Worker. */
import { reasonOf } from "../errors.ts";
import { EngineError, type EngineTensor, fill, type Instance, type Loaded } from "./litert.ts";
import { SpillAccess, type SpilledTensor } from "./spill.ts";

/** What a chain is to know of a slice. Tensors are called by number. */
export interface Link {
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
}

/** A part of a model, ready to be sent to Workers. */
export interface ChainPlan {
  readonly links: readonly Link[];
  /** The model's inputs in the order of a record's arrays; those that no link reads are passed over. */
  readonly inputs: readonly number[];
  /** Read from earlier parts, written for later ones. */
  readonly reads: readonly SpilledTensor[];
  readonly writes: readonly SpilledTensor[];
}

/** Told of every output of every link, once a record. The bytes lie in the instance's memory, valid during the call only. */
export type See = (tensor: number, bytes: Uint8Array<ArrayBuffer>) => void;

export class Chain {
  private readonly loaded: Loaded[] = [];
  /** Tensors that come from outside; they stay from record to record. */
  private readonly given = new Map<number, EngineTensor>();
  /** By tensor: the last link that reads it. */
  private readonly last = new Map<number, number>();
  private readonly writes: ReadonlyMap<number, SpilledTensor>;
  private readonly spill = new SpillAccess();

  constructor(
    private readonly instance: Instance,
    private readonly plan: ChainPlan,
  ) {
    for (const [i, { inputs }] of plan.links.entries()) for (const tensor of inputs) this.last.set(tensor, i);
    this.writes = new Map(plan.writes.map((place) => [place.tensor, place]));
  }

  /** Loads the next link's model. Throws EngineError "NUMBER:reason". */
  async load(model: Uint8Array): Promise<void> {
    const number = this.loaded.length;
    const { inputs, outputs } = this.plan.links[number]!;
    const names = outputs.map((tensor) => `t${tensor}`);
    const loaded = await at(number, () => this.instance.load(model, names));
    this.loaded.push(loaded);
    const outside = new Set([...this.plan.inputs, ...this.plan.reads.map(({ tensor }) => tensor)]);
    for (const [i, tensor] of inputs.entries())
      if (outside.has(tensor) && !this.given.has(tensor)) this.given.set(tensor, loaded.input(i));
  }

  /** Runs a record; `seeInput` is told of the model's inputs that are read here. Throws EngineError "NUMBER:reason". */
  async run(record: number, values: readonly Uint8Array[], see: See, seeInput: See = () => {}): Promise<void> {
    for (const [i, tensor] of this.plan.inputs.entries()) {
      const given = this.given.get(tensor);
      if (given === undefined || values[i] === undefined) continue;
      fill(given, values[i], `input ${i}`);
      given.look((bytes) => seeInput(tensor, bytes()));
    }
    for (const place of this.plan.reads)
      this.given.get(place.tensor)!.look((bytes) => this.spill.read(place, record, bytes()));
    const live = new Map(this.given);
    for (const [i, { inputs, outputs }] of this.plan.links.entries()) {
      const operands = inputs.map((tensor) => live.get(tensor)!);
      const results = await at(i, () => this.loaded[i]!.run(operands));
      for (const [k, tensor] of outputs.entries()) {
        const result = results[k]!;
        result.look((bytes) => {
          see(tensor, bytes());
          const place = this.writes.get(tensor);
          if (place) this.spill.write(place, record, bytes());
        });
        if ((this.last.get(tensor) ?? -1) > i) live.set(tensor, result);
        else result.release();
      }
      for (const tensor of inputs) {
        if (this.last.get(tensor) !== i || this.given.has(tensor)) continue;
        live.get(tensor)?.release();
        live.delete(tensor);
      }
    }
  }

  /** Whether a link reads this input of the model. */
  reads(tensor: number): boolean {
    return this.given.has(tensor);
  }

  close(): void {
    for (const tensor of this.given.values()) tensor.release();
    for (const loaded of this.loaded) loaded.close();
    this.spill.close();
  }
}

/** Errors say which link they are of; the main thread knows its operators. */
async function at<T>(link: number, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    throw new EngineError(`${link}:${reasonOf(error)}`, { cause: error });
  }
}
