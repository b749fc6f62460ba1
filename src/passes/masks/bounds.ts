/**
 * Which values of a tensor its consumers cannot tell apart: below `floor` one is like another, and above `ceil`.
 *
 *     x ─┐
 *        ├▶ ADD ─▶ SOFTMAX      SOFTMAX: nothing below (lowest useful value − margin) leaves a trace: the floor of ADD's result;
 *     c ─┘                      ADD: whatever x is, c below (that floor − highest x) gives less: the floor of c
 */
import type { Node } from "../../graph/graph.ts";
import { fusedActivation } from "../../graph/options.ts";
import { operandsWith } from "../../rules/operators.ts";
import { type Context, schemeOf } from "../context.ts";
import {
  ENDLESS,
  type Holdings,
  highest,
  type Interval,
  type Intervals,
  lowest,
  MASK_RATIO,
  valuesPassed,
} from "./intervals.ts";

export interface Bounds {
  readonly floor: number;
  readonly ceil: number;
}

/** Every value counts. */
export const NONE: Bounds = { floor: -Infinity, ceil: Infinity };

/** Finds bounds of tensors by asking their consumers, each once. */
export class Consumers {
  private readonly known = new Map<Node, Bounds>();

  /** `active`: nodes whose results are used; others say nothing. */
  constructor(
    private readonly context: Context,
    private readonly holdings: Holdings,
    private readonly active: ReadonlySet<Node>,
  ) {}

  /** What all consumers of a tensor agree on. */
  of(node: Node): Bounds {
    let bounds = this.known.get(node);
    if (!bounds) {
      // A loop through a variable ends here.
      this.known.set(node, NONE);
      const wanted = [...node.users]
        .filter((user) => this.active.has(user))
        .flatMap((user) => this.perOperand(node, user));
      bounds = wanted.length === 0 ? NONE : wanted.reduce(weaker);
      this.known.set(node, bounds);
    }
    return bounds;
  }

  private perOperand(node: Node, user: Node): Bounds[] {
    if (user.kind === "result") return [this.of(user)];
    return user.inputs.flatMap((operand, index) => (operand === node ? [this.at(user, index)] : []));
  }

  /** What the operator `user` cannot tell apart in operand `index`. */
  at(user: Node, index: number): Bounds {
    const { row } = user;
    if (user.kind !== "operator") return NONE;
    if (row.ignoresBelow !== undefined || row.ignoresAbove !== undefined) return this.ofRow(user, index);
    if (row.flat) return index === 0 ? { floor: row.flat.below ?? -Infinity, ceil: row.flat.above ?? Infinity } : NONE;
    if (fusedActivation(user) !== "NONE") return NONE;
    if (row.elementwise) return this.ofElementwise(user, index);
    const result = this.of(user);
    if (result === NONE) return NONE;
    if (row.passes) return valuesPassed(user).includes(index) ? result : NONE;
    if (row.shiftsRows) return this.ofShifted(user, result.floor);
    if (row.negates) return { floor: -result.ceil, ceil: -result.floor };
    return row.arithmetic && index < 2 ? this.ofArithmetic(user, index, result) : NONE;
  }

  /** Far below the largest of a row, or far above the smallest. */
  private ofRow(user: Node, index: number): Bounds {
    if (!operandsWith(user.row, user.inputs.length, "activation").includes(index)) return NONE;
    const values = this.holdings.of(user.inputs[index]);
    if (!values) return NONE;
    const { maskValue } = this.context.options;
    const { ignoresBelow, ignoresAbove } = user.row;
    const mirrored = values.map(([low, high]): Interval => [-high, -low]).reverse();
    const floor = ignoresBelow === undefined ? -Infinity : usefulFloor(values, this.margin(user, ignoresBelow));
    const ceil = ignoresAbove === undefined ? Infinity : -usefulFloor(mirrored, this.margin(user, ignoresAbove));
    if (maskValue === undefined) return { floor, ceil };
    return { floor: Number.isFinite(floor) ? maskValue : floor, ceil: Number.isFinite(ceil) ? -maskValue : ceil };
  }

  /** What leaves no trace in the numbers that are taken away, and is below the result's floor without them. */
  private ofShifted(user: Node, floor: number): Bounds {
    const values = this.holdings.of(user.inputs[0]);
    if (!values || this.context.options.maskValue !== undefined) return { floor, ceil: Infinity };
    const margin = this.margin(user, LEAVES_NO_TRACE);
    const useful = usefulFloor(values, margin);
    return { floor: Math.min(useful, useful + margin + floor), ceil: Infinity };
  }

