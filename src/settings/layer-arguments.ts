/** `--layer 'NAME=int16'`: settings of layers on the command line, with globs. */
import { closest } from "fastest-levenshtein";
import picomatch from "picomatch";
import { MinmaxqError, Problems, UsageError } from "../base/errors.ts";
import { activeNodes, type Graph, type Node } from "../graph/graph.ts";
import type { LayerSetting } from "../passes/context.ts";
import { type Granularity, SCHEMES, type Scheme } from "../rules/schemes.ts";
import type { LayerEntry } from "./layers.ts";

/** One `--layer` as given: names that match `pattern` get `setting`. */
export interface LayerArgument {
  readonly pattern: string;
  readonly setting: LayerSetting;
}

/** Parses `NAME=DTYPE` or `NAME=DTYPE:GRANULARITY`; names may contain both signs. Throws UsageError. */
export function layerArgument(text: string, fallback: Granularity = "channel"): LayerArgument {
  const cut = text.lastIndexOf("=");
  const [dtypeName = "", granularity = fallback] = text
    .slice(cut + 1)
    .toLowerCase()
    .split(":");
  const scheme: Scheme | undefined = Object.values(SCHEMES).find(({ name }) => name === dtypeName);
  const wrong = (what: string) =>
    new UsageError(`--layer "${text}": ${what}; write 'NAME=int16' or 'NAME=uint8:layer'`);
  if (cut <= 0) throw wrong("has no NAME=DTYPE");
  if (!scheme) throw wrong(`"${dtypeName}" is no dtype, choose uint8 or int16`);
  if (granularity !== "layer" && granularity !== "channel")
    throw wrong(`"${granularity}" is no granularity, choose layer or channel`);
  if (!scheme.granularities.includes(granularity)) throw wrong(`granularity ${granularity} works with uint8 only`);
  return { pattern: text.slice(0, cut), setting: { scheme, granularity } };
}

/**
 * Entries of the arguments; of several that match a name the last one counts. A name that a model has is taken literally;
 * else `*`, `?` and `[…]` match, and only layers that can have a dtype of their own. Throws one error for all arguments that
 * match nothing, with a typo hint.
 */
export function layerEntries(graphs: readonly Graph[], layers: readonly LayerArgument[]): LayerEntry[] {
  const nodes = graphs.flatMap(activeNodes).filter((node) => node.kind !== "output");
  const names = new Set(nodes.map((node) => node.name));
  const eligible = [...new Set(nodes.filter(canBeSet).map((node) => node.name))];
  const chosen = new Map<string, LayerSetting>();
  const problems = new Problems();
  for (const { pattern, setting } of layers) {
    const matching = names.has(pattern) ? [pattern] : eligible.filter(matcher(pattern));
    for (const name of matching) chosen.set(name, setting);
    if (matching.length > 0) continue;
    const hint = eligible.length > 0 ? ` (did you mean "${closest(pattern, eligible)}"?)` : "";
    problems.add(`--layer "${pattern}": no layer is called so${hint}; see the names with 'minmaxq inspect'`);
  }
  problems.throwIfAny("--layer matches nothing");
  return [...chosen].map(([name, setting]) => ({ names: [name], ...setting }));
}

/** The arguments' entries over those of a file: a name that both set is the arguments'. */
export function mergeLayers(lists: readonly (readonly LayerEntry[])[], over: readonly LayerEntry[]): LayerEntry[][] {
  if (over.length === 0) return lists.map((list) => [...list]);
  if (lists.length > 1)
    throw new MinmaxqError("--layer: cannot be used with a --config that has alternates; put the layers into the file");
  const names = new Set(over.flatMap((entry) => entry.names));
  const kept = (lists[0] ?? []).map((entry) => ({ ...entry, names: entry.names.filter((name) => !names.has(name)) }));
  return [[...kept.filter((entry) => entry.names.length > 0), ...over]];
}

function canBeSet(node: Node): boolean {
  return (node.kind === "operator" || node.kind === "result") && node.row.mixed !== undefined && !node.float;
}

/** Slashes and braces are ordinary characters of tensor names. */
function matcher(pattern: string): (name: string) => boolean {
  const matches = picomatch(pattern.replaceAll("/", "\u0001"), {
    dot: true,
    noextglob: true,
    nobrace: true,
    nonegate: true,
  });
  return (name) => matches(name.replaceAll("/", "\u0001"));
}
