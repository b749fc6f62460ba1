/** Choices of levels as models: quantized, run, measured; each once, whatever asks for it, also over several runs (state.ts). */
import { StoppedError, windDown } from "../base/interrupt.ts";
import { removeTemporaryFiles } from "../base/temporary.ts";
import type { Bench, Noises } from "./bench.ts";
import type { Choice } from "./front.ts";
import type { Program } from "./program.ts";
import type { Session } from "./session.ts";
import type { Measured, State } from "./state.ts";
import type { Unit } from "./units.ts";

/** Bits that a unit can have: a scheme's name, or float32, as layer settings say it. */
export interface Level {
  readonly name: string;
}

/** Settings over those of the session. */
type More = Parameters<Session["quantize"]>[2];

/** The time that was given is over. */
export class OutOfTime extends Error {}

export interface CandidatesInit {
  readonly session: Session;
  readonly bench: Bench;
  readonly units: readonly Unit[];
  readonly levels: readonly Level[];
  readonly headroom: number;
  readonly state: State;
  readonly program?: Program;
  /** Milliseconds since the epoch after which nothing more is measured. */
  readonly deadline?: number;
}

export class Candidates {
  private readonly underWay = new Map<string, Promise<Measured>>();
  private stoppedBy: string | undefined;
  /** Models that were made and run now. */
  runs = 0;

  constructor(readonly init: CandidatesInit) {
    windDown((signal) => {
      this.stoppedBy = signal;
      removeTemporaryFiles();
    });
  }

  /** The settings of layers that a choice means: all but those that have the model's own scheme. */
  layersOf(choice: Choice): string[] {
    const { units, levels } = this.init;
    return choice.flatMap((level, unit) =>
      level === 0 ? [] : units[unit]!.names.map((name) => `${name}=${levels[level]!.name}`),
    );
  }

  /** Bytes and noise of a choice on the samples of the search; with `scored`, also what the user's program says. */
  measure(choice: Choice, scored = false): Promise<Measured> {
    const { state, program } = this.init;
    const key = choice.join("");
    const asks = scored && program !== undefined;
    const known = state.get(key);
    if (known && (!asks || known.score !== undefined)) return Promise.resolve(known);
    const name = asks ? `${key} scored` : key;
    const running = this.underWay.get(name) ?? this.run(choice, asks).finally(() => this.underWay.delete(name));
    this.underWay.set(name, running);
    return running;
  }

  private async run(choice: Choice, asks: boolean): Promise<Measured> {
    const { state, program, bench } = this.init;
    this.check();
    const { noises, bytes, score } = await this.with(choice, async (path) => ({
      noises: await bench.measure({ path }),
      ...(asks && { score: await program!.score({ path }) }),
    }));
    const measured = { bytes, noises, ...(score !== undefined && { score }) };
    this.runs++;
    state.set(choice.join(""), measured);
    return measured;
  }

  /** Noise of a choice on another bench, with other settings of the model. */
  async noisesOn(bench: Bench, choice: Choice, more?: More, layers: readonly string[] = []): Promise<Noises> {
    this.check();
    return (await this.with(choice, async (path) => ({ noises: await bench.measure({ path }) }), more, layers)).noises;
  }

  private async with<T extends object>(
    choice: Choice,
    work: (path: string) => Promise<T>,
    more?: More,
    layers: readonly string[] = [],
  ): Promise<T & { bytes: number }> {
    const { session, headroom } = this.init;
    let lent: Awaited<ReturnType<Session["quantize"]>> | undefined;
    try {
      lent = await session.quantize([...this.layersOf(choice), ...layers], headroom, more);
      return { ...(await work(lent.path)), bytes: lent.report.output.bytes };
    } catch (error) {
      // A signal took the files away: that is the reason, and not what came of it.
      this.checkSignal();
      throw error;
    } finally {
      lent?.release();
    }
  }

  private check(): void {
    this.checkSignal();
    const { deadline } = this.init;
    if (deadline !== undefined && Date.now() > deadline) throw new OutOfTime();
  }

  private checkSignal(): void {
    const { state } = this.init;
    if (this.stoppedBy !== undefined)
      throw new StoppedError(
        this.stoppedBy,
        `stopped; ${state.size} measurements are in ${state.path}, and the same command goes on from there`,
      );
  }
}
