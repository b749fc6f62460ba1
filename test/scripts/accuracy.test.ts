/** What scripts/write-accuracy.ts keeps of a run that was stopped, and what its page says of rows. Nothing is measured here. */
import { expect, test } from "bun:test";
import { appendFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import { Journal } from "../../scripts/accuracy/journal.ts";
import { pageOf } from "../../scripts/accuracy/page.ts";
import type { Figures } from "../../scripts/accuracy/results.ts";
import { cleanUpAfterwards, folder } from "../cli/support.ts";

cleanUpAfterwards();

const measured = () => ({ dB: 12.5 });
const never = (): { dB: number } => {
  throw new Error("is measured twice");
};

test("a run that was stopped goes on behind its rows, whole ones alone", () => {
  const at = join(folder(), "rows");
  expect(new Journal(at, "v1").once("face 10", measured)).toEqual({ dB: 12.5 });
  appendFileSync(join(at, "rows.jsonl"), '["iris 10", {"dB"');
  const again = new Journal(at, "v1");
  expect(again.size).toBe(1);
  expect(again.once("face 10", never)).toEqual({ dB: 12.5 });
  again.remove();
  expect(existsSync(at)).toBe(false);
});

test("rows of another executable are not used", () => {
  const at = join(folder(), "rows");
  new Journal(at, "v1").once("face 10", measured);
  expect(new Journal(at, "v2").size).toBe(0);
});

test("rows of tune say by how much the better cut is left behind, on average over outputs", () => {
  const row = (sqnr: number[], front: number[], back: number[]) => ({
    ...{ model: "face", percent: 10, share: 0.09, sqnr, seconds: 7.4 },
    ...{ front: { share: 0.08, sqnr: front }, back: { share: 0.1, sqnr: back } },
  });
  const cell = (level: string) => ({ model: "hand", scheme: "int8", level, sqnr: [1, 2, 3, 4], seconds: 1, notes: [] });
  const figures: Figures = {
    machine: { cpu: "abacus", cores: 2, memory: 16, system: "Linux", fileSystem: "ext4", bun: "1" },
    load: [0, 0],
    date: "2026-01-01",
    rows: ["compat", "good", "best"].map(cell),
    tuned: [row([20, 10], [11, 13], [18, 6]), row([10, 10], [11, 11], [0, 0])],
  };
  const lines = pageOf(figures).split("\n");
  expect(lines).toContain("| face | 10 % | 9.0 % | 20.0, 10.0 | 8.0 % | 11.0, 13.0 | 10.0 % | 18.0, 6.0 | +3.0 | 7 |");
  expect(lines).toContain("| face | 10 % | 9.0 % | 10.0, 10.0 | 8.0 % | 11.0, 11.0 | 10.0 % | 0.0, 0.0 | −1.0 | 7 |");
  expect(pageOf(figures)).toContain("In 1 of 2 rows");
});
