/**
 * What the reference made of some 4,000 models' cases, bit for bit (../shared/goldens).
 *
 *     MINMAXQ_GOLDEN_REPORT=/tmp/mismatches.txt bun test test/goldens    also lists every mismatch in a file
 */
import { afterAll, afterEach, beforeEach, describe, expect, type Mock, spyOn, test } from "bun:test";
import { appendFileSync, existsSync, writeFileSync } from "node:fs";
import { join, normalize } from "node:path";
import { runCircleQuantizer } from "../../src/drop-in/circle-quantizer.ts";
import { GOLDENS, goldensOf, runGolden, titleOf } from "../helpers/goldens.ts";

const GROUPS = ["recipes", "dredd", "onnx", "random", "real"];

/** Where ours is right and the reference is not: the case, and why. Nothing else is compared less strictly. */
const REFERENCE_WRONG: Readonly<Record<string, string>> = {
  "random/g00088 copy-then-u8":
    "a bias that overflows INT32 is set to the nearer limit, the reference stores INT32_MIN (reference text, 10.15)",
};

/** How many mismatches a failing test lists. */
const SHOWN = 20;
const TIMEOUT = 180_000;
const report = process.env.MINMAXQ_GOLDEN_REPORT;
const totals = { equal: 0, refused: 0, accepted: 0, wrong: 0 };

let warnings: Mock<typeof console.error>;
// Warnings of thousands of cases would bury everything else.
beforeEach(() => {
  warnings = spyOn(console, "error").mockImplementation(() => {});
});
afterEach(() => {
  warnings.mockRestore();
});

if (existsSync(GOLDENS)) {
  if (report) writeFileSync(report, "");
  for (const group of GROUPS) defineGroup(group);
  afterAll(() => {
    const { equal, refused, accepted, wrong } = totals;
    const refusals = `of those the reference refuses ${refused} refused, ${accepted} accepted`;
    console.log(`goldens: ${equal} equal, ${wrong} wrong; ${refusals}`);
  });
} else {
  console.log(`${normalize(join(GOLDENS, "."))} is not there: golden tests skipped`);
  for (const group of GROUPS) test.skip(`goldens ${group}`, () => {});
}

function defineGroup(group: string): void {
  describe(`goldens ${group}`, () => {
    for (const [kind, goldens] of goldensOf(group)) {
      const expected = goldens.filter((golden) => golden.expected !== undefined).length;
      const also = goldens.length > expected ? `, ${goldens.length - expected} that the reference refuses` : "";
      const name = `${kind}: ${expected} ${expected === 1 ? "case" : "cases"}${also}`;
      test(
        name,
        async () => {
          const wrong: string[] = [];
          for (const golden of goldens) {
            const { verdict, lines } = await runGolden(golden, runCircleQuantizer);
            if (`${group}/${titleOf(golden)}` in REFERENCE_WRONG) {
              // An entry that is no longer needed is a mistake of its own.
              if (verdict !== "wrong") wrong.push(`${titleOf(golden)}: is ${verdict}; remove it from REFERENCE_WRONG`);
              continue;
            }
            totals[verdict]++;
            if (verdict !== "wrong") continue;
            wrong.push(`${titleOf(golden)}: ${lines.slice(0, 3).join(" | ")}${lines.length > 3 ? " | …" : ""}`);
            if (report)
              appendFileSync(report, `${group}/${titleOf(golden)}\n${lines.map((l) => `    ${l}\n`).join("")}`);
          }
          const more = wrong.length > SHOWN ? [`… and ${wrong.length - SHOWN} more`] : [];
          expect([...wrong.slice(0, SHOWN), ...more]).toEqual([]);
        },
        TIMEOUT,
      );
    }
  });
}