  /** So far that all values of a row together are below half a step of the result; not more than the row of the table says. */
  private margin(user: Node, most: number): number {
    const { low, high } = schemeOf(this.context, user).activation;
    const row = user.inputs[0]?.shape.at(-1) ?? 0;
    return user.float || row < 1 ? most : Math.min(most, Math.log(2 * (high - low) * row));
  }

  /** Of a maximum: what no other operand goes below. */
  private ofElementwise(user: Node, index: number): Bounds {
    const result = this.of(user);
    const others = user.inputs.filter((_, i) => i !== index).map((each) => this.holdings.of(each));
    if (others.some((each) => !each)) return result;
    if (user.row.elementwise === "max")
      return { floor: Math.max(result.floor, Math.min(...others.map((each) => lowest(each!)))), ceil: result.ceil };
    return { floor: result.floor, ceil: Math.min(result.ceil, Math.max(...others.map((each) => highest(each!)))) };
  }

  private ofArithmetic(user: Node, index: number, { floor, ceil }: Bounds): Bounds {
    const other = this.holdings.of(user.inputs[1 - index]);
    if (!other) return NONE;
    const low = lowest(other);
    const high = highest(other);
    const asItIs = this.context.options.maskValue !== undefined;
    switch (user.row.arithmetic) {
      case "add":
        return asItIs ? { floor, ceil } : known(floor - high, ceil - low);
      case "sub":
        if (index === 0) return asItIs ? { floor, ceil } : known(floor + low, ceil + high);
        return asItIs ? { floor: -ceil, ceil: -floor } : known(low - ceil, high - floor);
      case "mul":
        return ofFactor({ floor, ceil }, low, high, this.holdings.of(user.inputs[index]));
      case "div":
        if (index === 0 && (low > 0 || high < 0)) return ofFactor({ floor, ceil }, 1 / high, 1 / low, null);
    }
    return NONE;
  }
}

/** Bounds of t (which holds `own`) where t · [low, high] has the bounds `result`. */
function ofFactor(result: Bounds, low: number, high: number, own: Intervals | null): Bounds {
  const { floor, ceil } = result;
  // A mask switched on and off: its value becomes smaller, the switch stays as it is.
  if (own && low === high && maskFactor(low, own, result) !== undefined) return NONE;
  if (low > 0) return known(Math.min(floor / low, floor / high), Math.max(ceil / low, ceil / high));
  if (high < 0) return known(Math.min(ceil / low, ceil / high), Math.max(floor / low, floor / high));
  if (!own || lowest(own) !== highest(own)) return NONE;
  const factor = maskFactor(lowest(own), [[low, high]], result);
  if (factor === undefined) return NONE;
  return factor < 0 ? { floor: factor, ceil: Infinity } : { floor: -Infinity, ceil: factor };
}

/**
 * What `factor` may be instead, where something between 0 and one other end times `factor` is a mask, far beyond the bound: then only
 * these two ends are taken on, as 1 − m does of a mask m.
 */
function maskFactor(factor: number, onOff: Intervals, { floor, ceil }: Bounds): number | undefined {
  const low = lowest(onOff);
  const high = highest(onOff);
  const end = low === 0 ? high : high === 0 ? low : 0;
  const bound = factor * end < 0 ? floor : ceil;
  if (end === 0 || !Number.isFinite(bound) || Math.abs(factor * end) < MASK_RATIO * Math.abs(bound)) return undefined;
  return bound / end;
}

/** Infinities that meet say nothing. */
function known(floor: number, ceil: number): Bounds {
  return { floor: Number.isNaN(floor) ? -Infinity : floor, ceil: Number.isNaN(ceil) ? Infinity : ceil };
}

function weaker(a: Bounds, b: Bounds): Bounds {
  return { floor: Math.min(a.floor, b.floor), ceil: Math.max(a.ceil, b.ceil) };
}

/** Below which nothing counts beside the useful values, which are all above the highest gap; −Infinity where everything does. */
function usefulFloor(values: Intervals, margin: number): number {
  let from = values.length - 1;
  while (from > 0 && values[from]![0] - values[from - 1]![1] <= margin) from--;
  const high = highest(values);
  let low = values[from]![0];
  // Infinite values of a tensor of which only the range is known: a softmax's own rule, from the largest.
  if (low < -ENDLESS) {
    if (margin === 0) return -Infinity;
    low = high;
  }
  const floor = low - margin;
  // Masks upside down (samples of an input that is no mask): nothing to hold on to.
  if (high > ENDLESS || Math.abs(high) > LARGEST_RATIO * (high - low + margin + 1)) return -Infinity;
  return floor;
}

/** e^-20 of a sum. */
const LEAVES_NO_TRACE = 20;

/** What is above a mask must still have its digits as float32. */
const LARGEST_RATIO = 1 << 16;
