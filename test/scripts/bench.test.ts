/** What the benchmark makes of its samples. Nothing is timed here. */
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import picocolors from "picocolors";
import { FIGURES, means } from "../../scripts/bench/figures.ts";
import { KERNELS, KernelBench } from "../../scripts/bench/kernels.ts";
import { KEPT, PAGE, withFigures } from "../../scripts/bench/page.ts";
import { phaseSeconds } from "../../scripts/bench/processes.ts";
import {
  changeFrom,
  counterpart,
  type Kept,
  keptText,
  type Machine,
  type Measured,
  meetsTarget,
  merged,
  type Result,
  resultOf,
  type Terms,
} from "../../scripts/bench/results.ts";
import { median, ratios, spread } from "../../scripts/bench/statistics.ts";
import { lines, rowOf, rowsOf } from "../../scripts/bench/table.ts";

const root = join(import.meta.dir, "../..");
const MACHINE: Machine = { cpu: "abacus", cores: 2, memory: 16, system: "Linux", fileSystem: "ext4", bun: "1.4.5" };
const OTHER: Machine = { ...MACHINE, cpu: "slide rule" };
const SPEED: Terms = { id: "speed", what: "quantize ÷ cp", unit: "ratio", better: "less", target: 0.6 };
const KERNEL: Terms = { id: "kernels-1MiB", what: "kernel ÷ copy", unit: "ratio", better: "more", target: 0.6 };
const START: Terms = { id: "start", what: "start", unit: "ms", better: "less", target: 40 };
const MEMORY: Terms = { id: "memory", what: "peak", unit: "MB", better: "less", target: 200, judged: "max" };

const made = (terms: Terms, measured: Measured) => resultOf(terms, measured, "2026-01-01", "abc1234");
const sides = (top: number[], bottom: number[]) => ({
  names: ["a", "b"] as [string, string],
  unit: "s" as const,
  top,
  bottom,
});
const kept = (...results: Result[]): Kept => ({ machine: MACHINE, load: [0, 1], results });
const colours = picocolors.createColors(true);

describe("statistics", () => {
  test("median, minimum, maximum", () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(spread([3, 1, 10])).toEqual({ min: 1, median: 3, max: 10 });
    expect(() => median([])).toThrow();
  });

  test("ratios pair by pair, of medians, of minima", () => {
    expect(ratios(sides([1, 4, 3], [2, 4, 10]))).toEqual({ ofPairs: [0.5, 1, 0.3], ofMedians: 0.75, ofMinima: 0.5 });
    expect(() => ratios(sides([1], [1, 2]))).toThrow();
  });
});

describe("results", () => {
  test("a ratio is judged by the median of its pairs, memory by its peak", () => {
    const ratio = made(SPEED, { sides: sides([1, 4, 3], [2, 4, 10]) });
    expect(ratio).toMatchObject({
      value: 0.5,
      min: 0.3,
      max: 1,
      ofMedians: 0.75,
      ofMinima: 0.5,
      samples: [0.5, 1, 0.3],
    });
    expect(made(MEMORY, { samples: [150, 201, 140] })).toMatchObject({ value: 201, median: 150 });
  });

  test("targets have a direction", () => {
    const met = (terms: Terms, value: number) => meetsTarget(made(terms, { samples: [value] }));
    expect([met(SPEED, 0.6), met(SPEED, 0.61), met(KERNEL, 0.6), met(KERNEL, 0.59)]).toEqual([
      true,
      false,
      true,
      false,
    ]);
    expect(met({ ...SPEED, target: undefined }, 9)).toBeNull();
  });

  test("a ratio meets its target when that of the minima does, too", () => {
    // The bottom was disturbed in two of three pairs: 0.4, 0.4 and 1, but 1 at its best.
    expect(meetsTarget(made(SPEED, { sides: sides([4, 4, 4], [10, 10, 4]) }))).toBe(false);
    expect(meetsTarget(made(SPEED, { sides: sides([4, 4, 4], [10, 10, 8]) }))).toBe(true);
  });

  test.each([
    [SPEED, 1, 1.14, false],
    [SPEED, 1, 1.16, true],
    [SPEED, 1, 0.5, false],
    [KERNEL, 1, 0.86, false],
    [KERNEL, 1, 0.84, true],
    [KERNEL, 1, 2, false],
  ] as const)("%j from %p to %p", (terms, before, now, regression) => {
    const change = changeFrom(made(terms, { samples: [before] }), made(terms, { samples: [now] }));
    expect(change.regression).toBe(regression);
    expect(change.share).toBeCloseTo(now - before);
  });

  test("times are compared on the same machine only, parts with their like", () => {
    const [start, asym, sym] = [
      made(START, { samples: [10] }),
      made(KERNEL, { part: "asym", samples: [1] }),
      made(KERNEL, { part: "sym", samples: [2] }),
    ];
    const before = kept(start, asym, sym);
    expect(counterpart(start, before, MACHINE)).toBe(start);
    expect(counterpart(start, before, OTHER)).toBeUndefined();
    expect(counterpart(made(KERNEL, { part: "sym", samples: [3] }), before, OTHER)).toBe(sym);
    expect(counterpart(made(SPEED, { samples: [3] }), before, MACHINE)).toBeUndefined();
    expect(counterpart(start, null, MACHINE)).toBeUndefined();
  });

  test("figures that were not measured stay, those of another machine and unknown ones go", () => {
    const order = ["memory", "start", "speed"];
    const before = kept(made(MEMORY, { samples: [1] }), made(START, { samples: [1] }), made(KERNEL, { samples: [1] }));
    const now = kept(made(SPEED, { samples: [2] }), made(START, { samples: [2] }));
    const values = ({ results }: Kept) => results.map(({ figure, value }) => [figure, value]);
    expect(values(merged(before, now, order))).toEqual([
      ["memory", 1],
      ["start", 2],
      ["speed", 2],
    ]);
    expect(values(merged(before, { ...now, machine: OTHER }, order))).toEqual([
      ["start", 2],
      ["speed", 2],
    ]);
    expect(JSON.parse(keptText(now))).toEqual(JSON.parse(JSON.stringify(now)));
  });
});

