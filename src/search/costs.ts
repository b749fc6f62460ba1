/** What more bits cost: THE KINDS OF COST that a search can spare. */
import type { Level } from "./levels.ts";
import type { Unit } from "./units.ts";

export const COSTS = {
  /** Operators with more than the least bits; one of several higher levels counts as a part of the last. */
  operators: "operators",
  /** Bytes of the file, conversions included: measured. */
  bytes: "bytes",
  /** Multiplications × bits of weights × bits of activations. */
  bitops: "bitops",
} as const;
export type CostKind = keyof typeof COSTS;

/**
 * Costs by unit and level, which rise with the level. `bytes(unit, level)`: size of the model where only this unit has the level, all
 * others the last.
 */
export function costsOf(
  kind: CostKind,
  units: readonly Unit[],
  levels: readonly Level[],
  bytes: (unit: number, level: number) => number,
): number[][] {
  const top = levels.length - 1;
  const products = levels.map(({ bits: [activations, weights] }) => activations * weights);
  const cost = (unit: Unit, at: number, level: number): number => {
    switch (kind) {
      case "operators":
        return (unit.operators * level) / top;
      case "bytes":
        return bytes(at, level) - bytes(at, 0);
      case "bitops":
        return unit.work * (products[level]! - products[0]!);
    }
  };
  return units.map((unit, at) => {
    let least = 0;
    return levels.map((_, level) => {
      least = Math.max(least, cost(unit, at, level));
      return least;
    });
  });
}
