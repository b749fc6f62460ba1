/**
 * Choices of levels as models: quantized, run, measured; each once, whatever asks for it, also over several runs (state.ts).
 *
 *     measure   made quickly, on the samples of the search       what the search goes by
 *     prove     made as the result is written, on the samples    what is shown, and what the result is chosen by
 *               of the search and on those that check
 */
import { StoppedError, windDown } from "../base/interrupt.ts";
import { removeTemporaryFiles } from "../base/temporary.ts";
import type { Bench, Noises } from "./bench.ts";
import type { Choice } from "./front.ts";
import type { Level } from "./levels.ts";
import type { Program } from "./program.ts";
import type { Lent, Session } from "./session.ts";
import type { Measured, State } from "./state.ts";
import type { Unit } from "./units.ts";

/** Settings over those of the session. */
type More = Parameters<Session["quantize"]>[1];

/** What was measured of a file that was made as the result is. */
export type ProvenMeasures = Measured & Required<Pick<Measured, "checked">>;

/** The time that was given is over. */
export class OutOfTime extends Error {}

export interface CandidatesInit {
  readonly session: Session;
  readonly bench: Bench;
  /** On the samples that check. */
  readonly check: Bench;
  readonly units: readonly Unit[];
  readonly levels: readonly Level[];
  readonly state: State;
  /** The user's program, on the samples of the search and on those that check. */
  readonly program?: Program;
  readonly checkProgram?: Program;
  /** Milliseconds since the epoch after which nothing more is measured. */
  readonly deadline?: number;
}

export class Candidates {
  private readonly underWay = new Map<string, Promise<Measured>>();
  private stoppedBy: string | undefined;

  constructor(readonly init: CandidatesInit) {
    windDown((signal) => {
      this.stoppedBy = signal;
      removeTemporaryFiles();
    });
  }

  /** Levels by names of layers: all but those that have the model's own scheme. */
  namesOf(choice: Choice): Map<string, string> {
    const { units, levels } = this.init;
    return new Map(
      choice.flatMap((level, unit) =>
        level === 0 ? [] : units[unit]!.names.map((name) => [name, levels[level]!.name] as const),
      ),
    );
  }

  /** The settings of layers that a choice means: all but those that have the model's own scheme. */
  layersOf(choice: Choice): string[] {
    return [...this.namesOf(choice)].map(([name, level]) => `${name}=${level}`);
  }

  /** Bytes and noise of a choice, made quickly, on the samples of the search; with `scored`, also what the user's program says. */
  measure(choice: Choice, scored = false): Promise<Measured> {
    const { bench, program } = this.init;
    const key = choice.join("");
    const asks = scored && program !== undefined;
    const known = this.init.state.get(key);
    if (known && (!asks || known.score !== undefined)) return Promise.resolve(known);
    return this.once(key, asks ? `${key} scored` : key, () =>
      this.with(this.quickly(choice), async (path) => ({
        noises: await bench.measure({ path }),
        ...(asks && { score: await program!.score({ path }) }),
      })),
    );
  }

  /** The same of the file as it would be written, on the samples that check, too. `late`: also when the time is over. */
  async prove(choice: Choice, late = false): Promise<ProvenMeasures> {
    const { bench, check, program, checkProgram, state, session } = this.init;
    const key = `made ${choice.join("")}`;
    const measured =
      state.get(key) ??
      (await this.once(
        key,
        key,
        () =>
          this.with(
            () => session.make(this.layersOf(choice)),
            async (path) => ({
              noises: await bench.measure({ path }),
              checked: await check.measure({ path }),
              ...(program && { score: await program.score({ path }) }),
              ...(checkProgram && { checkScore: await checkProgram.score({ path }) }),
            }),
          ),
        late,
      ));
    return measured as ProvenMeasures;
  }

  /** Noise of a choice, made quickly with other settings of the model. */
  async noisesWith(choice: Choice, more: More, layers: readonly string[] = []): Promise<Noises> {
    this.check();
    const { bench } = this.init;
    const work = async (path: string) => ({ noises: await bench.measure({ path }) });
    return (await this.with(this.quickly(choice, more, layers), work)).noises;
  }

  private quickly(choice: Choice, more?: More, layers: readonly string[] = []): () => Promise<Lent> {
    return () => this.init.session.quantize([...this.layersOf(choice), ...layers], more);
  }

  /** Measures, and notes it under a key; who asks for the same meanwhile waits for it. */
  private once(key: string, name: string, work: () => Promise<Measured>, late = false): Promise<Measured> {
    const run = async () => {
      if (late) this.checkSignal();
      else this.check();
      const measured = await work();
      this.init.state.set(key, measured);
      return measured;
    };
    const running = this.underWay.get(name) ?? run().finally(() => this.underWay.delete(name));
    this.underWay.set(name, running);
    return running;
  }

  private async with<T extends object>(
    make: () => Promise<Lent>,
    work: (path: string) => Promise<T>,
  ): Promise<T & { bytes: number }> {
    let lent: Lent | undefined;
    try {
      lent = await make();
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
