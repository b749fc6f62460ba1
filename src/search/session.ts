/**
 * What a search of one model has: the float model prepared and with its ranges, quantized models made of it, and all of that in files that
 * are gone when it ends, however it ends.
 */
import { FileError } from "../base/errors.ts";
import { removeTemporary, temporaryPath } from "../base/temporary.ts";
import type { SidePart } from "../compare/side.ts";
import { about } from "../driver/about.ts";
import type { Io } from "../driver/io.ts";
import { SILENT } from "../driver/io.ts";
import type { Report } from "../driver/report.ts";
import {
  prepareAndRecord,
  prepareOnly,
  quantizeRecorded,
  quantizeWhole,
  type SearchedSettings,
} from "../driver/search-flows.ts";
import type { Samples } from "../driver/settings.ts";
import { type Fed, fedBy } from "../driver/signatures.ts";
import { openModel } from "../model/index.ts";
import { type Bench, openBench } from "./bench.ts";

export type SearchSettings = SearchedSettings & {
  readonly samples: Samples;
  /** Share of the samples that do not set the ranges. */
  readonly split: number;
};

/** A file that is there for the time being. */
export interface Lent {
  readonly path: string;
  readonly report: Report;
  release(): void;
}

export class Session {
  readonly part: SidePart;
  private readonly fed: Fed;
  private readonly files = new Set<string>();
  private preparedPath: string;
  /** Files are made one after the other where samples run: each takes all workers. */
  private last: Promise<unknown> = Promise.resolve();

  private constructor(
    readonly settings: SearchSettings,
    private readonly io: Io,
  ) {
    const { model, samples } = settings;
    this.preparedPath = model;
    const opened = openModel(model);
    try {
      const feds = fedBy(opened.model, samples.sources);
      if (feds.length !== 1)
        throw new FileError(
          model,
          `has samples for ${feds.length} signatures; one at a time is searched: give one --data`,
        );
      this.fed = feds[0]!;
    } finally {
      opened.close();
    }
    const { subgraph, signature } = this.fed;
    this.part = { subgraph, ...(signature !== undefined && { signature }) };
  }

  /**
   * Prepares the model and records its ranges on the samples that are not held back; where weights alone are quantized there are no ranges,
   * and the model is taken as it is. Throws a MinmaxqError.
   */
  static async open(settings: SearchSettings, io: Io): Promise<Session> {
    const session = new Session(settings, io);
    if (settings.weights) return session;
    const path = session.temporary();
    try {
      // What the preparation says is told once, by the result's report.
      const own = { ...settings, output: path, reports: {}, samples: session.samples, accuracy: undefined };
      await prepareAndRecord(own, io);
      session.preparedPath = path;
      return session;
    } catch (error) {
      session.close();
      throw error;
    }
  }

  /** The same for a model that was quantized already: prepared, without ranges. */
  static async prepared(settings: SearchSettings, io: Io): Promise<Session> {
    const session = new Session(settings, io);
    const path = session.temporary();
    try {
      await prepareOnly({ ...settings, output: path, samples: undefined }, io);
      session.preparedPath = path;
      return session;
    } catch (error) {
      session.close();
      throw error;
    }
  }

  /** The float model, with ranges where they were recorded. */
  get prepared(): string {
    return this.preparedPath;
  }

  /** Samples that set the ranges. */
  private get samples(): Samples {
    const { split, samples } = this.settings;
    return { ...samples, held: { share: split, take: "rest" } };
  }

  /** Quantizes quickly, with these layer settings over those of the user. */
  quantize(layers: readonly string[], more: Partial<SearchedSettings> = {}): Promise<Lent> {
    const own = { ...more, model: this.preparedPath, samples: this.samples };
    return this.lent(layers, own, (settings) => {
      const work = () => quantizeRecorded(settings, SILENT);
      return settings.weights ? this.alone(work) : work();
    });
  }

  /** Quantizes as the result will be written: `write` gives the same bytes. */
  make(layers: readonly string[]): Promise<Lent> {
    return this.lent(layers, { samples: this.samples }, (settings) =>
      this.alone(() => quantizeWhole(settings, SILENT)),
    );
  }

  /** One after the other. */
  private alone(work: () => Promise<Report>): Promise<Report> {
    const done = this.last.then(work);
    this.last = done.catch(() => {});
    return done;
  }

  private async lent(
    layers: readonly string[],
    more: Partial<SearchedSettings>,
    work: (settings: SearchedSettings) => Promise<Report>,
  ): Promise<Lent> {
    const path = this.temporary();
    const settings = this.withLayers(layers, { ...more, output: path, reports: {}, withoutRun: true });
    try {
      const report = await about(this.settings.model, () => work(settings));
      return { path, report, release: () => this.remove(path) };
    } catch (error) {
      this.remove(path);
      throw error;
    }
  }

  /** Writes the result to its place, with all checks. */
  write(layers: readonly string[], io: Io): Promise<Report> {
    return about(this.settings.model, () => quantizeWhole(this.withLayers(layers, { samples: this.samples }), io));
  }

  private withLayers(layers: readonly string[], more: Partial<SearchedSettings>): SearchedSettings {
    const { layers: own } = this.settings;
    const given = [...layers, ...(own?.given ?? [])];
    const all = { ...own, ...(given.length > 0 && { given }) };
    return { ...this.settings, ...more, layers: given.length > 0 || own?.config !== undefined ? all : undefined };
  }

  /** A bench on the samples of a role. */
  bench(take: "held" | "search" | "check"): Promise<Bench> {
    const { samples, split } = this.settings;
    return this.benchOf({ ...samples, held: { share: split, take } });
  }

  /** A bench on any samples. */
  benchOf(samples: Samples): Promise<Bench> {
    const { model, weights } = this.settings;
    const asIs = weights?.scheme.kind === "dynamic";
    return openBench({ float: model, part: this.part, fed: this.fed, samples, asIs }, this.io);
  }

  /** Removes its files. */
  close(): void {
    for (const path of [...this.files]) this.remove(path);
  }

  private temporary(): string {
    const path = temporaryPath(this.settings.output);
    this.files.add(path);
    return path;
  }

  private remove(path: string): void {
    this.files.delete(path);
    removeTemporary(path);
  }
}
