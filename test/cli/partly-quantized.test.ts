/** Quantized and partly quantized models of ../shared/cases by the executable: quantize and verify say the same of a file. */
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { cleanUpAfterwards, folder, refused, succeeded } from "./support.ts";

const CASES = resolve(import.meta.dir, "../../../shared/cases");
cleanUpAfterwards();

/** A file of a case's folder. */
function caseFile(number: string, name: string): string {
  const found = readdirSync(CASES).find((each) => each.startsWith(`${number}-`))!;
  return join(CASES, found, name);
}

/** SQNR in dB of the worst output. */
async function sqnr(float: string, quantized: string, cwd: string): Promise<number> {
  const { out } = await succeeded(["compare", float, quantized, "--data", "random:4", "--json"], { cwd });
  const { outputs } = JSON.parse(out) as { outputs: { metrics: { sqnr: number } }[] };
  return Math.min(...outputs.map((each) => each.metrics.sqnr));
}

if (existsSync(CASES)) {
  const cwd = folder();
  const quantize = (path: string) => ["quantize", path, "--data", "random:4", "-o", "q.circle", "--force"];

  describe("08: partly quantized", () => {
    test.each(["int8floatio", "aeq_insert_dequant_test"])("%s is wholly quantized: one line", async (name) => {
      const { err } = await refused(
        quantize(caseFile("08", `${name}.tflite`)),
        { cwd: folder() },
        1,
        "quantized already",
      );
      expect(err.trim().split("\n").length).toBe(1);
    });

    test("aeq_partly_quantized_mnist: the int8 layer stays, the rest is quantized", async () => {
      const path = caseFile("08", "aeq_partly_quantized_mnist.tflite");
      const { out } = await succeeded(quantize(path), { cwd });
      expect(out).toContain("quantized already, stays as it is (3):");
      await succeeded(["verify", "q.circle"], { cwd });
      expect(await sqnr(path, "q.circle", cwd)).toBeGreaterThan(35);
    });
  });

  describe("09, 25: verified, and verify agrees", () => {
    test.each([
      ["09", "dynrange", 30],
      ["25", "weights_only_lstm", 20],
    ])("%s %s", async (number, name, decibels) => {
      const path = caseFile(number as string, `${name}.tflite`);
      const { out } = await succeeded(quantize(path), { cwd });
      expect(out).toContain("dequantized weights of");
      expect(out).not.toContain("stays float");
      await succeeded(["verify", "q.circle"], { cwd });
      expect(await sqnr(path, "q.circle", cwd)).toBeGreaterThan(decibels as number);
      const kept = await succeeded([...quantize(path), "--no-prepare", "all"], { cwd });
      expect(kept.out).toContain("is INT8 already");
      await succeeded(["verify", "q.circle"], { cwd });
    });
  });

  test("31: what lies between float operators stays float", async () => {
    const path = caseFile("31", "rope.tflite");
    const { out } = await succeeded(quantize(path), { cwd });
    expect(out).toMatch(/DIV ".*": lies between operators that stay float/);
    await succeeded(["verify", "q.circle"], { cwd });
    expect(await sqnr(path, "q.circle", cwd)).toBeGreaterThan(35);
    // Float ends are no reason to leave the rest float.
    await succeeded([...quantize(path), "--input-dtype", "float32", "--output-dtype", "float32"], { cwd });
    const verified = await succeeded(["verify", "q.circle", "--json"], { cwd });
    expect(JSON.parse(verified.out).quantized).toBeGreaterThan(8);
  });

  test("23: a quantized streaming model with variables", async () => {
    const path = caseFile("23", "streaming_vad.tflite");
    await refused(quantize(path), { cwd: folder() }, 1, "is quantized already (int8 of LiteRT's scheme");
    await succeeded(["fake-quantize", path, "-o", "fq.tflite"], { cwd });
    // ai-edge-litert gives the same bits for both on three records in a row.
    const { out } = await succeeded(["compare", "fq.tflite", path, "--data", "random:2", "--json"], { cwd });
    for (const { metrics } of JSON.parse(out).outputs) expect(metrics.mae).toBe(0);
  });

  test("27: both families are sound, and said", async () => {
    const path = caseFile("27", "mnist_int8.tflite");
    await succeeded(["requantize", path, "-o", "r.circle"], { cwd });
    const { out } = await succeeded(["verify", "r.circle"], { cwd });
    expect(out).toContain("verified, uint8 of LiteRT's scheme");
    expect((await succeeded(["verify", path], { cwd })).out).toContain("verified, int8 of LiteRT's scheme");
  });
} else {
  console.log("../shared/cases is not there: the tests on its models are skipped");
  test.skip("cases", () => {});
}
