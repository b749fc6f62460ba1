/** Further commands of the README of ../shared/cases, as a person types them. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { openModel } from "../../src/model/index.ts";
import { cleanUpAfterwards, folder, refused, shell, succeeded } from "../cli/support.ts";
import { caseFile, compared, PRESENT, samples } from "./support.ts";

cleanUpAfterwards();

describe.if(PRESENT)("commands", () => {
  test("03: the archive behind the model is kept, byte for byte, by every command that writes", async () => {
    const cwd = folder();
    const model = caseFile("03", "meta.tflite");
    const archive = async (path: string) => {
      const opened = openModel(path);
      const { archive } = opened;
      opened.close();
      const bytes = new Uint8Array(await Bun.file(path).arrayBuffer());
      return [...bytes.slice(bytes.length - Number(archive!.length))];
    };
    const wanted = await archive(model);
    for (const [command, more] of [
      ["convert", []],
      ["quantize-weights", []],
      ["quantize", ["--data", "random:2"]],
      ["record", ["--data", "random:2"]],
    ] as const) {
      await succeeded([command, model, ...more, "-o", `${command}.tflite`], { cwd });
      expect(await archive(join(cwd, `${command}.tflite`))).toEqual(wanted);
      // python's zipfile is no code of ours.
      const listed = await shell(`python3 -m zipfile -l ${command}.tflite`, { cwd });
      if (listed.code === 0) expect(listed.out).toMatch(/labels\.txt[\s\S]*meta\.json/);
    }
  });

  test.each([
    ["06", "dyn_hw", "hw16.npy", 30],
    ["14", "base", "sig.npz", 30],
    ["15", "u8io_float", "u8io_float.npz", 30],
  ] as const)("%s: %s takes its data in quantize and compare", async (number, name, data, least) => {
    const cwd = folder();
    const [model, given] = [caseFile(number, `${name}.tflite`), caseFile(number, data)];
    await succeeded(["quantize", model, "--data", given, "-o", "q.circle"], { cwd });
    expect(Math.min(...(await compared(model, "q.circle", given, cwd)).sqnr)).toBeGreaterThan(least);
  });

  test("06: made-up samples for sizes that are open are warned of", async () => {
    const cwd = folder();
    const model = caseFile("06", "dyn_same.tflite");
    const { out } = await succeeded(["quantize", model, "--data", "random:8", "-o", "q.circle"], { cwd });
    expect(out).toContain('input "keras_tensor_4": [1, ?, ?, 3] has sizes that the model leaves open');
    const sized = ["--input-shape", "keras_tensor_4=1,32,32,3", "-o", "s.circle"];
    const known = await succeeded(["quantize", model, "--data", "random:8", ...sized], { cwd });
    expect(known.out).not.toContain("leaves open");
    const data = await samples(cwd, [4, 32, 32, 3]);
    // 0.1 dB with ranges of 1×1 pictures.
    expect((await compared(model, "s.circle", data, cwd)).sqnr[0]!).toBeGreaterThan(20);
  });

  test("29: the size of the samples is the input's", async () => {
    const cwd = folder();
    const model = caseFile("29", "melspectrogram.tflite");
    const data = await samples(cwd, [4, 1, 1280]);
    await succeeded(["quantize", model, "--data", data, "-o", "q.circle"], { cwd });
    expect((await compared(model, "q.circle", data, cwd)).sqnr[0]!).toBeGreaterThan(30);
  });

  test("20: block-wise weights stay with their scales, and LiteRT runs the file", async () => {
    const cwd = folder();
    const model = caseFile("20", "fc_blockwise_int4.tflite");
    const { out } = await succeeded(["quantize", model, "--data", "random:4", "-o", "q.tflite"], { cwd });
    expect(out).toContain("runs in LiteRT");
    expect(await compared(model, "q.tflite", "random:4", cwd)).toEqual({ ran: "as it is", sqnr: [Infinity] });
  });

  test("21: uint8 weights whose bytes are int8 are compared as LiteRT runs them", async () => {
    const model = caseFile("21", "segmentation_weights_only.tflite");
    const { ran, sqnr } = await compared(model, model, "random:4", folder());
    // LiteRT rounds activations, too; read as uint8 the two would have nothing in common (0 dB).
    expect(ran).toBe("as it is");
    expect(sqnr[0]!).toBeGreaterThan(10);
  });

  test("24: what is left of a quantized model with PACK and UNPACK runs", async () => {
    const cwd = folder();
    const model = caseFile("24", "movenet_ptq.tflite");
    await succeeded(["fake-quantize", model, "-o", "fq.tflite"], { cwd });
    await succeeded(["check", "fq.tflite", "--target", "litert"], { cwd });
    expect((await compared("fq.tflite", model, "random:2", cwd)).ran).toBe("as it is");
  });

  test("26: nothing of a 16x8 model belongs to int8 activations; its fake-quantized model is what LiteRT computes", async () => {
    const cwd = folder();
    const model = caseFile("26", "conv_int16x8.tflite");
    await refused(["requantize", model, "-o", "r.tflite"], { cwd: folder() }, 1, "has no int8 activations");
    await succeeded(["fake-quantize", model, "-o", "fq.tflite"], { cwd });
    const { ran, sqnr } = await compared("fq.tflite", model, "random:4", cwd);
    expect(ran).toBe("as it is");
    expect(sqnr[0]!).toBeGreaterThan(70);
  });
});
