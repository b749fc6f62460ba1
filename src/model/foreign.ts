/** THE OTHER FORMATS: what people give by mistake, how it is known, and what makes a .circle or .tflite of it. */
import { existsSync, statSync } from "node:fs";
import { extname, join } from "node:path";

const ascii = (text: string) => [...text].map((letter) => letter.charCodeAt(0));

interface Format {
  /** Behind "is" or "it looks like". */
  readonly what: string;
  /** What to do; absent where `what` says it. FILE stands for the path. */
  readonly remedy?: string;
  /** First bytes, from `at` on; several kinds begin alike, so the ending counts, too, where one is named. */
  readonly bytes?: readonly number[];
  readonly at?: number;
  readonly endings?: readonly string[];
}

const KERAS =
  "make a .tflite of it with 'tflite_convert --keras_model_file=FILE --output_file=model.tflite' (TensorFlow)";
const SAVED_MODEL =
  "make a .tflite of it with 'tflite_convert --saved_model_dir=FILE --output_file=model.tflite' (TensorFlow)";
const ZIP = ascii("PK\x03\x04");

/** The first that fits counts: contents with an ending before contents alone, endings alone last. */
const FORMATS: readonly Format[] = [
  {
    bytes: ZIP,
    endings: [".pt", ".pth", ".pt2"],
    what: "a PyTorch model (a zip)",
    remedy: "export it in Python: litert_torch.convert(model, inputs).export('model.tflite')",
  },
  { bytes: ZIP, endings: [".keras"], what: "a Keras model (a zip)", remedy: KERAS },
  { bytes: ZIP, endings: [".npz"], what: "NumPy samples (.npz, a zip)", remedy: "give them behind --data" },
  {
    bytes: ZIP,
    endings: [".task"],
    what: "a MediaPipe bundle (a zip)",
    remedy: "unpack it ('unzip FILE') and give the .tflite in it",
  },
  { bytes: ZIP, what: "a zip archive (.keras, .npz, .task and PyTorch files are zips too)" },
  {
    bytes: [0x89, ...ascii("HDF\r\n")],
    what: "an HDF5 file (Keras .h5 model or calibration data)",
    remedy: `give samples behind --data; of a Keras model ${KERAS}`,
  },
  { bytes: ascii("GGUF"), what: "a GGUF file", remedy: "give the model as .tflite" },
  { bytes: [0x93, ...ascii("NUMPY")], what: "NumPy samples (.npy)", remedy: "give them behind --data" },
  { bytes: [0x1f, 0x8b], what: "a gzip file", remedy: "unpack it" },
  { bytes: ascii("version https://git-lfs"), what: "a Git LFS pointer", remedy: "run 'git lfs pull'" },
  { bytes: ascii("<"), what: "a web page or XML, perhaps a failed download" },
  { bytes: ascii("{"), what: "a JSON file (safetensors index, report or configuration)" },
  { bytes: ascii("CIR0"), at: 8, what: "a size-prefixed circle model", remedy: "remove its first 4 bytes" },
  { bytes: ascii("TFL3"), at: 8, what: "a size-prefixed TFLite model", remedy: "remove its first 4 bytes" },
  // ONNX begins with field 1 (ir_version), a SavedModel's .pb with field 1 (schema version 1) and field 2.
  {
    bytes: [0x08, 0x01, 0x12],
    what: "a TensorFlow SavedModel (saved_model.pb)",
    remedy: SAVED_MODEL.replace("FILE", "FOLDER"),
  },
  {
    bytes: [0x08],
    what: "an ONNX model",
    remedy: "make a .tflite of it with 'onnx2tf -i FILE', or a .circle with ONE's 'one-import-onnx'",
  },
  {
    endings: [".pb"],
    what: "a TensorFlow graph",
    remedy:
      "make a .tflite of it with 'tflite_convert --enable_v1_converter --graph_def_file=FILE --input_arrays=… --output_arrays=… --output_file=model.tflite' (TensorFlow)",
  },
  {
    endings: [".pt", ".pth"],
    what: "a PyTorch model",
    remedy: "export it in Python: litert_torch.convert(model, inputs).export('model.tflite')",
  },
];

/** What a file is, by its first bytes and its ending: `an ONNX model; make a .tflite of it with …`. Undefined where nothing is known. */
export function foreignFormat(path: string, head: Uint8Array): string | undefined {
  const ending = extname(path).toLowerCase();
  const format = FORMATS.find(
    ({ bytes, at = 0, endings }) =>
      (!bytes || bytes.every((byte, i) => head[at + i] === byte)) && (!endings || endings.includes(ending)),
  );
  return format && textOf(format, path);
}

/** The same of a folder that is given as a model. */
export function foreignFolder(path: string): string | undefined {
  try {
    if (!statSync(path).isDirectory()) return undefined;
  } catch {
    return undefined;
  }
  if (existsSync(join(path, "saved_model.pb")))
    return textOf({ what: "a TensorFlow SavedModel", remedy: SAVED_MODEL }, path);
  return undefined;
}

function textOf({ what, remedy }: Format, path: string): string {
  return remedy === undefined ? what : `${what}; ${remedy.replace("FILE", path)}`;
}

/** Endings of model formats that are not written, and what they are called. */
const UNWRITTEN: Readonly<Record<string, string>> = {
  ".onnx": "ONNX",
  ".pt": "PyTorch",
  ".pth": "PyTorch",
  ".h5": "Keras or HDF5",
  ".keras": "Keras",
  ".pb": "TensorFlow",
  ".mlmodel": "Core ML",
  ".gguf": "GGUF",
  ".safetensors": "safetensors",
};

/** The format of another tool that an output's ending promises; undefined where it promises none. */
export function promisedFormat(path: string): string | undefined {
  const ending = extname(path).toLowerCase();
  return Object.hasOwn(UNWRITTEN, ending) ? UNWRITTEN[ending] : undefined;
}
