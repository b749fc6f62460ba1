/** A forecast is held to the run that it foretells: size, reasons to stay float, errors. */
import { describe, expect, test } from "bun:test";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { type Entry, optionsOf } from "../../src/batch/job.ts";
import { SILENT } from "../../src/driver/io.ts";
import { forecastBy, quantizeBy } from "../../src/options/quantize.ts";
import { convolution, RECORDED, withoutRules, write } from "../cli/models.ts";
import { cleanUpAfterwards, folder, REAL } from "../cli/support.ts";

cleanUpAfterwards();

const settings: Entry[] = [
  { data: "random:2", scheme: "int8" },
  { data: "random:2", scheme: "int16x8" },
  { data: "random:2", scheme: "int8", granularity: "layer" },
  { data: "random:2", scheme: "uint8" },
  { data: "random:2", scheme: "int16" },
  { data: "random:2", scheme: "int8", "input-dtype": "float32", layer: ["kind:ADD=float32"] },
  { scheme: "dynamic-int8" },
  { scheme: "dynamic-int4", block: 32 },
  { scheme: "weights-int4" },
  { scheme: "weights-float16" },
];

describe("a forecast", () => {
  for (const each of settings)
    test(`of ${JSON.stringify(each)}`, async () => {
      const cwd = folder();
      const litert = !["uint8", "int16"].includes(String(each.scheme));
      const output = join(cwd, litert ? "q.tflite" : "q.circle");
      const options = optionsOf({ model: REAL, output, ...each });
      const told = await forecastBy(REAL, options, SILENT);
      expect(readdirSync(cwd)).toEqual([]);
      const report = await quantizeBy(REAL, options, SILENT);
      const size = statSync(output).size;
      expect(told.bytes[0]).toBe(statSync(REAL).size);
      expect(Math.abs(told.bytes[1] - size) / size).toBeLessThan(0.005);
      const float = ({ notes }: Pick<typeof told, "notes">) => notes.filter(({ kind }) => kind === "float");
      expect(float(told)).toEqual(float(report));
      expect([told.ranges, told.samples]).toEqual(each.data ? ["samples", 2] : ["none", undefined]);
    });

  test("of a model with ranges, which needs no samples", async () => {
    const cwd = folder();
    const model = join(cwd, "m.circle");
    await write(convolution(RECORDED), model);
    const options = optionsOf({ model, output: join(cwd, "q.circle") });
    const told = await forecastBy(model, options, SILENT);
    await quantizeBy(model, options, SILENT);
    expect(told).toMatchObject({ ranges: "file", bytes: [statSync(model).size, statSync(join(cwd, "q.circle")).size] });
  });

  test("is the error that the run would be", async () => {
    const cwd = folder();
    const [plain, odd] = ["plain", "odd"].map((name) => join(cwd, `${name}.circle`));
    await write(convolution(), plain!);
    await write(withoutRules(), odd!);
    const cases: Entry[] = [
      { model: plain! },
      { model: odd!, strict: true },
      { model: plain!, data: join(cwd, "nosuch.npz") },
      { model: plain!, data: "random", layer: ["nosuch=int16"] },
      { model: plain!, data: "random", "input-dtype": ["uint8", "uint8"] },
      { model: join(cwd, "nosuch.circle"), data: "random" },
    ];
    for (const each of cases) {
      const options = optionsOf({ output: join(cwd, "q.circle"), ...each });
      const failing = async (work: typeof quantizeBy | typeof forecastBy) => {
        try {
          await work(String(each.model), options, SILENT);
        } catch (error) {
          return String(error);
        }
        return "none";
      };
      const expected = await failing(quantizeBy);
      expect(expected).toMatch(/Error: /);
      expect(await failing(forecastBy)).toBe(expected);
    }
  });
});
