/** Options of commands that search (`tune`, `diagnose`) → settings of src/search. */
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SidePart } from "../compare/side.ts";
import type { Io } from "../driver/io.ts";
import { dialectOf } from "../driver/paths.ts";
import type { SampleSource } from "../driver/settings.ts";
import { openModel } from "../model/index.ts";
import { recognize } from "../passes/recognize.ts";
import { workspace } from "../passes/workspace.ts";
import { DEFAULT_SCHEME, DEFAULT_SCHEMES } from "../rules/schemes.ts";
import type { Diagnosis } from "../search/diagnose.ts";
import type { SearchSettings } from "../search/session.ts";
import { PREPARE_OPTIONS, RECORDING_OPTIONS, SCHEME_OPTIONS, TARGET_OPTIONS } from "./lists.ts";
import { weightSchemeOf } from "./scheme.ts";
import { quantizeSettings, samplesOf } from "./settings.ts";
import type { OptionName } from "./table.ts";
import type { OptionValues } from "./values.ts";

/** Samples that are held back where nothing is said. */
export const USUAL_SPLIT = 0.5;

/** What both commands take of `quantize`'s options. Samples of a sequence cannot be dealt out. */
export const SEARCH_OPTIONS: readonly OptionName[] = [
  ...RECORDING_OPTIONS.filter((name) => name !== "sequence"),
  ...SCHEME_OPTIONS,
  ...TARGET_OPTIONS,
  ...PREPARE_OPTIONS,
];

/** `output`: where the result goes, or beside which temporary files are written; the schemes are those of its format. */
export function searchSettings(model: string, options: OptionValues, output: string): SearchSettings {
  const own = { ...options, output };
  const settings = quantizeSettings(model, own);
  const scheme = weightSchemeOf(own);
  return {
    ...settings,
    ...(scheme && { weights: { scheme, ...(options.block && { block: options.block }) } }),
    dialect: dialectOf(output),
    samples: samplesOf(own)!,
    split: options.split ?? USUAL_SPLIT,
  };
}

/**
 * Diagnoses a quantized model that is there already, on the samples that `compare` looks at. Its constants are compared with those of the
 * float model as `quantize` prepares it. Throws a MinmaxqError.
 */
export async function whyOf(
  [float, quantized]: readonly [string, string],
  source: SampleSource,
  options: OptionValues,
  part: SidePart,
  io: Io,
): Promise<Diagnosis> {
  const [{ diagnose }, { Session }, { openSwitches }] = await Promise.all([
    import("../search/diagnose.ts"),
    import("../search/session.ts"),
    import("../search/switches.ts"),
  ]);
  const { scheme, granularity } = schemeOfFile(quantized, part.subgraph);
  const dialect = dialectOf(quantized);
  const beside = join(tmpdir(), `minmaxq.${dialect}`);
  const held = options.split === undefined ? undefined : ({ share: options.split, take: "held" } as const);
  const samples = { ...samplesOf({ ...options, mode: "minmax" }, scheme)!, sources: [source], held };
  const settings = {
    model: float,
    output: beside,
    dialect,
    options: { scheme, granularity },
    samples,
    split: USUAL_SPLIT,
  };
  const session = await Session.prepared(settings, io);
  try {
    const switches = await openSwitches(quantized, session.prepared, part.subgraph);
    const bench = await session.benchOf(samples);
    try {
      return await diagnose({ bench, switches, float: session.prepared, scheme, granularity, dialect }, io);
    } finally {
      bench.close();
    }
  } finally {
    session.close();
  }
}

/** The scheme that most of a file's operators have; the format's usual one where none is recognized. */
function schemeOfFile(path: string, subgraph: number) {
  const opened = openModel(path);
  try {
    const usual = { scheme: DEFAULT_SCHEMES[opened.dialect], granularity: DEFAULT_SCHEME.granularity };
    const graph = workspace(opened, DEFAULT_SCHEME).graphs[subgraph]!;
    const [found] = recognize([graph]).schemes;
    return found ? { scheme: found.scheme, granularity: found.granularities[0] ?? usual.granularity } : usual;
  } finally {
    opened.close();
  }
}
