/** Writes samples as NumPy arrays: `.npy`, or `.npz` with an entry for each input, as npy.ts and npz.ts read them. */
import { closeSync, fstatSync, openSync, renameSync } from "node:fs";
import { Zip, ZipDeflate } from "fflate";
import { FileError, MinmaxqError, reasonOf, UsageError } from "../base/errors.ts";
import { removeTemporary, temporaryDone, temporaryPath } from "../base/temporary.ts";
import { writeAll } from "../model/bytes.ts";
import { type DataSet, elementCount, elementOf, type InputSpec, sameShape, shapeText } from "./inputs.ts";

/** Where a plain ZIP ends: sizes and places have 32 bits. */
const ZIP_LIMIT = 2 ** 32 - 1;

/**
 * Writes all records, one array an input of shape [N, …] (without the 1 of a batch in front). The same samples give the same bytes. Gives the file's size.
 * Throws MinmaxqError where records have several shapes, the file would be too large, or cannot be written; then nothing is left.
 */
export async function packSamples(
  path: string,
  inputs: readonly InputSpec[],
  data: DataSet,
  onProgress: (done: number, total: number) => void,
): Promise<number> {
  const shapes = shapesOf(path, inputs, data);
  const single = /\.npy$/i.test(path);
  if (single && inputs.length !== 1)
    throw new UsageError(
      `-o ${path}: one .npy array holds one input, and the model has ${inputs.length}; write an .npz`,
    );
  for (const [i, input] of inputs.entries()) {
    const bytes = data.count * elementCount(shapes[i]!) * elementOf(input).bytes;
    if (!single && bytes > ZIP_LIMIT / 2)
      throw new FileError(
        path,
        `would hold ${bytes} bytes of input "${input.name}", too many for a .npz; pack fewer samples`,
      );
  }
  const beside = temporaryPath(path);
  try {
    const fd = openSync(beside, "wx");
    let size = 0;
    const write = (bytes: Uint8Array) => {
      writeAll(fd, bytes, size);
      size += bytes.length;
    };
    try {
      const report = (input: number) => (record: number) =>
        onProgress(input * data.count + record, inputs.length * data.count);
      if (single) await writeArray(data, inputs, 0, shapes[0]!, write, report(0));
      else await writeZip(data, inputs, shapes, write, report);
      size = fstatSync(fd).size;
    } finally {
      closeSync(fd);
    }
    renameSync(beside, path);
    temporaryDone(beside);
    return size;
  } catch (error) {
    removeTemporary(beside);
    if (error instanceof MinmaxqError) throw error;
    throw new FileError(path, `cannot be written (${reasonOf(error)})`, { cause: error });
  }
}

/** The shape of every record, by input. */
function shapesOf(path: string, inputs: readonly InputSpec[], data: DataSet): readonly (readonly number[])[] {
  const first = data.shapes?.(0) ?? inputs.map(({ shape }) => shape);
  for (let record = 1; record < data.count; record++)
    for (const [i, shape] of (data.shapes?.(record) ?? first).entries())
      if (!sameShape(shape, first[i]!))
        throw new FileError(
          path,
          `samples of several sizes are no array: ${shapeText(first[i]!)} and ${shapeText(shape)}; give --input-shape "${inputs[i]!.name}=…"`,
        );
  return first;
}

async function writeZip(
  data: DataSet,
  inputs: readonly InputSpec[],
  shapes: readonly (readonly number[])[],
  write: (bytes: Uint8Array) => void,
  report: (input: number) => (record: number) => void,
): Promise<void> {
  const failed: Error[] = [];
  const zip = new Zip((error, bytes) => (error ? failed.push(error) : write(bytes)));
  for (const [i, input] of inputs.entries()) {
    // Pictures as floats shrink well at any level. The time is fixed, so that bytes are the same.
    const entry = new ZipDeflate(`${input.name}.npy`, { level: 1 });
    entry.mtime = new Date(1980, 0, 1);
    zip.add(entry);
    await writeArray(data, inputs, i, shapes[i]!, (bytes) => entry.push(bytes, false), report(i));
    entry.push(new Uint8Array(0), true);
  }
  zip.end();
  if (failed[0]) throw failed[0];
}

/** The array of input `i`: header and records. */
async function writeArray(
  data: DataSet,
  inputs: readonly InputSpec[],
  i: number,
  shape: readonly number[],
  write: (bytes: Uint8Array) => void,
  onRecord: (record: number) => void,
): Promise<void> {
  const record = shape.length > 1 && shape[0] === 1 ? shape.slice(1) : shape;
  write(header(elementOf(inputs[i]!).numpy, [data.count, ...record]));
  let done = 0;
  for await (const arrays of data.records()) {
    write(arrays[i]!);
    onRecord(++done);
  }
}

/** Format 1.0 of numpy/lib/format.py: padded to 64 bytes. */
function header(code: string, shape: readonly number[]): Uint8Array {
  const order = /1$/.test(code) ? "|" : "<";
  const dims = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const text = `{'descr': '${order}${code}', 'fortran_order': False, 'shape': (${dims}), }`;
  const length = Math.ceil((10 + text.length + 1) / 64) * 64 - 10;
  const start = Uint8Array.from([0x93, ...Buffer.from("NUMPY"), 1, 0, length & 255, length >> 8]);
  return Buffer.concat([start, Buffer.from(`${text.padEnd(length - 1)}\n`)]);
}
