/** Says what a file is that is not a model. */
import { FileError } from "../base/errors.ts";
import type { ByteSource } from "./bytes.ts";
import { DIALECTS, type Dialect } from "./schema.gen.ts";

const ascii = (text: string) => [...text].map((letter) => letter.charCodeAt(0));

/** First bytes of files that people give by mistake. */
const LOOKALIKES: readonly { bytes: readonly number[]; at?: number; what: string }[] = [
  { bytes: ascii("PK\x03\x04"), what: "a zip archive (.keras, .npz, .task and PyTorch files are zips too)" },
  { bytes: [0x89, ...ascii("HDF\r\n")], what: "an HDF5 file (Keras .h5 model or calibration data)" },
  { bytes: ascii("GGUF"), what: "a GGUF file" },
  { bytes: [0x93, ...ascii("NUMPY")], what: "a NumPy .npy file" },
  { bytes: [0x1f, 0x8b], what: "a gzip file; unpack it" },
  { bytes: ascii("version https://git-lfs"), what: "a Git LFS pointer; run 'git lfs pull'" },
  { bytes: ascii("<"), what: "a web page or XML, perhaps a failed download" },
  { bytes: ascii("{"), what: "a JSON file (safetensors index, report or configuration)" },
  { bytes: ascii("CIR0"), at: 8, what: "a size-prefixed circle model; remove its first 4 bytes" },
  { bytes: ascii("TFL3"), at: 8, what: "a size-prefixed TFLite model; remove its first 4 bytes" },
  // ONNX begins with field 1 (ir_version), a SavedModel's .pb with field 1 (schema version 1) and field 2.
  { bytes: [0x08, 0x01, 0x12], what: "a TensorFlow SavedModel (saved_model.pb); convert it to TFLite first" },
  { bytes: [0x08], what: "an ONNX model; convert it to circle or TFLite first" },
];

/**
 * The dialect of a file, from bytes 4 to 7. The name's extension does not matter.
 * Throws a MinmaxqError that says what was there, what was expected and what the file looks like.
 */
export function identify(source: ByteSource): Dialect {
  const head = new Uint8Array(Math.min(64, source.size));
  source.readInto(head, 0);
  if (head.length === 0) throw new FileError(source.name, "the file is empty; copy or export it again");
  const found = String.fromCharCode(...head.subarray(4, 8));
  for (const dialect of ["circle", "tflite"] as const) if (found === DIALECTS[dialect].identifier) return dialect;
  const like = LOOKALIKES.find(({ bytes, at = 0 }) => bytes.every((byte, i) => head[at + i] === byte));
  const isText = head.every((byte) => (byte >= 32 && byte < 127) || (byte >= 9 && byte <= 13));
  const looks = like?.what ?? (isText ? "a text file" : undefined);
  const advice = looks ? `; it looks like ${looks}` : "; give a .circle or .tflite file, or copy it again";
  if (head.length < 8) {
    throw new FileError(source.name, `is no model: it has ${head.length} bytes only${advice}`, { code: "not-a-model" });
  }
  throw new FileError(
    source.name,
    `is no model: bytes 4 to 7 are ${JSON.stringify(found)}, "CIR0" (circle) or "TFL3" (TFLite) expected${advice}`,
    { code: "not-a-model" },
  );
}
