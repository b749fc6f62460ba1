/** Runs the executable, and holds what it wrote to the float model. */
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type MeasuredModel, type MeasuredScheme, TUNE_LEVEL } from "./cells.ts";
import type { Cut, Row, TuneRow } from "./results.ts";

interface ToldOutput {
  readonly metrics: { readonly sqnr: number | null };
}

interface ToldPoint {
  readonly what: string;
  readonly share: number;
  readonly layers: Readonly<Record<string, string>>;
}

/** Outputs without any error. */
const PERFECT = 120;

export class Judge {
  constructor(
    private readonly executable: string,
    private readonly models: string,
    private readonly folder: string,
    /** Folders of pictures. */
    private readonly even: string,
    private readonly odd: string,
  ) {}

  /** A model by levels, each as often as `repeats` says, in turns: so that whatever else the machine does hits all. */
  levels(
    model: MeasuredModel,
    { name: scheme, ending }: MeasuredScheme,
    levels: readonly { readonly name: string }[],
    repeats: number,
  ): Row[] {
    const output = join(this.folder, `output.${ending}`);
    const rows = new Map<string, Row>();
    for (let round = 0; round < repeats; round++) {
      for (const { name: level } of levels) {
        const words = ["quantize", join(this.models, model.file), "--data", this.even, ...model.options];
        const { seconds, stdout } = this.run([
          ...words,
          ...["--scheme", scheme, "--accuracy", level, "-o", output, "--json"],
        ]);
        const known = rows.get(level);
        const told = JSON.parse(stdout) as { notes?: { code: string; text: string }[] };
        rows.set(level, {
          ...{ model: model.name, scheme, level },
          sqnr: known?.sqnr ?? this.judged(model, output),
          seconds: Math.min(known?.seconds ?? Number.POSITIVE_INFINITY, seconds),
          notes: (told.notes ?? []).filter(({ code }) => STEPS.includes(code)).map(({ text }) => text),
        });
        rmSync(output);
      }
    }
    return [...rows.values()];
  }

  /**
   * `tune` within a share of int16, beside cuts over depth at that share, which ONE's bisection finds: all three are judged on the photographs
   * that no part of them saw. Measurements of a search stay in the folder `kept`: another share of the model uses them, too.
   */
  tune(model: MeasuredModel, percent: number, kept: string): TuneRow {
    const output = join(this.folder, "output.circle");
    const state = join(kept, `${model.name}.tune.json`);
    const words = [join(this.models, model.file), "--data", this.even, ...model.options];
    const searched = ["tune", ...words, "--at-most", `${percent}%`, "--accuracy", TUNE_LEVEL, "--state", state];
    const { seconds, stdout } = this.run([...searched, "-o", output, "--json"]);
    const { points } = JSON.parse(stdout) as { points: readonly ToldPoint[] };
    const find = (name: string) => points.find(({ what }) => what === name)!;
    const sqnr = this.judged(model, output);
    const cut = (name: string): Cut => {
      const { share, layers } = find(name);
      const config = join(this.folder, "layers.json");
      const entries = Object.entries(layers).map(([name, dtype]) => ({ name, dtype }));
      writeFileSync(config, JSON.stringify({ layers: entries }));
      const settings = ["--split", "0.5", "--accuracy", TUNE_LEVEL, "--config", config];
      this.run(["quantize", ...words, ...settings, "-o", output, "--force"]);
      return { share, sqnr: this.judged(model, output) };
    };
    const row = {
      ...{ model: model.name, percent, share: find("result").share, sqnr, seconds },
      ...{ front: cut("front split"), back: cut("back split") },
    };
    rmSync(output);
    return row;
  }

  private judged(model: MeasuredModel, quantized: string): number[] {
    const words = ["compare", join(this.models, model.file), quantized, "--data", this.odd, ...model.options, "--json"];
    const { outputs } = JSON.parse(this.run(words).stdout) as { outputs: readonly ToldOutput[] };
    return outputs.map(({ metrics: { sqnr } }) => sqnr ?? PERFECT);
  }

  private run(words: readonly string[]): { seconds: number; stdout: string } {
    const start = performance.now();
    const { exitCode, stdout, stderr } = Bun.spawnSync([this.executable, ...words], { stdout: "pipe", stderr: "pipe" });
    const seconds = (performance.now() - start) / 1000;
    if (exitCode !== 0) throw new Error(`minmaxq ${words.join(" ")}: exit code ${exitCode}\n${stderr}`);
    return { seconds, stdout: stdout.toString() };
  }
}

/** Codes of notes that say what became of a step. */
const STEPS = ["equalized", "not-equalized", "rounding", "bias-correction", "sequential-correction", "accuracy-undone"];
