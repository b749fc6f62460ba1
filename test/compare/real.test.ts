/** The five real models with their data: quantized by the executable, compared with the float ones. Needs ../shared. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { shared } from "../calibration/support.ts";
import { folder, succeeded } from "../cli/support.ts";

setDefaultTimeout(120_000);

const MODELS = {
  face_detection_short_range: "face_128.npz",
  hand_landmark_lite: "hand_224.npz",
  iris_landmark: "iris_64.npz",
  pose_detection: "pose_224.npz",
  selfie_segmentation: "selfie_256.npy",
};

for (const [name, samples] of Object.entries(MODELS)) {
  const model = shared(`models/${name}.tflite`);
  const data = shared(`calibration/${samples}`);
  test.skipIf(!model || !data)(name, async () => {
    const cwd = folder();
    const outputs: Record<string, { name: string; metrics: { sqnr: number; notFinite: number } }[]> = {};
    for (const dtype of ["uint8", "int16"]) {
      await succeeded(["quantize", model!, "--data", data!, "--dtype", dtype, "-o", "q.circle", "--force"], { cwd });
      const { out } = await succeeded(["compare", model!, "q.circle", "--data", data!, "--json", "--layers"], { cwd });
      const facts = JSON.parse(out);
      outputs[dtype] = facts.outputs;
      for (const { metrics } of [...facts.outputs, ...facts.layers]) expect(metrics.notFinite).toBe(0);
      // Nearly all of the float model's tensors are found again: what is missing was fused away by the preparing passes.
      expect(facts.layers.length).toBeGreaterThan(facts.notCompared.length);
    }
    for (const [i, { metrics }] of outputs.int16!.entries()) {
      const byte = outputs.uint8![i]!.metrics;
      // uint8 is at worst (hand_landmark's near-zero flag) still nearer to the float output than zeros are (0 dB).
      expect(byte.sqnr).toBeGreaterThan(0);
      // One rounding to int16 alone gives 90 dB or more; the percentile ranges clip 1 % of the samples' extremes, which leaves 44 to 68 here.
      expect(metrics.sqnr).toBeGreaterThan(40);
      // 8 bits more are 48 dB where rounding alone makes the error; clipping is the same for both and takes some: 32 to 49 here.
      expect(metrics.sqnr - byte.sqnr).toBeGreaterThan(25);
    }
  });
}
