/** What the phases of `verify` do, and its report: it writes nothing, so the Report of a result does not fit. */
import { FileError } from "../base/errors.ts";
import { counted } from "../base/text.ts";
import { type Recognized, recognize } from "../passes/recognize.ts";
import { graphsFor, targetProblems } from "../passes/target/check.ts";
import { verify } from "../passes/verify.ts";
import { FAMILIES, type Granularity } from "../rules/schemes.ts";
import type { Target } from "../rules/targets.ts";
import { checkInput } from "./paths.ts";
import type { Run } from "./run.ts";
import type { Settings } from "./settings.ts";

/** Settings of `verify`. */
export interface VerifySettings {
  /** Path of the file. */
  readonly model: string;
  /** Also hold it to what this runtime computes. */
  readonly target?: Target;
}

export interface SchemeFacts {
  readonly name: string;
  /** Whose scheme: "ONE" or "LiteRT". */
  readonly family: string;
  /** Of weights. */
  readonly granularities: readonly Granularity[];
  /** How many operators have it. */
  readonly operators: number;
}

/** What a file is, and what is wrong with it. Its shape is versioned as that of the Report. */
export interface VerifyReport {
  readonly reportVersion: 1;
  /** Path of the file. */
  readonly model: string;
  /** Number of quantized activations. */
  readonly quantized: number;
  /** Schemes of quantized operators, the most frequent first. */
  readonly schemes: readonly SchemeFacts[];
  readonly floatOperators: number;
  /** Of those the ones with quantized weights (dynamic range). */
  readonly floatOperatorsWithQuantizedWeights: number;
  /** One line each. */
  readonly problems: readonly string[];
  /** What works, but is worth a look; one line each. */
  readonly warnings: readonly string[];
}

/** Refuses a file that is not there. */
export function checkModelFile({ settings }: Run): void {
  checkInput(settings.model);
}

/** Tells each operator's scheme from the file, and has it held to that. */
export function recognizeSchemes(run: Run): void {
  run.recognized = recognize(run.graphs);
  for (const [name, setting] of run.recognized.layers) run.space.context.layers.set(name, setting);
}

/** Lists everything that breaks a rule; float operators are no problem. */
export function verifyFile(run: Run<VerifySettings & Settings>): void {
  const { context } = run.space;
  const { target } = run.settings;
  const { model, dialect } = run.opened;
  run.problems = [
    ...run.graphs.flatMap((graph) => {
      const tables = dialect === "tflite" ? model.subgraphs?.[context.graphs.indexOf(graph)]?.tensors : undefined;
      return verify(graph, context, { allowFloat: true, allowFloatWithWeights: true, tables });
    }),
    ...(target
      ? targetProblems({ graphs: graphsFor(run.opened.model, target), scanner: context.scanner }, target)
      : []),
  ];
}

/** The report of a run. Throws a MinmaxqError where nothing is quantized. */
export function verifyReportOf({ settings, recognized, problems, space }: Run): VerifyReport {
  const { schemes, activations, float, floatWithWeights } = recognized!;
  if (activations === 0 && floatWithWeights === 0 && problems.length === 0)
    throw new FileError(settings.model, "has no quantized activations; run 'minmaxq quantize' first");
  return {
    reportVersion: 1,
    model: settings.model,
    quantized: activations,
    schemes: schemeFacts(schemes),
    floatOperators: float + floatWithWeights,
    floatOperatorsWithQuantizedWeights: floatWithWeights,
    problems,
    warnings: space.context.notes.filter(({ kind }) => kind === "warning").map(({ text }) => text),
  };
}

export function schemeFacts(schemes: Recognized["schemes"]): SchemeFacts[] {
  return schemes.map(({ scheme, granularities, operators }) => ({
    name: scheme.name,
    family: FAMILIES[scheme.family],
    granularities,
    operators,
  }));
}

/** "int8 of LiteRT's scheme, weights per channel"; several with their numbers of operators. */
export function schemesText(schemes: readonly SchemeFacts[]): string {
  const one = ({ name, family, granularities, operators }: SchemeFacts) => {
    const weights = granularities
      .map((granularity) => (granularity === "layer" ? "tensor" : granularity))
      .join(" and ");
    const count = schemes.length > 1 ? ` (${counted(operators, "operator")})` : "";
    return `${name} of ${family}'s scheme${count}${weights && `, weights per ${weights}`}`;
  };
  return schemes.map(one).join(", ");
}
