/** What docs/accuracy.md has rows and columns for. */

export interface MeasuredModel {
  readonly name: string;
  readonly file: string;
  /** How pictures become its numbers, where its metadata do not say. */
  readonly options: readonly string[];
}

export const MODELS: readonly MeasuredModel[] = [
  { name: "face", file: "face_detection_short_range.tflite", options: [] },
  { name: "iris", file: "iris_landmark.tflite", options: ["--scale", "0..1"] },
  { name: "hand", file: "hand_landmark_lite.tflite", options: [] },
  { name: "pose", file: "pose_detection.tflite", options: [] },
  { name: "selfie", file: "selfie_segmentation.tflite", options: [] },
];

export interface MeasuredScheme {
  readonly name: string;
  readonly ending: "tflite" | "circle";
  /** By how many dB `best` should be above compat, on average over outputs; of a group's rows together. */
  readonly group: "8 bits" | "int16" | "int16x8";
}

export const SCHEMES: readonly MeasuredScheme[] = [
  { name: "uint8", ending: "circle", group: "8 bits" },
  { name: "int8", ending: "tflite", group: "8 bits" },
  { name: "int16", ending: "circle", group: "int16" },
  { name: "int16x8", ending: "tflite", group: "int16x8" },
];

/** What the levels of --accuracy may cost, in times of plain recording. */
export const LEVELS = [
  { name: "compat", most: 1 },
  { name: "good", most: 1.3 },
  { name: "best", most: 8 },
] as const;

export const GAINS = { "8 bits": 3, int16: undefined, int16x8: 5 } as const;

/** No output may be further below compat, in dB. */
export const MOST_LOSS = 0.5;

/** The output that is hardest: of hand, the fourth in int8. */
export const HARD = { model: "hand", scheme: "int8", output: 3, least: 12 } as const;

/** The level of --accuracy that `tune` and the cuts beside it have. */
export const TUNE_LEVEL = "good";

/** Percent of int16 that `tune` may use. */
export const SHARES = [10, 20, 30] as const;
