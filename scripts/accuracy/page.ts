/** The text of docs/accuracy.md, from figures alone: which goal holds is computed, not claimed. */
import { GAINS, HARD, LEVELS, MODELS, MOST_LOSS, SCHEMES, TUNE_LEVEL } from "./cells.ts";
import type { Cut, Figures, Row } from "./results.ts";

const dB = (value: number) => value.toFixed(1).replace("-", "−");
const signed = (value: number) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(1)}`;
const all = (values: readonly number[]) => values.map(dB).join(", ");
const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
const times = (value: number) => value.toFixed(2);

/** A model by a scheme, with all levels. */
interface Cell {
  readonly model: string;
  readonly scheme: (typeof SCHEMES)[number];
  readonly compat: Row;
  readonly good: Row;
  readonly best: Row;
}

export function pageOf(figures: Figures): string {
  const { machine, load, date, rows, tuned } = figures;
  const row = (model: string, scheme: string, level: string) =>
    rows.find((each) => each.model === model && each.scheme === scheme && each.level === level);
  const cells = MODELS.flatMap(({ name: model }) =>
    SCHEMES.flatMap((scheme): Cell[] => {
      const [compat, good, best] = ["compat", "good", "best"].map((level) => row(model, scheme.name, level));
      return compat && good && best ? [{ model, scheme, compat, good, best }] : [];
    }),
  );
  return `${[
    "<!-- Written by `bun run scripts/write-accuracy.ts`, not by hand. -->",
    "# Accuracy, measured",
    "",
    "What [`--accuracy`](accuracy-guide.md#--accuracy-goodbest) and `tune` bring on five models of MediaPipe. Of sixteen photographs, the eight with an even number set ranges and everything that is chosen; the eight with an odd number judge.",
    "So nothing here was chosen by what it is judged on. With eight samples, two of them are held out when steps are tried.",
    "SQNR in dB of each output (signal against error; more is better, 6 dB are one bit). `.tflite` (int8, int16x8) ran in LiteRT's integer kernels, `.circle` (uint8, int16) as float models that round as they do.",
    "",
    "| model | scheme | compat | good | best | best − compat: least, mean | compat s | good ÷ | best ÷ |",
    "|---|---|---|---|---|---|---|---|---|",
    ...cells.map(line),
    "",
    "`compat` is what no `--accuracy` gives: ONE's rules. Times are of the whole command (pictures read, samples run, file written and checked); ÷: in times of compat, measured in turns.",
    `Model files: ${MODELS.map(({ name, file, options }) => `${name} is \`${file}\`${options.length > 0 ? ` (with \`${options.join(" ")}\`)` : ""}`).join(", ")}.`,
    `Measured on ${date}: ${machine.cpu}, ${machine.cores} cores; load average ${load[0].toFixed(1)} before, ${load[1].toFixed(1)} after${Math.max(...load) > machine.cores / 2 ? ", so the machine was busy with other things, and times are rough" : ""}.`,
    "",
    "## Which goals hold",
    "",
    "| goal | measured | holds |",
    "|---|---|---|",
    ...goals(cells),
    "",
    ...(tuned.length > 0 ? tunedLines(figures) : ["`tune` is not measured yet."]),
  ].join("\n")}\n`;
}

function line({ model, scheme, compat, good, best }: Cell): string {
  const gains = gainsOf(compat, best);
  return `| ${[
    ...[model, scheme.name, all(compat.sqnr), all(good.sqnr), all(best.sqnr)],
    `${signed(Math.min(...gains))}, ${signed(mean(gains))}`,
    ...[compat.seconds.toFixed(1), times(good.seconds / compat.seconds), times(best.seconds / compat.seconds)],
  ].join(" | ")} |`;
}

function gainsOf(before: Row, after: Row): number[] {
  return after.sqnr.map((each, i) => each - before.sqnr[i]!);
}

function goals(cells: readonly Cell[]): string[] {
  const goal = (what: string, measured: string, holds: boolean) =>
    `| ${what} | ${measured} | ${holds ? "yes" : "**no**"} |`;
  const losses = cells.flatMap(({ model, scheme, compat, best }) =>
    gainsOf(compat, best).flatMap((gain, output) =>
      gain < -MOST_LOSS ? [`${model} ${scheme.name} output ${output}: ${signed(gain)} dB`] : [],
    ),
  );
  const outputs = cells.reduce((sum, { best }) => sum + best.sqnr.length, 0);
  const hard = cells.find(({ model, scheme }) => model === HARD.model && scheme.name === HARD.scheme)!;
  const [before, after] = [hard.compat, hard.best].map(({ sqnr }) => sqnr[HARD.output]!) as [number, number];
  return [
    goal(
      `best: no output more than ${MOST_LOSS} dB below compat`,
      losses.length === 0 ? `none of ${outputs}` : `${losses.length} of ${outputs} are: ${losses.join("; ")}`,
      losses.length === 0,
    ),
    ...Object.entries(GAINS).flatMap(([group, least]) => {
      const some = cells.filter(({ scheme }) => scheme.group === group);
      const gain = mean(some.flatMap(({ compat, best }) => gainsOf(compat, best)));
      return least === undefined
        ? []
        : [
            goal(
              `best: ${least} dB above compat on average over outputs, ${group}`,
              `${signed(gain)} dB`,
              gain >= least,
            ),
          ];
    }),
    goal(
      `best: output ${HARD.output} of ${HARD.model} in ${HARD.scheme} above ${HARD.least} dB`,
      `${dB(before)} → ${dB(after)} dB`,
      after > HARD.least,
    ),
    ...LEVELS.flatMap(({ name, most }) => {
      if (name === "compat") return [];
      const ratios = cells.map((cell) => ({ cell, ratio: cell[name].seconds / cell.compat.seconds }));
      const beyond = ratios.filter(({ ratio }) => ratio > most);
      const median = ratios.map(({ ratio }) => ratio).sort((a, b) => a - b)[Math.floor(ratios.length / 2)]!;
      const largest = Math.max(...ratios.map(({ ratio }) => ratio));
      const told = beyond.length === 0 ? "" : `; ${beyond.length} of ${cells.length} rows take more`;
      return [
        goal(
          `${name}: at most ${most} times plain recording`,
          `median ${times(median)}, most ${times(largest)}${told}`,
          beyond.length === 0,
        ),
      ];
    }),
  ];
}

function tunedLines({ tuned }: Figures): string[] {
  const better = tuned.filter(({ sqnr, front, back }) => mean(sqnr) >= Math.max(mean(front.sqnr), mean(back.sqnr)));
  return [
    "## `tune` at a share of int16, beside ONE's bisection",
    "",
    `uint8 with some layers in int16 (\`tune --at-most N%\`, \`--accuracy ${TUNE_LEVEL}\`). ONE's bisection cuts the model in two at some depth, and gives int16 to the front or to the back: both cuts at the same share, made in the same way, are what \`tune\` is held against.`,
    "All are judged on the photographs with odd numbers, which no part of them saw. Of the even ones half set the ranges, and a quarter is searched on: on these `tune` is never worse on average than a cut, on others it can be.",
    "",
    "| model | at most | tune: share | dB | front cut: share | dB | back cut: share | dB | tune − the better cut, mean | s |",
    "|---|---|---|---|---|---|---|---|---|---|",
    ...tuned.map(({ model, percent, share, sqnr, front, back, seconds }) => {
      const side = (cut: Cut) => [`${(100 * cut.share).toFixed(1)} %`, all(cut.sqnr)];
      const gain = mean(sqnr) - Math.max(mean(front.sqnr), mean(back.sqnr));
      return `| ${[model, `${percent} %`, ...[{ share, sqnr }, front, back].flatMap(side), signed(gain), seconds.toFixed(0)].join(" | ")} |`;
    }),
    "",
    `In ${better.length} of ${tuned.length} rows \`tune\` has the better mean on them. Times are of the search; that of the first share of a model measures what the others use, too.`,
    "",
    ...missingLine(tuned),
  ];
}

function missingLine(tuned: Figures["tuned"]): string[] {
  const missing = MODELS.filter(({ name }) => !tuned.some(({ model }) => model === name));
  return missing.length === 0 ? [] : [`Not measured yet: ${missing.map(({ name }) => name).join(", ")}.`];
}
