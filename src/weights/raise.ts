/**
 * Biases that do not fit: a channel whose input scale × weight scale is too fine for its bias gets a larger weight scale.
 *
 *     |bias| / (input scale × weight scale) > limit          →   weight scale = |bias| / (input scale × limit)
 *     input scale × weight scale / result scale < 2⁻³¹       →   weight scale = 2⁻³¹ × result scale / input scale
 *
 * Known only when the weights' scales are; such weights are encoded once more. Rare: channels that training has switched off.
 */
import type { ChannelParameters, Constant, Encoding } from "./constant.ts";
import { inverses, loadFloats } from "./floats.ts";
import type { KernelStream, Parameters } from "./kernels.ts";

type BiasEncoding = Extract<Encoding, { rule: "bias" }>;
type BiasConstant = Constant & { kind: "encoded"; encoding: BiasEncoding };

/** Whether a constant is a bias in the accumulator's scale. */
export function isBiasConstant(constant: Constant): constant is BiasConstant {
  return constant.kind === "encoded" && constant.encoding.rule === "bias";
}

/** Raises scales of weights where biases demand it, and gives those weights with the parameters to encode them by. */
export function raiseScales(stream: KernelStream, biases: readonly BiasConstant[]): Map<Constant, Parameters> {
  const again = new Map<Constant, Parameters>();
  for (const bias of biases) {
    const { raise } = bias.encoding;
    if (!raise || bias.count === 0) continue;
    const raised = raiseOne(floatsOf(stream, bias.of), bias.encoding, raise);
    if (raised === 0) continue;
    raise.onRaise(raised);
    again.set(raise.weights, parametersOf(raise.weights));
  }
  return again;
}

/** How many channels got a larger scale. Values that are no numbers are told elsewhere. */
function raiseOne(
  values: Float32Array,
  { inputScale, weights }: BiasEncoding,
  { limit, least: smallest }: { readonly limit: number; readonly least: number },
): number {
  const { scale } = weights;
  let raised = 0;
  for (const [i, value] of values.entries()) {
    const channel = scale.length === 1 ? 0 : i;
    const least = value === 0 ? 0 : Math.max(Math.abs(value) / (inputScale * limit), smallest);
    if (!Number.isFinite(least) || !(scale[channel]! < least)) continue;
    scale[channel] = least;
    raised++;
  }
  return raised;
}

function floatsOf(stream: KernelStream, constant: Constant): Float32Array {
  const { count } = constant;
  return stream.scoped(() => {
    const block = loadFloats(stream, constant, { first: 0, count, channel: 0, channels: 1, inner: count });
    return new Float32Array(block.bytes().slice().buffer);
  });
}

/** All parameters that belong to the scales as they are now; the representable ranges follow them. */
function parametersOf(weights: Constant): Parameters {
  const encoding = weights.kind === "encoded" ? weights.encoding : undefined;
  if (encoding?.rule !== "scan" && encoding?.rule !== "known") throw new Error("only weights are encoded again");
  const { high } = encoding.quantizer;
  const scale = Float32Array.from((encoding.rule === "scan" ? encoding.parameters : encoding).scale);
  const nudgedMax = scale.map((each) => each * high);
  const nudgedMin = nudgedMax.map((each) => -each);
  if (encoding.rule === "scan") setRanges(encoding.parameters, nudgedMin, nudgedMax);
  return { scale, zeroPoint: new BigInt64Array(scale.length), nudgedMin, nudgedMax, inv: inverses(scale), near: false };
}

function setRanges(parameters: ChannelParameters, nudgedMin: Float32Array, nudgedMax: Float32Array): void {
  parameters.nudgedMin.set(nudgedMin);
  parameters.nudgedMax.set(nudgedMax);
}
