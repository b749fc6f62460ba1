/**
 * docs/accuracy.md: what `--accuracy` and `tune` bring on real models, measured with the executable.
 *
 *     bun run scripts/write-accuracy.ts                   measures everything (a quarter of an hour of two quiet cores), writes docs/accuracy.json and docs/accuracy.md
 *     bun run scripts/write-accuracy.ts --without-tune    the same without mixed precision, whose figures stay what they were
 *     bun run scripts/write-accuracy.ts --only-tune hand  mixed precision alone, of these models; other figures stay what they were
 *     bun run scripts/write-accuracy.ts hand int8 best    only these models, schemes and levels: rows on the terminal, nothing is written
 *     bun run scripts/write-accuracy.ts --page            writes docs/accuracy.md from docs/accuracy.json once more
 *
 * Rows are kept in build/accuracy while it works: a run that was stopped goes on behind them with the same command, as long as the executable is the same.
 * Needs ../shared/models and ../shared/images. Pictures with an even number set ranges, and everything that is chosen; those with an odd number
 * judge. MINMAXQ names another executable to measure.
 */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { LEVELS, type MeasuredModel, type MeasuredScheme, MODELS, SCHEMES, SHARES } from "./accuracy/cells.ts";
import { Journal } from "./accuracy/journal.ts";
import { Judge } from "./accuracy/judge.ts";
import { pageOf } from "./accuracy/page.ts";
import type { Figures, Row, TuneRow } from "./accuracy/results.ts";
import { machineFacts } from "./bench/machine.ts";
import { withFreshExecutable } from "./fresh.ts";

const ROOT = join(import.meta.dir, "..");
const SHARED = join(ROOT, "../shared");
const KEPT = join(ROOT, "docs/accuracy.json");
const PAGE = join(ROOT, "docs/accuracy.md");
const ROWS = join(ROOT, "build/accuracy");

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    "without-tune": { type: "boolean", default: false },
    "only-tune": { type: "boolean", default: false },
    page: { type: "boolean", default: false },
    repeats: { type: "string", default: "2" },
  },
});

/** Those that words on the command line mean; all where none means one of them. */
function chosen<T extends { readonly name: string }>(all: readonly T[]): readonly T[] {
  const some = all.filter(({ name }) => positionals.includes(name));
  return some.length > 0 ? some : all;
}

function keptFigures(): Figures | null {
  return existsSync(KEPT) ? (JSON.parse(readFileSync(KEPT, "utf8")) as Figures) : null;
}

function write(figures: Figures): void {
  writeFileSync(KEPT, `${JSON.stringify(figures, null, 1)}\n`);
  writeFileSync(PAGE, pageOf(figures));
}

/** Folders of links: pictures that set ranges, and pictures that judge. */
function halves(folder: string): readonly [string, string] {
  const paths = ["even", "odd"].map((name) => join(folder, name)) as [string, string];
  for (const path of paths) mkdirSync(path);
  for (const name of readdirSync(join(SHARED, "images")).sort()) {
    const number = Number(name.match(/(\d+)\.png$/)?.[1]);
    if (Number.isInteger(number)) symlinkSync(join(SHARED, "images", name), join(paths[number % 2]!, name));
  }
  return paths;
}

function say(row: Row): void {
  const { model, scheme, level, sqnr, seconds } = row;
  console.log(
    `${model.padEnd(7)} ${scheme.padEnd(8)} ${level.padEnd(7)} ${sqnr.map((each) => each.toFixed(1)).join(", ")} dB  ${seconds.toFixed(1)} s  ${row.notes.join("; ")}`,
  );
}

function tunedBy(judge: Judge, journal: Journal, models: readonly MeasuredModel[]): TuneRow[] {
  const texts = (values: readonly number[]) => values.map((each) => each.toFixed(1)).join(", ");
  return models.flatMap((model) =>
    SHARES.map((share) => {
      const row = journal.once(`tune ${model.name} ${share}`, () => judge.tune(model, share, journal.folder));
      const { sqnr, front, back, seconds } = row;
      const cuts = `front ${texts(front.sqnr)}, back ${texts(back.sqnr)}`;
      console.log(`${model.name.padEnd(7)} tune ${share} %: ${texts(sqnr)} dB (${cuts})  ${seconds.toFixed(0)} s`);
      return row;
    }),
  );
}

/** What rows depend on beside their names. */
function keyOf(executable: string): string {
  return `${new Bun.CryptoHasher("sha256").update(readFileSync(executable)).digest("hex")} ${values.repeats}`;
}

/** Rows of some models in place of what is kept of them. */
function writeTuned(tuned: readonly TuneRow[]): void {
  const kept = keptFigures();
  if (!kept) throw new Error("docs/accuracy.json is not there; measure without --only-tune first");
  const all = [...kept.tuned.filter(({ model }) => !tuned.some((each) => each.model === model)), ...tuned];
  write({ ...kept, tuned: MODELS.flatMap(({ name }) => all.filter(({ model }) => model === name)) });
}

function measure(executable: string): void {
  const words = [...MODELS, ...SCHEMES, ...LEVELS].map(({ name }) => name);
  const unknown = positionals.find((word) => !words.includes(word));
  if (unknown !== undefined) throw new Error(`"${unknown}" is none of ${words.join(", ")}`);
  const folder = mkdtempSync(join(tmpdir(), "minmaxq-accuracy-"));
  try {
    const [even, odd] = halves(folder);
    const judge = new Judge(executable, join(SHARED, "models"), folder, even, odd);
    const journal = new Journal(ROWS, keyOf(executable));
    if (journal.size > 0) console.log(`goes on behind ${journal.size} rows in build/accuracy`);
    const before = journal.once("load", () => loadavg()[0]!);
    if (values["only-tune"]) {
      writeTuned(tunedBy(judge, journal, chosen(MODELS)));
      return journal.remove();
    }
    const some = chosen(LEVELS);
    const rowsOf = (model: MeasuredModel, scheme: MeasuredScheme) =>
      journal.once(`${model.name} ${scheme.name} ${some.map(({ name }) => name)}`, () =>
        judge.levels(model, scheme, some, Number(values.repeats)),
      );
    const rows: Row[] = [];
    for (const model of chosen(MODELS))
      for (const scheme of chosen(SCHEMES))
        for (const row of rowsOf(model, scheme)) {
          rows.push(row);
          say(row);
        }
    if (positionals.length > 0) return;
    write({
      machine: machineFacts(ROOT),
      load: [before, loadavg()[0]!],
      date: new Date().toISOString().slice(0, 10),
      rows,
      tuned: values["without-tune"] ? (keptFigures()?.tuned ?? []) : tunedBy(judge, journal, MODELS),
    });
    journal.remove();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (values.page) write(keptFigures()!);
else if (!existsSync(join(SHARED, "models"))) {
  console.error("write-accuracy: ../shared/models is not there; it holds the models that this measures");
  process.exit(1);
} else if (process.env.MINMAXQ) measure(process.env.MINMAXQ);
else withFreshExecutable(measure);
