/**
 * THE CAUSES: why an output loses, as rows. Each is a predicate on measured numbers with a stable code, a sentence, and what mends it.
 * Shares are of the sum of all noises that single roundings add at the output (which is near that of all together: mostly
 * within 3 dB, 6.5 dB off for one output of iris_landmark).
 */
import type { Noise } from "./bench.ts";
import { sqnrOf } from "./bench.ts";

/** Noise that one rounding adds at one output, alone. */
export interface Contribution {
  readonly kind: "activation" | "constants";
  /** Name of the tensor, or of the result of the operator that has the constants. */
  readonly name: string;
  /** Kind of the operator; null for inputs. */
  readonly operator: string | null;
  readonly place: "input" | "output" | "inner" | "constants";
  readonly noise: Noise;
  /** Of the sum of all, 0 to 1; `cumulated`: with all larger ones. */
  readonly share: number;
  readonly cumulated: number;
  /** Seen on the samples that judge; absent for constants, and where nothing was looked at. */
  readonly clipped?: number;
  readonly clipping?: number;
  readonly evenness?: number;
}

/** What was measured of an output. */
export interface Facts {
  readonly name: string;
  /** Noise by what is rounded. `inner`: activations but the model's inputs and outputs. */
  readonly all: Noise;
  readonly weights: Noise;
  readonly inner: Noise;
  readonly inputs: Noise;
  readonly outputs: Noise;
  /** Of the float model, when its inputs change by SHAKE of their size. */
  readonly shaken: Noise;
  /** The largest first. */
  readonly contributions: readonly Contribution[];
  /** Its own rounding: the operator that yields it, and the step between two integers. */
  readonly own?: {
    readonly operator: string | null;
    readonly scale: number;
    readonly fixed: boolean;
    readonly dtype: string;
    /** Options that give its layer and the output more bits. */
    readonly remedy: string;
  };
  readonly granularity: string;
  /** The next scheme with more bits, as people write it; absent where there is none. */
  readonly finer?: string;
  /** The next one whose weights have more bits; float32 where there is none. */
  readonly finerWeights: string;
}

/** Relative change of inputs for `shaken`: 80 dB below them. */
export const SHAKE = 1e-4;

export type CauseCode =
  | "sensitive"
  | "weights"
  | "weights-per-tensor"
  | "activations"
  | "inputs"
  | "outputs"
  | "fixed-steps"
  | "clipping"
  | "uneven-channels"
  | "one-tensor"
  | "few-tensors"
  | "spread";

/** What to try. `option`: the row of the option table that it needs, so that it is told only where there is one. */
export interface Remedy {
  readonly option?: string;
  readonly text: string;
}

export interface Cause {
  readonly code: CauseCode;
  /** The output that it is about. */
  readonly output: string;
  readonly text: string;
  readonly remedies: readonly Remedy[];
}

interface Row {
  readonly code: CauseCode;
  applies(facts: Facts): boolean;
  text(facts: Facts): string;
  remedies(facts: Facts): readonly Remedy[];
}

const dB = (noise: Noise) => (noise === 0 ? "without error" : `${sqnrOf(noise).toFixed(1)} dB`);
const percent = (share: number) => `${Number((100 * share).toPrecision(2))} %`;

/** An output this good needs no cause. */
const FINE = 40;
/** A part is to blame from this share of the noise on. */
const HALF = 0.5;
const QUARTER = 0.25;

function shareOf({ contributions }: Facts, which: (each: Contribution) => boolean): number {
  return contributions.filter(which).reduce((sum, { share }) => sum + share, 0);
}

const weightsShare = (facts: Facts) => shareOf(facts, ({ kind }) => kind === "constants");
const innerShare = (facts: Facts) => shareOf(facts, ({ place }) => place === "inner");

/** So many of the largest carry this share. */
function carriedBy({ contributions }: Facts, share: number): number {
  const at = contributions.findIndex(({ cumulated }) => cumulated >= share);
  return at < 0 ? contributions.length : at + 1;
}

/** Share of the noise that is clipping, as far as it can be told. */
const clippingShare = ({ contributions }: Facts) =>
  contributions.reduce((sum, { share, clipping = 0 }) => sum + share * clipping, 0);
/** Channels are uneven where the median one uses so little of the range. */
const isUneven = ({ evenness = 1, place }: Contribution) => place !== "constants" && evenness < 0.25;

/** A dtype of inputs alone only adds a conversion: the layers that read them need the bits, too. */
const INPUTS = "--input-dtype int16 or float32, and the same for the layers that read it (--layer)";

/** The first inner activation: the layer that a person can set. */
const topLayer = ({ contributions }: Facts) => contributions[0];

