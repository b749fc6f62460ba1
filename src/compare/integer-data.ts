/**
 * Samples as integers for models that are run as floats: data that fit the declared type of a quantized input are turned into the floats
 * that they stand for, scale · (integer − zero point), so that `compare` takes what `quantize` took.
 */
import { MinmaxqError } from "../base/errors.ts";
import type { DataSet, InputSpec } from "../calibration/index.ts";
import type { QuantParam } from "../graph/quantparam.ts";

/** An input as the model declares it. */
export interface DeclaredInput extends InputSpec {
  /** Of an integer input that is fed as floats; null for all others. */
  readonly quant: QuantParam | null;
}

/** Reads integers of a type from little-endian bytes. */
const READERS: Readonly<Record<string, (bytes: Uint8Array<ArrayBuffer>) => Iterable<number> & { length: number }>> = {
  UINT8: (bytes) => bytes,
  INT8: ({ buffer }) => new Int8Array(buffer),
  INT16: ({ buffer }) => new Int16Array(buffer),
};

/**
 * Opens data as floats; where that cannot be, as what either model declares. Throws the error of the first attempt where neither fits.
 */
export async function openFloatsOrIntegers(
  open: (inputs: readonly InputSpec[]) => Promise<DataSet>,
  floats: readonly InputSpec[],
  declared: readonly (readonly DeclaredInput[])[],
): Promise<DataSet> {
  try {
    return await open(floats);
  } catch (error) {
    if (!(error instanceof MinmaxqError)) throw error;
    for (const inputs of declared) {
      if (!inputs.some(({ quant }) => quant)) continue;
      const data = await open(inputs).catch(() => undefined);
      if (data) return dequantizing(data, inputs);
    }
    throw error;
  }
}

function dequantizing(data: DataSet, inputs: readonly DeclaredInput[]): DataSet {
  return {
    ...data,
    async *records() {
      for await (const record of data.records())
        yield record.map((bytes, i) => {
          const { quant, dtype } = inputs[i]!;
          return quant ? floatsOf(bytes, dtype, quant) : bytes;
        });
    },
    close: () => data.close(),
  };
}

/** float32 values as LiteRT's DEQUANTIZE computes them: in double, then rounded once. */
function floatsOf(bytes: Uint8Array, dtype: string, { scale, zeroPoint }: QuantParam): Uint8Array {
  const integers = READERS[dtype]!(bytes.slice());
  const [by, zero] = [scale[0]!, Number(zeroPoint[0] ?? 0n)];
  const values = new Float32Array(integers.length);
  let i = 0;
  for (const integer of integers) values[i++] = by * (integer - zero);
  return new Uint8Array(values.buffer);
}
