/** LEVELS: what a layer can be, as rows. From them follow which stand beside each other, which comes next, and what operations cost. */
import type { Dialect } from "../model/index.ts";
import { finerScheme, SCHEMES, type Scheme, WEIGHT_SCHEMES, type WeightScheme } from "../rules/schemes.ts";

export interface Level {
  /** As people and layer settings say it. */
  readonly name: string;
  /** Levels of one group can stand beside each other in a model; those of none beside all. */
  readonly group?: string;
  /** The scheme of activations and weights; absent where activations stay float. */
  readonly scheme?: Scheme;
  /** The scheme of weights alone; without one and without `scheme` all stays float. */
  readonly weights?: WeightScheme;
  /** Bits of what is multiplied: activations, weights. */
  readonly bits: readonly [number, number];
}

const FLOAT_BITS = 32;
const HALF_BITS = 16;
/** Kernels of `dynamic` schemes round activations to so many bits while they run. */
const DYNAMIC_BITS = 8;

const FLOAT: Level = { name: "float32", bits: [FLOAT_BITS, FLOAT_BITS] };

const ROWS: readonly Level[] = [
  ...Object.values<Scheme>(SCHEMES).map((scheme): Level => {
    const weights = scheme.weights[scheme.granularities[0]!];
    return { name: scheme.name, group: scheme.family, scheme, bits: [scheme.activation.bits, weights.bits] };
  }),
  ...Object.values<WeightScheme>(WEIGHT_SCHEMES).map((weights): Level => {
    const { name, kind, quantizers } = weights;
    const bits = [kind === "dynamic" ? DYNAMIC_BITS : FLOAT_BITS, quantizers[0]?.bits ?? HALF_BITS] as const;
    return { name, group: kind, weights, bits };
  }),
  FLOAT,
];

/** Their names. */
export const LEVEL_NAMES: Readonly<Record<string, string>> = Object.fromEntries(ROWS.map(({ name }) => [name, name]));

/** The level of a name, for texts that were checked already. */
export function levelNamed(name: string): Level {
  const level = ROWS.find((row) => row.name === name);
  if (!level) throw new Error(`there is no level "${name}"`);
  return level;
}

/** The next level with more bits beside this one: of its group, else float32. */
export function finerLevel({ group, scheme, weights, bits }: Level, dialect: Dialect): Level {
  if (scheme) return levelNamed(finerScheme(scheme.activation.dtype, dialect)?.name ?? FLOAT.name);
  const finer = ROWS.filter((row) => weights && row.group === group && row.bits[1] > bits[1]);
  return finer.sort((a, b) => a.bits[1] - b.bits[1])[0] ?? FLOAT;
}
