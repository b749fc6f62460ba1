/** Every file of ../shared/cases has a test that names it: a folder or file that is new there fails here until it has one. */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { CASES, PRESENT } from "./support.ts";

const TESTS = resolve(import.meta.dir, "..");

/** By folder and file: the test that has it. */
const COVERED: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "01-compare-hides-concat-rounding": {
    "concat_coarse.npz": "cases/truth.test.ts",
    "concat_coarse.tflite": "cases/truth.test.ts",
    "yolo_head.npz": "cases/truth.test.ts",
    "yolo_head.tflite": "cases/truth.test.ts",
  },
  "02-resource-variables-random-ranges": {
    "resvar.npz": "calibration/stepwise.test.ts",
    "resvar.tflite": "cli/run-time-cases.test.ts",
  },
  "03-metadata-associated-files-lost": { "meta.tflite": "cases/commands.test.ts" },
  "04-keras3-rnn-return-sequences-cannot-run": {
    "keras_gru_seq.tflite": "cli/run-time-cases.test.ts",
    "lstm.tflite": "cli/run-time-cases.test.ts",
  },
  "05-attention-masks": {
    "aeq_padv2_inf_max_pool_2d.tflite": "cli/masks.test.ts",
    "attn_m1e9.tflite": "cli/masks.test.ts",
    "causal_m1e9.tflite": "cli/masks.test.ts",
    "causal_mbf16.tflite": "cli/masks.test.ts",
    "causal_mfmax.tflite": "cli/masks.test.ts",
    "selmask_minf.tflite": "cli/masks.test.ts",
  },
  "06-dynamic-height-width-length": {
    "dyn_hw.tflite": "cases/commands.test.ts",
    "dyn_same.tflite": "cases/commands.test.ts",
    "hw16.npy": "cases/commands.test.ts",
  },
  "07-data-dependent-shapes": {
    "nms.tflite": "cli/run-time-cases.test.ts",
    "where_static.tflite": "cli/run-time-cases.test.ts",
    "whr.tflite": "cli/run-time-cases.test.ts",
  },
  "08-partly-quantized-models": {
    "aeq_insert_dequant_test.tflite": "cli/partly-quantized.test.ts",
    "aeq_partly_quantized_mnist.tflite": "cli/partly-quantized.test.ts",
    "int8floatio.tflite": "cli/partly-quantized.test.ts",
  },
  "09-verified-but-verify-fails": { "dynrange.tflite": "cli/partly-quantized.test.ts" },
  "10-uninitialized-variables": { "uninit_vars_base.tflite": "cli/run-time-cases.test.ts" },
  "11-random-uniform": { "random_op.tflite": "cli/run-time-cases.test.ts" },
  "12-small-ranges-silent": { "small_act.npz": "cases/truth.test.ts", "small_act.tflite": "cases/truth.test.ts" },
  "13-zero-size-output": { "zerodim.tflite": "cli/run-time-cases.test.ts" },
  "14-signature-input-names": { "base.tflite": "cases/commands.test.ts", "sig.npz": "cases/commands.test.ts" },
  "15-compare-hint-for-uint8-input": {
    "u8io_float.npz": "cases/commands.test.ts",
    "u8io_float.tflite": "cases/commands.test.ts",
  },
  "16-flex-error-text": { "flexop.tflite": "cli/run-time-cases.test.ts" },
  "20-blockwise-scales-lost": { "fc_blockwise_int4.tflite": "cases/commands.test.ts" },
  "21-uint8-weights-with-int8-bytes": { "segmentation_weights_only.tflite": "cases/commands.test.ts" },
  "22-axis-beyond-rank": { "person_detect.tflite": "cases/truth.test.ts" },
  "23-fake-quantize-variables": { "streaming_vad.tflite": "cli/partly-quantized.test.ts" },
  "24-fake-quantize-unpack": { "movenet_ptq.tflite": "cases/commands.test.ts" },
  "25-verified-then-not": { "weights_only_lstm.tflite": "cli/partly-quantized.test.ts" },
  "26-requantize-int16x8": { "conv_int16x8.tflite": "cases/commands.test.ts" },
  "27-requantized-does-not-verify": { "mnist_int8.tflite": "cli/partly-quantized.test.ts" },
  "28-sizes-known-at-run-time": {
    "dilated_conv.tflite": "cli/run-time-cases.test.ts",
    "topk_runtime_k.tflite": "cli/run-time-cases.test.ts",
    "while_dynamic.tflite": "cli/run-time-cases.test.ts",
  },
  "29-input-size": { "melspectrogram.tflite": "cases/commands.test.ts" },
  "30-infinite-mask": { "conformer.tflite": "cli/masks.test.ts" },
  "31-rope-island": { "rope.tflite": "cli/partly-quantized.test.ts" },
  "32-litert-ignores-scales": {
    "average_pool.tflite": "cases/truth.test.ts",
    "keyword_spotting.tflite": "cases/truth.test.ts",
    "resize_bilinear.tflite": "cases/truth.test.ts",
  },
};

test("a test that is said to have a file names it", () => {
  const missing = Object.values(COVERED).flatMap((files) =>
    Object.entries(files).flatMap(([file, path]) => {
      const text = readFileSync(join(TESTS, path), "utf8");
      const stem = file.replace(/\.\w+$/, "");
      // Alone or behind its folder, and not a part of another word.
      return new RegExp(`["/\`]${stem}(\\.\\w+)?["\`/:,]`).test(text) ? [] : [`${path} does not name ${file}`];
    }),
  );
  expect(missing).toEqual([]);
});

test.if(PRESENT)("every folder and file has its test", () => {
  const there = readdirSync(CASES).filter((name) => statSync(join(CASES, name)).isDirectory());
  const listed = Object.fromEntries(there.map((name) => [name, readdirSync(join(CASES, name)).sort()]));
  expect(Object.fromEntries(Object.entries(COVERED).map(([name, files]) => [name, Object.keys(files).sort()]))).toEqual(
    listed,
  );
});
