/** Slices of a model (slices.ts) that are loaded together and run one after the other; in a Worker. */
import { PlacedError } from "./failure.ts";
import { EngineError, type EngineTensor, fill, type Instance, type Lent, type Loaded } from "./litert.ts";
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

/** Told of every output of every link, once a record; valid during the call only. */
export type See = (tensor: number, lent: Lent) => void;

/** What is done with a link's tensors, known before the first record. */
interface Step extends Link {
  /** One entry an output: whether a later link reads it. */
  readonly keep: readonly boolean[];
  /** Tensors of earlier links that are read here for the last time. */
  readonly free: readonly number[];
}

export class Chain {
  private readonly loaded: Loaded[] = [];
  /** Tensors that come from outside; they stay from record to record. */
  private readonly given = new Map<number, EngineTensor>();
  private readonly outside: ReadonlySet<number>;
  private readonly steps: readonly Step[];
  private readonly writes: ReadonlyMap<number, SpilledTensor>;
  private readonly spill = new SpillAccess();

  constructor(
    private readonly instance: Instance,
    private readonly plan: ChainPlan,
  ) {
    this.outside = new Set([...plan.inputs, ...plan.reads.map(({ tensor }) => tensor)]);
    this.steps = stepsOf(plan.links, this.outside);
    this.writes = new Map(plan.writes.map((place) => [place.tensor, place]));
  }

  /** Loads the next link's model. Throws a PlacedError with its number. */
  async load(model: Uint8Array): Promise<void> {
    const number = this.loaded.length;
    const { inputs, outputs } = this.steps[number]!;
    const names = outputs.map((tensor) => `t${tensor}`);
    try {
      const loaded = await this.instance.load(model, names);
      this.loaded.push(loaded);
      for (const [i, tensor] of inputs.entries())
        if (this.outside.has(tensor) && !this.given.has(tensor)) this.given.set(tensor, loaded.input(i));
    } catch (error) {
      throw ofLink(number, error);
    }
  }

  /** Runs a record; `seeInput` is told of the model's inputs that are read here. Throws a PlacedError with its number. */
  async run(record: number, values: readonly Uint8Array[], see: See, seeInput: See = () => {}): Promise<void> {
    for (const [i, tensor] of this.plan.inputs.entries()) {
      const given = this.given.get(tensor);
      if (given === undefined || values[i] === undefined) continue;
      fill(given, values[i], `input ${i}`);
      given.look((lent) => seeInput(tensor, lent));
    }
    for (const place of this.plan.reads)
      this.given.get(place.tensor)!.look((lent) => this.spill.read(place, record, lent.bytes()));
    const live = new Map(this.given);
    // Plain loops: what is done here is done for every small operator.
    for (let i = 0; i < this.steps.length; i++) {
      const { inputs, outputs, keep, free } = this.steps[i]!;
      let results: readonly EngineTensor[];
      try {
        const running = this.loaded[i]!.run(inputs.map((tensor) => live.get(tensor)!));
        results = running instanceof Promise ? await running : running;
      } catch (error) {
        throw ofLink(i, error);
      }
      for (let k = 0; k < outputs.length; k++) {
        const tensor = outputs[k]!;
        const result = results[k]!;
        result.look((lent) => {
          see(tensor, lent);
          const place = this.writes.get(tensor);
          if (place) this.spill.write(place, record, lent.bytes());
        });
        if (keep[k]) live.set(tensor, result);
        else result.release();
      }
      for (const tensor of free) {
        live.get(tensor)!.release();
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

function stepsOf(links: readonly Link[], outside: ReadonlySet<number>): Step[] {
  const last = new Map<number, number>();
  for (const [i, { inputs }] of links.entries()) for (const tensor of inputs) last.set(tensor, i);
  return links.map(({ inputs, outputs }, i) => ({
    inputs,
    outputs,
    keep: outputs.map((tensor) => (last.get(tensor) ?? -1) > i),
    free: [...new Set(inputs)].filter((tensor) => last.get(tensor) === i && !outside.has(tensor)),
  }));
}

/** Errors say which link they are of; the main thread knows its operators. */
function ofLink(link: number, error: unknown): unknown {
  return error instanceof EngineError ? new PlacedError(link, error) : error;
}
