/** Quantized models taken apart into NumPy files, as q-implant takes them. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readRange } from "../../src/model/bytes.ts";
import { nameOf, openModel, type Tensor, TensorType } from "../../src/model/index.ts";
import { bytesOf, npy } from "../calibration/support.ts";

const CODES = { UINT8: ["|u1", "uint8"], INT32: ["<i4", "int32"], INT16: ["<i2", "int16"], INT64: ["<i8", "int64"] };

export interface Entry {
  dtype: string;
  scale: string;
  zerop: string;
  quantized_dimension: number;
  value?: string;
}

export const dtypeOf = ({ type }: Tensor) => nameOf(TensorType, type ?? 0)!;

/** Parameters of a model's tensors as NumPy files below a folder, and what the JSON says of them. */
export function takenApart(model: string, into: string): Record<string, Entry> {
  mkdirSync(into, { recursive: true });
  const opened = openModel(model);
  const entries: Record<string, Entry> = {};
  for (const [i, tensor] of opened.model.subgraphs![0]!.tensors!.entries()) {
    const { quantization: quant } = tensor;
    if (!quant?.scale?.length) continue;
    const file = (what: string, content: Uint8Array) => {
      writeFileSync(join(into, `${i}.${what}.npy`), content);
      return `${i}.${what}.npy`;
    };
    const [code, dtype] = CODES[dtypeOf(tensor) as keyof typeof CODES] as [string, string];
    const data = opened.model.buffers![tensor.buffer ?? 0]?.data;
    entries[tensor.name!] = {
      dtype,
      scale: file("scale", npy("<f4", [quant.scale.length], bytesOf(quant.scale as Float32Array))),
      zerop: file("zerop", npy("<i8", [quant.zeroPoint!.length], bytesOf(quant.zeroPoint as BigInt64Array))),
      quantized_dimension: quant.quantizedDimension ?? 0,
      ...(data && "source" in data && { value: file("value", npy(code, [...tensor.shape!], readRange(data))) }),
    };
  }
  opened.close();
  return entries;
}