export const CAUSES: readonly Row[] = [
  {
    code: "sensitive",
    applies: ({ shaken, all }) => sqnrOf(shaken) < sqnrOf(all) + 6,
    text: ({ shaken }) =>
      `answers to the smallest changes: inputs that differ by a ten-thousandth give ${dB(shaken)} in float, so no quantizer can do much better`,
    remedies: () => [
      { text: "judge on samples like those of real use (a picture without what the model looks for says nothing)" },
    ],
  },
  {
    code: "fixed-steps",
    applies: ({ own, outputs, all }) => own?.fixed === true && outputs >= QUARTER * all,
    text: ({ own, outputs }) =>
      `its ${own!.operator} output has steps of 1/${Math.round(1 / own!.scale)}, which alone give ${dB(outputs)}`,
    remedies: ({ own }) => [{ option: "outputDtype", text: own!.remedy }],
  },
  {
    code: "outputs",
    applies: ({ own, outputs, all }) => own?.fixed === false && outputs >= QUARTER * all,
    text: ({ outputs, own }) =>
      `loses by its own rounding to ${own?.dtype.toLowerCase() ?? "integers"}, ${dB(outputs)} alone`,
    remedies: ({ own }) => [{ option: "outputDtype", text: own!.remedy }],
  },
  {
    code: "inputs",
    applies: (facts) => facts.inputs >= QUARTER * facts.all,
    text: ({ inputs }) => `loses by the rounding of the model's inputs, ${dB(inputs)} alone`,
    remedies: () => [
      { option: "mode", text: "--mode minmax, if inputs are cut off" },
      { option: "inputDtype", text: INPUTS },
    ],
  },
  {
    code: "weights-per-tensor",
    applies: (facts) => facts.granularity === "layer" && weightsShare(facts) >= HALF,
    text: ({ weights }) => `loses in weights that have one scale for all channels, ${dB(weights)} alone`,
    remedies: () => [{ option: "granularity", text: "--granularity channel" }],
  },
  {
    code: "weights",
    applies: (facts) => facts.granularity !== "layer" && weightsShare(facts) >= HALF,
    text: ({ weights, inner }) =>
      `loses in weights: ${dB(weights)} with weights alone, ${dB(inner)} with activations alone`,
    remedies: ({ finerWeights }) => [
      { option: "rounding", text: "--rounding gptq" },
      { option: "biasCorrection", text: "--bias-correction" },
      { option: "layer", text: `--layer 'NAME=${finerWeights}' for the layers whose weights cost most` },
    ],
  },
  {
    code: "clipping",
    applies: (facts) => clippingShare(facts) >= QUARTER,
    text: (facts) => {
      const worst = facts.contributions.reduce((a, b) =>
        b.share * (b.clipping ?? 0) > a.share * (a.clipping ?? 0) ? b : a,
      );
      return `values leave the ranges that the samples set: clipping is ${percent(clippingShare(facts))} of the noise, most of it in one tensor (${worst.operator ?? "an input"}), of whose elements ${percent(worst.clipped ?? 0)} lie outside`;
    },
    remedies: () => [
      { text: "more samples, and more different ones" },
      { option: "mode", text: "--mode minmax" },
      { option: "rangeMargin", text: "--range-margin 2, with 16-bit activations" },
    ],
  },
  {
    code: "activations",
    applies: (facts) => innerShare(facts) >= HALF,
    text: ({ inner, weights }) =>
      `loses in activations: ${dB(inner)} with activations alone, ${dB(weights)} with weights alone`,
    remedies: ({ finer }) => [
      { text: "'minmaxq tune', which finds the layers that need more bits" },
      ...(finer ? [{ option: "scheme", text: `--scheme ${finer}` }] : []),
    ],
  },
  {
    code: "uneven-channels",
    applies: (facts) => shareOf(facts, isUneven) >= HALF,
    text: (facts) =>
      `tensors with very uneven channels carry ${percent(shareOf(facts, isUneven))} of the noise: most channels use less than a quarter of the range`,
    remedies: () => [{ option: "equalize", text: "--equalize" }, { text: "'minmaxq tune'" }],
  },
  {
    code: "one-tensor",
    applies: (facts) => (topLayer(facts)?.share ?? 0) >= HALF && topLayer(facts)!.place !== "output",
    text: (facts) => {
      const { kind, operator, share } = topLayer(facts)!;
      const what = kind === "constants" ? `the weights of one ${operator}` : `one tensor (${operator ?? "an input"})`;
      return `${what} ${kind === "constants" ? "carry" : "carries"} ${percent(share)} of the noise`;
    },
    remedies: (facts) => {
      const { name, operator, kind } = topLayer(facts)!;
      const finer = kind === "constants" ? facts.finerWeights : (facts.finer ?? "float32");
      if (operator === null) return [{ option: "inputDtype", text: INPUTS }];
      return [{ option: "layer", text: `--layer '${name}=${finer}'` }];
    },
  },
  {
    code: "few-tensors",
    applies: (facts) => {
      const count = carriedBy(facts, 0.8);
      return count > 1 && count <= 0.2 * facts.contributions.length;
    },
    text: (facts) => `${carriedBy(facts, 0.8)} of ${facts.contributions.length} roundings carry 80 % of the noise`,
    remedies: () => [{ text: "'minmaxq tune', which gives more bits to few layers" }],
  },
  {
    code: "spread",
    applies: (facts) => carriedBy(facts, 0.6) > 0.2 * facts.contributions.length,
    text: (facts) =>
      `its noise is spread: it takes ${carriedBy(facts, 0.6)} of ${facts.contributions.length} roundings to carry 60 %, so few layers with more bits win little`,
    remedies: ({ finer }) => (finer ? [{ option: "scheme", text: `--scheme ${finer}` }] : []),
  },
];

/** Causes of one output, in the order of the rows; none for an output without noise worth speaking of. */
export function causesOf(facts: Facts): Cause[] {
  if (sqnrOf(facts.all) >= FINE) return [];
  return CAUSES.filter((row) => row.applies(facts)).map((row) => ({
    code: row.code,
    output: facts.name,
    text: row.text(facts),
    remedies: row.remedies(facts),
  }));
}

/** Sorts noises and adds what share of their sum they have. */
export function ranked(noises: readonly Omit<Contribution, "share" | "cumulated">[]): {
  readonly sum: Noise;
  readonly contributions: Contribution[];
} {
  const sum = noises.reduce((all, { noise }) => all + noise, 0);
  let cumulated = 0;
  const contributions = noises
    .toSorted((a, b) => b.noise - a.noise)
    .map((each) => {
      const share = sum > 0 ? each.noise / sum : 0;
      cumulated += share;
      return { ...each, share, cumulated };
    });
  return { sum, contributions };
}
