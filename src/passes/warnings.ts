/**
 * WARNINGS that are known once all scales are there: results that work, but are poorer than a person expects. One row per kind;
 * docs/warnings.md says what to do about each.
 */
import { activeNodes, describe, type Graph, isConstant, type Node, ownRange } from "../graph/graph.ts";
import { tiedOperands } from "../rules/operators.ts";
import type { Quantizer } from "../rules/schemes.ts";
import { type Context, quantizerOf, schemeOf, warn } from "./context.ts";

interface Warning {
  /** Stable. */
  readonly code: string;
  /** The drop-in front says it, too. */
  readonly reference?: true;
  readonly find: (graph: Graph, context: Context) => Finding[];
}

interface Finding {
  readonly node: Node;
  /** What is the matter and what to do, said behind the node's name. */
  readonly text: string;
  readonly numbers: Readonly<Record<string, number>>;
}

const WARNINGS: readonly Warning[] = [
  { code: "wide-range", reference: true, find: wideRanges },
  { code: "smallest-scale", find: smallestScales },
  { code: "few-levels", find: fewLevels },
  { code: "output-undoes-layer", find: undoneLayers },
];

/** Notes what is found in a graph whose weights have been filled. */
export function noteWarnings(graph: Graph, context: Context): void {
  for (const { code, reference, find } of WARNINGS) {
    if (context.likeReference && !reference) continue;
    for (const { node, text, numbers } of find(graph, context)) warn(context, node, code, text, numbers);
  }
}

/**
 * Ranges so wide that a quantized step is coarse (§4.7).
 *
 *     x: UINT8, range −40000…60000   →   one step is 392
 *
 * The reference compares logarithms of the range's ends, which is NaN below 0 and warns for every range that begins at 0; what it
 * is after is the width: more than 2^(1.5 · bits), a step above 16 in uint8.
 */
function wideRanges(graph: Graph, context: Context): Finding[] {
  return quantizedNodes(graph, context).flatMap(({ node, quantizer }) => {
    const scale = largest(node.quant!.scale);
    const width = scale * (quantizer.high - quantizer.low);
    if (Math.log2(width) <= 1.5 * quantizer.bits) return [];
    const text = `its range is ${short(width)} wide, one step of ${nameOf(quantizer)} is ${short(scale)}; expect low accuracy`;
    return [{ node, text, numbers: { width: short(width), scale } }];
  });
}

/**
 * Activations whose range is so narrow that the scale is held at the smallest one (§3.2, §3.3).
 *
 *     x: UINT8, range 0…0.0003, scale held at 1e-5   →   30 steps are used, 5 bits are left
 */
function smallestScales(graph: Graph, context: Context): Finding[] {
  return quantizedNodes(graph, context).flatMap(({ node, quantizer }) => {
    const range = ownRange(node);
    if (isConstant(node) || !range || node.quant!.scale[0] !== Math.fround(quantizer.smallestScale)) return [];
    const bits = bitsOf(range, quantizer.smallestScale);
    // A tensor that is zero everywhere loses nothing.
    if (bits <= 0 || bits > fullBits(quantizer) - 1) return [];
    // With 8 bits behind it what 16 bits keep is lost again.
    const remedy =
      quantizer.bits > 8
        ? "Scale the model's values up"
        : "Give the layer and those that read it int16 (--layer), or scale the model's values up";
    const text = `its range is only ${short(range.max - range.min)} wide; the scale of ${nameOf(quantizer)} is held at ${quantizer.smallestScale}, so ${bits.toFixed(1)} of ${quantizer.bits} bits are left. ${remedy}`;
    return [{ node, text, numbers: { width: range.max - range.min, scale: quantizer.smallestScale, bits } }];
  });
}

/** An operand of a joining operator (CONCATENATION …) keeps fewer bits than this. */
const FEW_BITS = 4;

