/**
 * `bun run bench [NAME…]`: speed and memory, held against their targets and against docs/performance.json.
 *
 *     bun run bench                 everything but the 6 GB model
 *     bun run bench --all           that too (needs 14 GB of disk for a while)
 *     bun run bench speed start     figures and groups by name; --list names them
 *     bun run bench --quick         fewer repeats
 *     bun run bench kernels --parts every kernel, not only the worst and those that got worse
 *     bun run bench --size 100MB    speed with a smaller model than 1 GB; neither compared nor kept
 *     bun run bench --keep          writes docs/performance.json and the table of docs/performance.md
 *
 * What is measured: scripts/bench/figures.ts; what bounds it: docs/performance.md. What got worse by more than 15 % is red. The exit code is 0
 * all the same, since a busy machine is no defect: 1 means that something could not be measured, 2 a wrong command line. MINMAXQ names another
 * executable to measure.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { MinmaxqError, UsageError } from "../src/base/errors.ts";
import { sizeText } from "../src/base/text.ts";
import { terminal } from "../src/terminal/output.ts";
import { coloursFor } from "../src/terminal/streams.ts";
import { type Bench, FIGURES, type Figure, means } from "./bench/figures.ts";
import { commitOf, load, machineFacts } from "./bench/machine.ts";
import { Models, Skipped } from "./bench/models.ts";
import { KEPT, PAGE, withFigures } from "./bench/page.ts";
import { type Kept, keptText, type Machine, merged, type Result, resultOf, sameMachine } from "./bench/results.ts";
import { header, lines, rowsOf } from "./bench/table.ts";
import { withFreshExecutable } from "./fresh.ts";
import { parseSize } from "./generate-model.ts";

const colours = coloursFor(1);

function readWords(words: string[]) {
  const { values, positionals } = parseArgs({
    args: words,
    allowPositionals: true,
    options: {
      all: { type: "boolean", default: false },
      quick: { type: "boolean", default: false },
      keep: { type: "boolean", default: false },
      list: { type: "boolean", default: false },
      parts: { type: "boolean", default: false },
      size: { type: "string" },
    },
  });
  const unknown = positionals.find((word) => !FIGURES.some((figure) => means(word, figure)));
  if (unknown !== undefined) throw new UsageError(`"${unknown}" is no figure; --list names them`);
  if (values.keep && values.size !== undefined) throw new UsageError("--keep wants the size that is always measured");
  // A name stands for itself whatever it costs; a group does not.
  const chosen = FIGURES.filter((figure) =>
    positionals.length === 0
      ? values.all || !figure.extra
      : positionals.some((word) => word === figure.id || (means(word, figure) && (values.all || !figure.extra))),
  );
  return { ...values, large: parseSize(values.size ?? "1GB"), chosen };
}

function readKept(): Kept | null {
  return existsSync(KEPT) ? (JSON.parse(readFileSync(KEPT, "utf8")) as Kept) : null;
}

function printMachine(machine: Machine, commit: string, kept: Kept | null): void {
  const { cpu, cores, memory, system, fileSystem, bun } = machine;
  console.log(`${cpu}, ${cores} cores, ${memory} GB of memory, ${fileSystem}`);
  console.log(`${system}, Bun ${bun}, minmaxq ${commit}, load average ${load()}`);
  if (load() > cores / 2)
    console.log(colours.yellow("This machine is busy with something else; figures are disturbed."));
  if (!kept) console.log("Nothing is kept to compare with (--keep keeps).");
  else if (!sameMachine(kept.machine, machine))
    console.log(`What is kept is of another machine (${kept.machine.cpu}): times are not compared with it.`);
  console.log("");
}

/** Measures one figure. Empty when that is impossible here, null when it failed; both are said. */
async function measure(figure: Figure, bench: Omit<Bench, "progress">, commit: string): Promise<Result[] | null> {
  // Without a terminal there is no bar, and no lines either: rows come soon enough.
  const progress = process.stderr.isTTY ? terminal.progress(figure.what) : () => {};
  try {
    const date = new Date().toISOString().slice(0, 10);
    return (await figure.measure({ ...bench, progress })).map((measured) => resultOf(figure, measured, date, commit));
  } catch (error) {
    progress(1, 1);
    if (error instanceof Skipped) {
      console.log(`${figure.what}: skipped: ${error.message}`);
      return [];
    }
    console.log(colours.red(`${figure.what}: failed: ${error instanceof Error ? error.message : error}`));
    return null;
  }
}

async function main(words: string[]): Promise<number> {
  const { chosen, large, quick, keep, list, parts, size } = readWords(words);
  if (list) {
    for (const { id, group, what } of FIGURES) console.log(`${group.padEnd(11)}${id.padEnd(22)}${what}`);
    return 0;
  }
  const { MINMAXQ } = process.env;
  // Figures of an executable that is older than its sources would be of something else.
  const executable = MINMAXQ ?? withFreshExecutable((path) => path);
  const models = new Models("dist");
  const machine = machineFacts(models.folder);
  const commit = MINMAXQ ? "unknown" : commitOf();
  const kept = readKept();
  const before = load();
  const results: Result[] = [];
  let failed = false;
  try {
    printMachine(machine, commit, kept);
    console.log(header(colours));
    for (const figure of chosen) {
      const measured = await measure(figure, { executable, models, large, quick }, commit);
      if (measured === null) failed = true;
      else results.push(...measured);
      // Ratios of another model's size are other figures.
      const comparable = size === undefined ? kept : null;
      for (const row of rowsOf(measured ?? [], !parts && figure.brief === true, comparable, machine)) {
        for (const line of lines(row, colours)) console.log(line);
      }
    }
  } finally {
    models.remove();
  }
  console.log(
    `\nRatios: median of the pairs' ratios; times: median; memory: the highest. Speed with ${sizeText(large)}.`,
  );
  if (keep) {
    const now = merged(
      kept,
      { machine, load: [before, load()], results },
      FIGURES.map(({ id }) => id),
    );
    writeFileSync(KEPT, keptText(now));
    writeFileSync(PAGE, withFigures(readFileSync(PAGE, "utf8"), now));
    console.log(`Kept in ${KEPT} and ${PAGE}.`);
  }
  return failed ? 1 : 0;
}

if (import.meta.main) {
  process.chdir(join(import.meta.dir, ".."));
  try {
    process.exit(await main(process.argv.slice(2)));
  } catch (error) {
    const wrong = error instanceof MinmaxqError || (error as NodeJS.ErrnoException).code?.startsWith("ERR_PARSE_ARGS");
    if (!wrong) throw error;
    console.error((error as Error).message);
    process.exit(2);
  }
}
