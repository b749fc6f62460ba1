/** The table in docs/performance.md, which is written from docs/performance.json. */
import type { Kept, Result } from "./results.ts";
import { meetsTarget } from "./results.ts";
import { speedText, targetText, valueText } from "./table.ts";

export const PAGE = "docs/performance.md";
export const KEPT = "docs/performance.json";
const BEGIN = "<!-- figures: written by `bun run bench --keep`, not by hand -->";
const END = "<!-- end of figures -->";

/** The page with these figures between its marks. Throws when it lacks the marks. */
export function withFigures(page: string, kept: Kept | null): string {
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`${PAGE}: the marks are gone between which figures stand`);
  return `${page.slice(0, begin + BEGIN.length)}\n\n${figures(kept).join("\n")}\n\n${page.slice(end)}`;
}

function figures(kept: Kept | null): string[] {
  if (!kept) return ["Nothing is kept yet: `bun run bench --all --keep` on a quiet machine."];
  const { machine, load, results } = kept;
  const { cpu, cores, memory, system, fileSystem, bun } = machine;
  const single = results.filter(({ figure }) => !isKernel(figure));
  const kernels = results.filter(({ figure }) => isKernel(figure));
  return [
    `${cpu}, ${cores} cores, ${memory} GB of memory, ${fileSystem}, ${system}, Bun ${bun}; load average ${load[0]} before, ${load[1]} after.`,
    "",
    "| figure | result | min–max | by medians, by minima | target | | commit, day |",
    "|---|---|---|---|---|---|---|",
    ...single.map(row),
    ...(kernels.length > 0 ? ["", ...kernelTable(kernels)] : []),
  ];
}

const isKernel = (figure: string) => figure.startsWith("kernels");

function row(result: Result): string {
  const { what, part, value, min, max, unit, ofMedians, ofMinima, commit, date } = result;
  const met = meetsTarget(result);
  const others = ofMedians === undefined ? "" : `${ofMedians.toFixed(2)}, ${ofMinima!.toFixed(2)}`;
  const range = `${valueText(min, unit).replace(/ .*/, "")}–${valueText(max, unit)}`;
  const cells = [part === undefined ? what : `${what}, ${part}`, valueText(value, unit), range, others];
  return `| ${[...cells, targetText(result), met === null ? "" : met ? "met" : "**missed**", `${commit}, ${date}`].join(" | ")} |`;
}

/** A row a kernel, two columns a size. */
function kernelTable(results: readonly Result[]): string[] {
  const sizes = [...new Set(results.map(({ figure }) => figure))];
  const titles = sizes.map((size) => results.find(({ figure }) => figure === size)!.what);
  const cellsOf = (part: string) =>
    sizes.flatMap((size) => {
      const result = results.find((each) => each.figure === size && each.part === part);
      if (!result?.sides) return ["", ""];
      const share = valueText(result.value, result.unit);
      return [
        meetsTarget(result) === false ? `**${share}**` : share,
        speedText(result.bytes!, Math.min(...result.sides.bottom), result.sides.unit),
      ];
    });
  const parts = [...new Set(results.map(({ part }) => part!))];
  const missed = results.filter((result) => meetsTarget(result) === false).length;
  const measured = [...new Set(results.map(({ commit, date }) => `${commit}, ${date}`))].join("; ");
  return [
    `Kernels at ${measured}; target ${targetText(results[0]!)}, missed by ${missed} of ${results.length} (bold):`,
    "",
    `| kernel | ${titles.flatMap((title) => [title, "fastest"]).join(" | ")} |`,
    `|---${"|---".repeat(2 * sizes.length)}|`,
    ...parts.map((part) => `| ${[part, ...cellsOf(part)].join(" | ")} |`),
  ];
}