/**
 * Operands that share their parameters with much wider ones.
 *
 *     boxes 0…640 and scores 0…1 ─▶ CONCATENATION, scale 2.5   →   scores keep 2 values
 */
function fewLevels(graph: Graph, context: Context): Finding[] {
  return activeNodes(graph).flatMap((node) => {
    const quantizer = quantizerOf(context, node);
    if (node.kind !== "operator" || !quantizer || !node.quant?.scale.length || !joins(node, context)) return [];
    const scale = node.quant.scale[0]!;
    return [...new Set(node.inputs.map(source))].flatMap((operand) => {
      const range = operand && !isConstant(operand) ? ownRange(operand) : null;
      const bits = range ? bitsOf(range, scale) : Number.POSITIVE_INFINITY;
      if (!operand || bits >= FEW_BITS || range!.max === range!.min) return [];
      const text = `keeps ${bits.toFixed(1)} of ${quantizer.bits} bits in ${describe(node)}, whose scale is ${short(scale)}: its range is ${short(range!.min)} to ${short(range!.max)}. Give that layer 16 bits or float32 (--layer), or take the operand out as an output of its own`;
      return [{ node: operand, text, numbers: { bits, scale, min: range!.min, max: range!.max } }];
    });
  });
}

/** Its operands, which may have ranges of any width, have its parameters: ONE hands them on, LiteRT ties them. */
function joins(node: Node, context: Context): boolean {
  const { backward, passes } = node.row;
  const { family } = schemeOf(context, node);
  if (backward) return backward.rule === "concat" || (backward.rule === "all" && backward.operands === "rest");
  return passes !== undefined && tiedOperands(node.row, node.inputs.length, family).length > 1;
}

/** What a Quantize of ours was put behind. */
function source(operand: Node | null): Node | null {
  const between = operand?.row.out.role === "requantized" && operand.operator === null;
  return (between && operand.inputs[0]) || operand;
}

/** Outputs with fewer bits than the layer was given that yields them. */
function undoneLayers(graph: Graph, context: Context): Finding[] {
  return graph.outputs.flatMap((output) => {
    const producer = output.inputs[0];
    const layer = producer?.row.out.role === "requantized" ? producer.inputs[0] : null;
    const [own, shown] = [layer && quantizerOf(context, layer), producer && quantizerOf(context, producer)];
    if (!layer || !own || !shown || own.bits <= shown.bits || !context.layers.has(layer.name)) return [];
    const text = `its layer is ${nameOf(own)} by its setting, but the output is ${nameOf(shown)}, which rounds that away; add --output-dtype ${nameOf(own)}`;
    return [{ node: layer, text, numbers: { bits: own.bits, outputBits: shown.bits } }];
  });
}

function quantizedNodes(graph: Graph, context: Context): { node: Node; quantizer: Quantizer }[] {
  return activeNodes(graph).flatMap((node) => {
    const quantizer = quantizerOf(context, node);
    return quantizer && node.quant?.scale.length && node.kind !== "output" ? [{ node, quantizer }] : [];
  });
}

/** Bits that a range takes which uses all integers on its wider side of 0. */
function fullBits({ symmetric, low, high }: Quantizer): number {
  return Math.log2((symmetric ? high : high - low) + 1);
}

/** How many bits the values of a range take in steps of a scale. */
function bitsOf({ min, max }: { readonly min: number; readonly max: number }, scale: number): number {
  return Math.log2(Math.max(1, (Math.max(max, 0) - Math.min(min, 0)) / scale + 1));
}

const nameOf = ({ dtype }: Quantizer) => dtype.toLowerCase();
const short = (value: number) => Number(value.toPrecision(3));

/** A plain loop: a large model has a million scales, and this code runs for the first time. */
function largest(scales: Float32Array): number {
  let found = 0;
  for (let i = 0; i < scales.length; i++) if (scales[i]! > found) found = scales[i]!;
  return found;
}
