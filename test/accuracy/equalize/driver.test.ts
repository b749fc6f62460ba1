/** `--equalize` through the driver: notes, provenance, the same bytes on any number of workers, and none of it without the option. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ACCURACY_LEVELS } from "../../../src/accuracy/settings.ts";
import { quantize } from "../../../src/driver/quantize.ts";
import { serializeModel } from "../../../src/model/index.ts";
import { DEFAULT_SCHEME, SCHEMES } from "../../../src/rules/schemes.ts";
import { everyRole } from "./models.ts";

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "equalize-"));
  writeFileSync(join(folder, "m.tflite"), await serializeModel(everyRole(), { dialect: "tflite" }));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function run(name: string, equalize: boolean, scheme: keyof typeof SCHEMES, workers = 1, count = 8) {
  const output = join(folder, name);
  const report = await quantize({
    model: join(folder, "m.tflite"),
    output,
    ...(equalize && { accuracy: { ...ACCURACY_LEVELS.compat, equalize } }),
    options: { ...DEFAULT_SCHEME, scheme: SCHEMES[scheme] },
    samples: {
      sources: [{ location: `random:${count}` }],
      reduction: { kind: "minmax" },
      workers,
    },
  });
  const changes = report.subgraphs[0]!.tensors.flatMap((tensor) => tensor.changes ?? []);
  return { report, changes, bytes: readFileSync(output), codes: report.notes.map(({ code }) => code) };
}

test("says what it did, of the model and of each tensor", async () => {
  const { changes, codes, report } = await run("said.tflite", true, "int8", 1, 3);
  expect(codes).toContain("equalized");
  expect(changes.length).toBeGreaterThan(10);
  for (const change of changes) expect(change.because).toStartWith("equalized ×");
  expect(report.notes.find(({ code }) => code === "equalized")!.text).toContain("4 samples or more");
}, 60_000);

test("gives the same bytes on any number of workers", async () => {
  const [one, two] = [await run("one.tflite", true, "int8", 1), await run("two.tflite", true, "int8", 2)];
  expect(one.bytes.equals(two.bytes)).toBe(true);
  expect(one.report.notes).toEqual(two.report.notes);
}, 60_000);

test.each(["uint8", "int16"] as const)(
  "works with %s in a .circle file",
  async (scheme) => {
    const { codes } = await run(`${scheme}.circle`, true, scheme);
    expect(codes).toContain("equalized");
  },
  60_000,
);

test("does nothing without being asked", async () => {
  const { changes, codes } = await run("plain.tflite", false, "int8");
  expect(changes).toEqual([]);
  expect(codes).not.toContain("equalized");
}, 60_000);
