/**
 * Which subgraphs of a model are quantized.
 *
 *     with samples      those that samples are for
 *     without           those that have recorded ranges, or the first one where none has
 *     in either case    none that an operator of another one runs (IF, WHILE, a composite's decomposition)
 *
 * All others stay float, and each of them is told.
 */
import { FileError } from "../base/errors.ts";
import { indented } from "../base/text.ts";
import { variablesOf } from "../calibration/stepwise/needs.ts";
import { activeNodes, describe } from "../graph/graph.ts";
import { hasRange } from "../graph/quantparam.ts";
import { calledSubgraphs, type Model, reachableSubgraphs, signaturesOf, subgraphCalls } from "../model/index.ts";
import type { Note } from "../passes/context.ts";
import { writtenSubgraphs } from "../passes/workspace.ts";
import { kindFacts } from "../rules/kind-facts.ts";
import type { Run } from "./run.ts";
import type { QuantizeSettings } from "./settings.ts";
import { dataText, type Fed, fedBy, subgraphTitle } from "./signatures.ts";

type Own = Run<QuantizeSettings>;

/** Chooses the graphs that the run works on. Throws a UsageError for samples that are for no part of the model, a MinmaxqError when nothing is left. */
export function chooseSubgraphs(run: Own): void {
  run.facts.scheme = run.options.scheme.name;
  run.facts.granularity = run.options.granularity;
  const { space, settings } = run;
  const { model } = space.opened;
  const feds = settings.samples && fedBy(model, settings.samples.sources);
  const called = calledSubgraphs(model);
  const recorded = space.graphs.map((graph) => graph.nodes.some((node) => hasRange(node.quant)));
  const reasons = space.graphs.map((_, subgraph) => {
    if (called.has(subgraph)) return null;
    if (feds) return reasonWithSamples(model, feds, subgraph, recorded[subgraph]!);
    const wanted = recorded[subgraph] || (subgraph === 0 && !recorded.some((each) => each));
    return wanted ? undefined : `it has no recorded ranges; ${remedyOf(model, subgraph, "record")}`;
  });
  const isChosen = (subgraph: number) => reasons[subgraph] === undefined;
  for (const [subgraph, reason] of reasons.entries())
    if (reason)
      space.context.notes.push({
        kind: "float",
        code: feds?.some((fed) => fed.subgraph === subgraph) ? "foreign-state" : "subgraph-without-ranges",
        subgraph,
        text: `${subgraphTitle(model, subgraph)}: ${reason}`,
      });
  run.graphs = space.graphs.filter((_, subgraph) => isChosen(subgraph));
  run.fed = (feds ?? []).filter(({ subgraph }) => isChosen(subgraph));
  noteSharedState(run);
  if (run.graphs.length > 0) return;
  const causes = [...space.context.notes.map(({ text }) => text)];
  for (const subgraph of called) causes.push(`${subgraphTitle(model, subgraph)}: another subgraph runs it`);
  throw new FileError(settings.model, `no part of it can be quantized:\n${indented(causes)}`);
}

/** Why a subgraph stays float although there are samples; undefined where it does not. */
function reasonWithSamples(
  model: Model,
  feds: readonly Fed[],
  subgraph: number,
  isRecorded: boolean,
): string | undefined {
  const fed = feds.find((each) => each.subgraph === subgraph);
  if (fed) return foreignState(model, subgraph);
  const lead = isRecorded
    ? "the samples are for others, and its recorded ranges count without samples only"
    : "it has no samples";
  return `${lead}; ${remedyOf(model, subgraph, "give")}`;
}

function remedyOf(model: Model, subgraph: number, what: "give" | "record"): string {
  const signature = signaturesOf(model).find((each) => each.subgraph === subgraph);
  if (!signature && subgraph > 0) return "no signature names it, so it cannot be given samples";
  const data = `--data ${signature ? `${signature.name}=` : ""}SAMPLES`;
  return what === "give" ? `give ${data}` : `record it, too, with 'minmaxq record ${data}'`;
}

