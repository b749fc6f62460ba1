/**
 * Constants of several graphs that are the same bytes, seen the same way, are one description, so that what is made of them is made, and
 * written, once: signatures share their weights.
 *
 *     encode: FULLY_CONNECTED(x, w: half of buffer 3)        decode: FULLY_CONNECTED(y, w: half of buffer 3)   →   one w
 *
 * Tensors of one graph that share a buffer stay apart, as they are in models of one graph: the first is one with another graph's first, the
 * second with its second. No byte is read.
 */
import type { Graph } from "../graph/graph.ts";
import type { ByteRange } from "../model/bytes.ts";
import type { Constant } from "../weights/constant.ts";

export function shareConstants(graphs: readonly Graph[]): void {
  if (graphs.length < 2) return;
  const known = new Map<Constant | ByteRange, Constant[]>();
  for (const graph of graphs) {
    const own = new OwnConstants(known);
    for (const node of graph.nodes) if (node.constant) node.constant = own.shared(node.constant);
    own.end();
  }
}

/** The constants of one graph while they are looked at. `known`: those of the graphs before, by what they are made of. */
class OwnConstants {
  private readonly found = new Map<Constant, Constant>();
  private readonly taken = new Set<Constant>();
  private readonly added: [Constant | ByteRange, Constant][] = [];

  constructor(private readonly known: Map<Constant | ByteRange, Constant[]>) {}

  /** The constant of an earlier graph that says the same, or this one. */
  shared(constant: Constant): Constant {
    const before = this.found.get(constant);
    if (before) return before;
    const shared = this.look(constant);
    this.found.set(constant, shared);
    return shared;
  }

  private look(constant: Constant): Constant {
    if (constant.kind !== "stored" && !SEEN_AS.has(constant.kind)) return constant;
    const of = constant.kind === "stored" ? constant.content : this.shared(constant.of);
    const same = this.known.get(of)?.find((each) => !this.taken.has(each) && says(each, constant));
    if (same) {
      this.taken.add(same);
      return same;
    }
    const own = constant.kind === "stored" || constant.of === of ? constant : ({ ...constant, of } as Constant);
    this.added.push([of, own]);
    return own;
  }

  /** The next constants are another graph's. */
  end(): void {
    for (const [of, constant] of this.added) this.known.set(of, [...(this.known.get(of) ?? []), constant]);
  }
}

/** Descriptions that have all their numbers from the start. */
const SEEN_AS: ReadonlySet<Constant["kind"]> = new Set([
  "half",
  "dense",
  "dequantized",
  "scaled",
  "clamped",
  "shifted",
]);

/** Whether two descriptions of the same thing are equal. */
function says(a: Constant, b: Constant): boolean {
  const { of: _, content: __, ...one } = a as { of?: unknown; content?: unknown };
  const { of: ___, content: ____, ...other } = b as { of?: unknown; content?: unknown };
  return Bun.deepEquals(one, other);
}
