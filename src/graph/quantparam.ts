/**
 * Quantization parameters of one tensor and where they come from.
 *
 * Never changed in place, with one exception: the scales and zero points of large weights are known only when the
 * weights are streamed, so their vectors have the right length from the start and are filled in then (`pending`).
 */

/** How a parameter came to be. Shown by `--explain` and in the Report. */
export type Provenance =
  | { from: "file" }
  | { from: "recorded"; how: string }
  | { from: "own values" }
  /** A range without what a mask says; `was` is how the range came to be. */
  | { from: "clipped mask"; was: Provenance }
  /** A recorded range with headroom; `was` is how it came to be. */
  | { from: "widened"; by: number; was: Provenance }
  | { from: "range"; of: string }
  | { from: "predefined"; kind: string }
  | { from: "integer scale" }
  /** Handed down by the operator `op` that reads it, or taken over from the operand of the operator `op`. */
  | { from: "backward"; node: string; op: string }
  | { from: "forward"; node: string; op: string }
  /** Shared by all tensors that kernels copy integers between. */
  | { from: "tied"; tensors: readonly string[] }
  | { from: "unit channels" }
  | { from: "given" }
  | { from: "quantize-dequantize" }
  | { from: "input × weights"; input: string; weights: string };

export interface QuantParam {
  /** Range; both empty once the tensor is quantized and ranges are dropped. Length 1, or the channel count. */
  readonly min: Float32Array;
  readonly max: Float32Array;
  /** Length 1 (per tensor) or the channel count. */
  readonly scale: Float32Array;
  readonly zeroPoint: BigInt64Array;
  /** Per-channel axis; 0 when per tensor. */
  readonly axis: number;
  readonly provenance: Provenance;
  /** Scales of blocks along the last axis, instead of the lists above. */
  readonly blocks?: Blocks;
}

/** Scales outside the table: a constant of the graph [rows, columns / size], which no operator has to read. */
export interface Blocks {
  readonly size: number;
  readonly scales: object;
}

const NO_FLOATS = new Float32Array(0);
const NO_LONGS = new BigInt64Array(0);

/** A quantparam from the members that are there. */
export function quantParam(members: Partial<QuantParam> & { provenance: Provenance }): QuantParam {
  return { min: NO_FLOATS, max: NO_FLOATS, scale: NO_FLOATS, zeroPoint: NO_LONGS, axis: 0, ...members };
}

/** A per-tensor quantparam of one scale and zero point. */
export function perTensor(
  scale: number,
  zeroPoint: number,
  provenance: Provenance,
  ranges?: Pick<QuantParam, "min" | "max"> | null,
): QuantParam {
  return quantParam({
    scale: Float32Array.of(scale),
    zeroPoint: BigInt64Array.of(BigInt(zeroPoint)),
    ...(ranges ? { min: ranges.min, max: ranges.max } : {}),
    provenance,
  });
}

/** Provenance of parameters that are taken over from the operand `source`. */
export function forwardFrom({ name, op }: { readonly name: string; readonly op: string }): Provenance {
  return { from: "forward", node: name, op };
}

/** A range recorded for an activation. */
export function hasRange(quant: QuantParam | null): quant is QuantParam {
  return quant !== null && quant.min.length > 0 && quant.max.length > 0;
}

/** Exactly one scale and one zero point (the reference's `lwq`). */
export function isPerTensor(quant: QuantParam | null): quant is QuantParam {
  return quant !== null && quant.scale.length === 1 && quant.zeroPoint.length === 1;
}

/** Equal scales (by f32 value) and zero points, whatever the axis. */
export function sameScaleAndZeroPoint(a: QuantParam, b: QuantParam): boolean {
  return (
    a.scale.length === b.scale.length &&
    a.zeroPoint.length === b.zeroPoint.length &&
    a.scale.every((scale, i) => scale === b.scale[i]) &&
    a.zeroPoint.every((zeroPoint, i) => zeroPoint === b.zeroPoint[i])
  );
}

function titled({ op, node }: { readonly op: string; readonly node: string }): string {
  return op ? `${op} ${node}` : node;
}

/** Provenance as one phrase. */
export function provenanceText(provenance: Provenance): string {
  switch (provenance.from) {
    case "file":
      return "as in the file";
    case "recorded":
      return `recorded (${provenance.how})`;
    case "own values":
      return "own values";
    case "clipped mask":
      return `${provenanceText(provenance.was)}, without what a mask says`;
    case "widened":
      return `${provenanceText(provenance.was)}, ×${provenance.by} for headroom`;
    case "range":
      return `from ${provenance.of}`;
    case "predefined":
      return `predefined (${provenance.kind})`;
    case "integer scale":
      return "range rounded to an integer scale";
    case "backward":
      return `backward from ${titled(provenance)}`;
    case "forward":
      return `forward from ${titled(provenance)}`;
    case "tied":
      return `one for all of ${provenance.tensors.slice(0, 4).join(", ")}${provenance.tensors.length > 4 ? " …" : ""}`;
    case "unit channels":
      return "one unit per channel";
    case "given":
      return "given by you";
    case "quantize-dequantize":
      return "from QuantizeLinear and DequantizeLinear";
    case "input × weights":
      return `scale of ${provenance.input} × scale of ${provenance.weights}`;
  }
}
