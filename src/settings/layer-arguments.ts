/** `--layer 'NAME=int16'`: settings of layers on the command line, with globs. */
import { closest } from "fastest-levenshtein";
import picomatch from "picomatch";
import { MinmaxqError, Problems, UsageError } from "../base/errors.ts";
import { firstOf } from "../base/text.ts";
import { activeNodes, type Graph, type Node } from "../graph/graph.ts";
import type { LayerSetting } from "../passes/context.ts";
import { DEFAULT_SCHEME, SCHEMES, type Scheme, weightSchemeNamed } from "../rules/schemes.ts";
import { KEEP_FLOAT, LAYER_WORDS } from "./layer-words.ts";
import type { LayerEntry } from "./layers.ts";

/** One `--layer` as given: names that match `pattern` get `setting`. */
export interface LayerArgument {
  readonly pattern: string;
  readonly setting: LayerSetting;
}

/**
 * Parses `NAME=SCHEME` or `NAME=SCHEME:GRANULARITY`; names may contain both signs. `model` is what the model has where the argument says
 * nothing of it. Throws UsageError.
 */
export function layerArgument(text: string, model: LayerSetting = DEFAULT_SCHEME): LayerArgument {
  const cut = text.lastIndexOf("=");
  const [schemeName = "", granularity = model.granularity] = text
    .slice(cut + 1)
    .toLowerCase()
    .split(":");
  const pattern = text.slice(0, cut);
  const wrong = (what: string) =>
    new UsageError(`--layer "${text}": ${what}; write 'NAME=int16', 'NAME=uint8:layer' or 'NAME=float32'`);
  if (cut <= 0) throw wrong("has no NAME=SCHEME");
  if (schemeName === KEEP_FLOAT) return { pattern, setting: { ...model, float: true } };
  const weights = weightSchemeNamed(schemeName);
  if (weights) return { pattern, setting: { ...model, weights } };
  const scheme: Scheme | undefined = Object.values(SCHEMES).find(({ name }) => name === schemeName);
  if (!scheme) throw wrong(`"${schemeName}" is no scheme, choose ${LAYER_WORDS.join(", ")}`);
  if (granularity !== "layer" && granularity !== "channel")
    throw wrong(`"${granularity}" is no granularity, choose layer or channel`);
  if (!scheme.granularities.includes(granularity))
    throw wrong(`granularity ${granularity} does not work with ${scheme.name}`);
  return { pattern, setting: { scheme, granularity } };
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
  const matches = (pattern: string, { float, weights }: LayerSetting): string[] => {
    // Both need no rule for a dtype of its own.
    const all = float || weights !== undefined;
    const kind = kindOf(pattern);
    if (kind !== undefined)
      return nodes.filter((node) => node.op === kind && (all || canBeSet(node))).map(({ name }) => name);
    const operators = nodes.filter(({ op }) => op !== "").map(({ name }) => name);
    return (all ? [...new Set(operators)] : eligible).filter(matcher(pattern));
  };
  for (const { pattern, setting } of layers) {
    const matching = names.has(pattern) ? [pattern] : matches(pattern, setting);
    for (const name of matching) chosen.set(name, setting);
    if (matching.length > 0) continue;
    const kind = kindOf(pattern);
    if (kind !== undefined) {
      const kinds = [...new Set(nodes.map(({ op }) => op))].filter((op) => op !== "").sort();
      problems.add(`--layer "${pattern}": the model has no operator of that kind; it has ${kinds.join(", ")}`);
      continue;
    }
    problems.add(
      `--layer "${pattern}": no layer is called so${hintAt(pattern, eligible)}; see the names with 'minmaxq inspect'`,
    );
  }
  problems.throwIfAny("--layer matches nothing");
  return [...chosen].map(([name, setting]) => ({ names: [name], ...setting }));
}

/** The names that may be meant: those that end so (`Mean` of `model/head/Mean`), else the most similar one. */
function hintAt(pattern: string, names: readonly string[]): string {
  if (names.length === 0) return "";
  const low = pattern.toLowerCase();
  const ending = names.filter((name) => name.toLowerCase().endsWith(`/${low}`));
  if (ending.length === 1) return ` (did you mean "${ending[0]}"?)`;
  if (ending.length > 1)
    return ` (${ending.length} end so: ${firstOf(ending.map((name) => `"${name}"`))}; "*/${pattern}" means all of them)`;
  return ` (did you mean "${closest(pattern, names)}"?)`;
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

/** `kind:LOGISTIC` → "LOGISTIC"; undefined for other patterns. */
function kindOf(pattern: string): string | undefined {
  return /^kind:(\w+)$/i.exec(pattern)?.[1]?.toUpperCase();
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