/** That a subgraph cannot be recorded because its state comes from others; undefined where it does not. */
function foreignState(model: Model, subgraph: number): string | undefined {
  const { read, assigned } = variablesOf(model, reachableSubgraphs(model, subgraph));
  for (const name of read) {
    const others = assigned.has(name) ? [] : assigning(model, subgraph, name);
    if (others.length > 0)
      return `it reads the variable "${name}", which only ${titles(model, others)} assigns, and recording one shows nothing of the other's state; export the model with that state as an input and an output`;
  }
  return undefined;
}

/** Subgraphs that assign a variable and that a subgraph does not run itself. */
function assigning(model: Model, subgraph: number, name: string): number[] {
  const own = reachableSubgraphs(model, subgraph);
  return (model.subgraphs ?? []).flatMap((_, other) =>
    !own.includes(other) && variablesOf(model, [other]).assigned.has(name) ? [other] : [],
  );
}

function titles(model: Model, subgraphs: readonly number[]): string {
  return subgraphs.map((subgraph) => subgraphTitle(model, subgraph)).join(" and ");
}

/** Throws a MinmaxqError where samples are for a subgraph that reads what only others assign. */
export function refuseForeignState(model: Model, { source, subgraph }: Fed): void {
  const reason = foreignState(model, subgraph);
  if (!reason) return;
  throw new FileError(dataText(source), `${subgraphTitle(model, subgraph)} cannot be recorded: ${reason}`, {
    code: "foreign-state",
  });
}

/** A note for each signature's subgraph that gets no ranges because no samples are for it. */
export function notRecorded(model: Model, feds: readonly Fed[]): Note[] {
  const named = new Set(signaturesOf(model).map(({ subgraph }) => subgraph));
  for (const { subgraph } of feds) named.delete(subgraph);
  return [...named].map((subgraph) => ({
    kind: "note",
    code: "not-recorded",
    subgraph,
    text: `${subgraphTitle(model, subgraph)}: is not recorded, because it has no samples; ${remedyOf(model, subgraph, "give")}`,
  }));
}

/** Variables that a recorded subgraph reads, and that others assign as well as itself: its ranges are of its own values only. */
function noteSharedState({ fed, space }: Own): void {
  const { model } = space.opened;
  for (const subgraph of new Set(fed.map((each) => each.subgraph))) {
    const { read, assigned } = variablesOf(model, reachableSubgraphs(model, subgraph));
    for (const name of read) {
      const others = assigned.has(name) ? assigning(model, subgraph, name) : [];
      if (others.length === 0) continue;
      space.context.notes.push({
        kind: "warning",
        code: "shared-state",
        subgraph,
        text: `${subgraphTitle(model, subgraph)}: reads the variable "${name}", which ${titles(model, others)} assigns, too; recording shows only what it assigns itself, so hold the result to real use`,
      });
    }
  }
}

/** Subgraphs that operators of others still run stay float. Runs behind the preparation. */
export function noteCalledSubgraphs({ space }: Own): void {
  const { model } = space.opened;
  const callers = new Map<number, string>();
  const written = writtenSubgraphs(space);
  for (const own of written) {
    for (const node of activeNodes(space.graphs[own]!)) {
      if (node.kind !== "operator" || !node.operator) continue;
      const why = kindFacts(node.op).decomposes
        ? `it is the decomposition of ${describe(node)}`
        : "control flow runs it";
      for (const subgraph of subgraphCalls(node.operator))
        if (subgraph !== own && !callers.has(subgraph)) callers.set(subgraph, why);
    }
  }
  // Something else names it, a signature say.
  for (const subgraph of calledSubgraphs(model))
    if (written.has(subgraph) && !callers.has(subgraph))
      callers.set(subgraph, "its operators were put in the place of what runs it, and it stays as it is");
  for (const [subgraph, why] of [...callers].sort(([a], [b]) => a - b))
    space.context.notes.push({
      kind: "float",
      code: "called-subgraph",
      subgraph,
      text: `${subgraphTitle(model, subgraph)}: ${why}`,
    });
}
