/**
 * Which layers are bad: what each loses itself, and not what came to it from before.
 *
 *     x 47.8 dB ─▶ CONV_2D a 36.4 dB ─▶ RELU b 36.2 dB   →   a loses 11.4 dB, b 0.2 dB
 *
 * A layer's drop is the SQNR of its worst operand less its own, in dB. Operands are the nearest tensors before it that were compared, too:
 * what the second model has fused away is passed by. Nothing can have more than its dtype holds, so an operand counts with that at
 * most: 6.02 · bits + 1.76 dB, which is rounding at its best (a sine over the whole range). The samples before an input count with just that, an
 * operand without any error with 8 bits at most: behind it weights are rounded, too, and those seldom have more.
 */
import { schemesWith } from "../rules/schemes.ts";
import type { Origin, Side } from "./side.ts";

/** What is asked of a layer. */
interface Measured {
  readonly name: string;
  /** What the second model rounds it to. */
  readonly dtype: string | null;
  readonly metrics: { readonly sqnr: number };
}

export interface Loss {
  /** Operator that yields it in the second model, else in the first; null for inputs. */
  readonly operator: string | null;
  /** Names of the tensors that it is measured against, in the first model. */
  readonly operands: readonly string[];
  /** dB; null where its SQNR says nothing (NaN, or a float tensor of zeros). */
  readonly drop: number | null;
  /** 1 for the largest loss. */
  readonly rank: number;
  /** Kind of the operator in the first model; null for inputs. */
  readonly source: string | null;
}

/** Bits of quantized weights, mostly. */
const USUAL_BITS = 8;

/** The best SQNR that rounding to so many bits gives, in dB. */
export function bestSqnr(bits: number): number {
  return 6.02 * bits + 1.76;
}

/** What each layer loses, in the order of the layers. */
export function lossesOf([first, second]: readonly [Side, Side], layers: readonly Measured[]): Loss[] {
  const sqnrs = new Map(layers.map(({ name, metrics }) => [name, metrics.sqnr]));
  const found = layers.map(({ name, dtype, metrics }) => {
    const origin: Origin = first.originOf(name, sqnrs);
    const drop = dropOf(
      metrics.sqnr,
      origin.operands.map((operand) => sqnrs.get(operand)!),
      dtype,
    );
    const operator = second.originOf(name, sqnrs).operator ?? origin.operator;
    return { operator, operands: origin.operands, drop, source: origin.operator };
  });
  const order = found.map((_, at) => at).sort((a, b) => weight(layers[b]!, found[b]!) - weight(layers[a]!, found[a]!));
  const ranks = new Map(order.map((at, i) => [at, i + 1]));
  return found.map((loss, at) => ({ ...loss, rank: ranks.get(at)! }));
}

/** Numbers that are none come first, zeros that became something last. */
function weight({ metrics }: Measured, { drop }: { readonly drop: number | null }): number {
  if (drop !== null) return drop;
  return Number.isNaN(metrics.sqnr) ? Number.MAX_VALUE : -Number.MAX_VALUE;
}

/** The drop of a layer in dB by its own SQNR, those of its operands, and what it is rounded to. */
export function dropOf(own: number, operands: readonly number[], dtype: string | null): number | null {
  if (Number.isNaN(own) || own === Number.NEGATIVE_INFINITY) return null;
  if (own === Number.POSITIVE_INFINITY) return 0;
  const telling = operands.filter((sqnr) => !Number.isNaN(sqnr) && sqnr !== Number.NEGATIVE_INFINITY);
  const worst = Math.min(...telling);
  const bits = dtype === null ? undefined : bitsOf(dtype);
  if (worst !== Number.POSITIVE_INFINITY) return Math.min(worst, bits ? bestSqnr(bits) : worst) - own;
  // Behind an operand without error it is the weights that are rounded, too.
  return bestSqnr(operands.length > 0 ? Math.min(bits ?? USUAL_BITS, USUAL_BITS) : (bits ?? USUAL_BITS)) - own;
}

function bitsOf(dtype: string): number | undefined {
  return schemesWith(dtype as Parameters<typeof schemesWith>[0])[0]?.activation.bits;
}