describe("rows", () => {
  const before = kept(made(SPEED, { samples: [0.5] }), made(KERNEL, { part: "sym", samples: [0.9] }));

  test("value, range, target, what was kept", () => {
    const row = rowOf(made(SPEED, { sides: sides([1, 2, 3], [2, 4, 6]) }), before, MACHINE);
    expect(row).toMatchObject({ missed: false, regression: false });
    expect(row.cells).toEqual(["quantize ÷ cp", "0.50", "0.50", "0.50", "≤ 0.60", "met", "0.50 0 %"]);
    expect(row.detail).toBe("a ÷ b: medians 2.00 s ÷ 4.00 s = 0.50, minima 1.00 s ÷ 2.00 s = 0.50");
    expect(rowOf(made(START, { samples: [12.34] }), before, MACHINE).cells.slice(1, 6)).toEqual([
      "12.3 ms",
      "12.3 ms",
      "12.3 ms",
      "≤ 40 ms",
      "met",
    ]);
  });

  test("a regression is red, a missed target yellow", () => {
    const worse = rowOf(made(SPEED, { samples: [0.59] }), before, MACHINE);
    expect(worse).toMatchObject({ missed: false, regression: true });
    expect(worse.cells.at(-1)).toBe("0.50 +18 %");
    expect(lines(worse, colours)[0]).toStartWith("\x1b[31m");
    expect(lines(rowOf(made(START, { samples: [41] }), before, MACHINE), colours)[0]).toStartWith("\x1b[33m");
    expect(lines(worse, picocolors.createColors(false)).join("")).not.toContain("\x1b");
  });

  test("of many parts: the worst, then those that got worse", () => {
    const part = (name: string, value: number) => made(KERNEL, { part: name, samples: [value] });
    const rows = rowsOf([part("asym", 0.5), part("sym", 0.7), part("minmax", 0.8)], true, before, MACHINE);
    expect(rows.map(({ cells }) => cells[0])).toEqual(["kernel ÷ copy: the worst of 3", "kernel ÷ copy, sym"]);
    expect(rows.map(({ regression }) => regression)).toEqual([false, true]);
    expect(rows[0]!.detail).toStartWith("1 of 3 miss the target; the worst is asym");
  });
});

test("names of figures are unique, and every one is meant by its own name", () => {
  const ids = FIGURES.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of ids) expect(FIGURES.filter((figure) => means(id, figure)).map((figure) => figure.id)).toEqual([id]);
});

test("every kernel's call works, on some layout of less than a mebibyte", () => {
  expect(new Set(KERNELS.map(({ name }) => name)).size).toBe(KERNELS.length);
  const bench = new KernelBench(2 ** 20, { warmUp: 0, least: 0 });
  for (const kernel of KERNELS) {
    const { sides: times, bytes } = bench.measure(kernel, 1);
    expect(times!.top.length).toBe(1);
    expect(bytes).toBeGreaterThan(2 ** 19);
    expect(bytes).toBeLessThanOrEqual(2 ** 20);
  }
});

test("the phase of --timings", () => {
  const text =
    "phase               seconds  share      bytes    GB/s\nstream                0.212   55 %     1.0 GB    4.72\ntotal  0.3";
  expect(phaseSeconds(text, "stream")).toBe(0.212);
  expect(() => phaseSeconds(text, "record")).toThrow();
});

describe("the page", () => {
  const page = readFileSync(join(root, PAGE), "utf8");

  test("shows what is kept", () => {
    const path = join(root, KEPT);
    const file = existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as Kept) : null;
    expect(withFigures(page, file)).toBe(page);
  });

  test("any figures stand between its marks, and replace each other", () => {
    const some = kept(
      made(SPEED, { sides: sides([1, 2], [2, 2]) }),
      made({ ...KERNEL, id: "kernels-1MiB" }, { part: "asym", sides: sides([1.4, 2], [2, 2]), bytes: 1e9 }),
    );
    const written = withFigures(page, some);
    expect(written).toContain(
      "| quantize ÷ cp | 0.75 | 0.50–1.00 | 0.75, 0.50 | ≤ 0.60 | **missed** | abc1234, 2026-01-01 |",
    );
    expect(written).toContain("| asym | 0.85 | 0.5 GB/s |");
    expect(withFigures(written, null)).toBe(withFigures(page, null));
    expect(() => withFigures("no marks", null)).toThrow();
  });
});
