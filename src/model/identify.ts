/** Says what a file is that is not a model. */
import { FileError } from "../base/errors.ts";
import type { ByteSource } from "./bytes.ts";
import { foreignFormat } from "./foreign.ts";
import { DIALECTS, type Dialect } from "./schema.gen.ts";

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
  const foreign = foreignFormat(source.name, head);
  const isText = head.every((byte) => (byte >= 32 && byte < 127) || (byte >= 9 && byte <= 13));
  const looks = foreign ?? (isText ? "a text file" : undefined);
  const advice = looks ? `; it looks like ${looks}` : "; give a .circle or .tflite file, or copy it again";
  if (foreign !== undefined)
    throw new FileError(source.name, `is no model that minmaxq reads; it looks like ${foreign}`, {
      code: "not-a-model",
    });
  if (head.length < 8) {
    throw new FileError(source.name, `is no model: it has ${head.length} bytes only${advice}`, { code: "not-a-model" });
  }
  throw new FileError(
    source.name,
    `is no model: bytes 4 to 7 are ${JSON.stringify(found)}, "CIR0" (circle) or "TFL3" (TFLite) expected${advice}`,
    { code: "not-a-model" },
  );
}
