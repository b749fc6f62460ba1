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
import { prepareAndRecord, prepareOnly, quantizeRecorded } from "../driver/search-flows.ts";
import type { QuantizeSettings, Samples } from "../driver/settings.ts";
import { type Fed, fedBy } from "../driver/signatures.ts";
import { openModel } from "../model/index.ts";
import { type Bench, openBench } from "./bench.ts";

export interface SearchSettings extends QuantizeSettings {
  readonly samples: Samples;
  /** Share of the samples that do not set the ranges. */
  readonly split: number;
}

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
  private preparedPath = "";

  private constructor(
    readonly settings: SearchSettings,
    private readonly io: Io,
  ) {
    const { model, samples } = settings;
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

  /** Prepares the model and records its ranges on the samples that are not held back. Throws a MinmaxqError. */
  static async open(settings: SearchSettings, io: Io): Promise<Session> {
    const session = new Session(settings, io);
    const path = session.temporary();
    try {
      const { split, samples } = settings;
      const held = { share: split, take: "rest" } as const;
      // What the preparation says is told once, by the first candidate's report.
      await prepareAndRecord({ ...settings, output: path, reports: {}, samples: { ...samples, held } }, io);
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

  /** Quantizes with these layer settings over those of the user. */
  async quantize(layers: readonly string[], headroom: number, more: Partial<QuantizeSettings> = {}): Promise<Lent> {
    const path = this.temporary();
    const settings = this.withLayers(layers, {
      ...more,
      model: this.preparedPath,
      output: path,
      reports: {},
      withoutRun: true,
    });
    try {
      const report = await about(this.settings.model, () => quantizeRecorded(settings, headroom, SILENT));
      return { path, report, release: () => this.remove(path) };
    } catch (error) {
      this.remove(path);
      throw error;
    }
  }

  /** Writes the result to its place, with all checks. */
  write(layers: readonly string[], headroom: number, io: Io): Promise<Report> {
    const { model } = this.settings;
    return about(model, () => quantizeRecorded(this.withLayers(layers, { model: this.preparedPath }), headroom, io));
  }

  private withLayers(layers: readonly string[], more: Partial<QuantizeSettings>): QuantizeSettings {
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
    return openBench({ float: this.settings.model, part: this.part, fed: this.fed, samples }, this.io);
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
