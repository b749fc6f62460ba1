/** Runs the executable, and holds what it wrote to the float model. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { MeasuredModel, MeasuredScheme } from "./cells.ts";
import type { Row, TuneRow } from "./results.ts";

interface ToldOutput {
  readonly metrics: { readonly sqnr: number | null };
}

interface ToldPoint {
  readonly what: string;
  readonly share: number;
  readonly unseen?: readonly (number | null)[];
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

  /** `tune` within a share of int16, beside cuts over depth at that share, which ONE's bisection finds. */
  tune(model: MeasuredModel, percent: number): TuneRow {
    const output = join(this.folder, "tuned.circle");
    const words = ["tune", join(this.models, model.file), "--data", this.even, ...model.options];
    const { seconds, stdout } = this.run([...words, "--at-most", `${percent}%`, "-o", output, "--json"]);
    const { points } = JSON.parse(stdout) as { points: readonly ToldPoint[] };
    const find = (name: string) => points.find(({ what }) => what === name);
    const own = (name: string) => (find(name)?.unseen ?? []).map((each) => each ?? PERFECT);
    const row = {
      ...{ model: model.name, percent, share: find("result")!.share, seconds },
      sqnr: this.judged(model, output),
      own: own("result"),
      front: own("front split"),
      back: own("back split"),
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
