/**
 * A RUN: one model through one flow, and what lives for it. Whatever a step opens is closed at the end of the run, however it ends.
 */
import { statSync } from "node:fs";
import type { EqualizedGraph } from "../accuracy/equalize/index.ts";
import type { Extremes } from "../accuracy/equalize/statistics.ts";
import type { Gathered } from "../accuracy/gathered.ts";
import { peakMemory } from "../base/memory.ts";
import { runSteps, type Step, type StepTime } from "../base/steps.ts";
import type { Shapes } from "../calibration/inputs.ts";
import type { Graph, Node } from "../graph/graph.ts";
import type { Model, OpenedModel } from "../model/index.ts";
import type { Note, QuantizeOptions, Workspace } from "../passes/context.ts";
import type { Prepared } from "../passes/prepare/index.ts";
import type { Recognized } from "../passes/recognize.ts";
import { DEFAULT_SCHEME } from "../rules/schemes.ts";
import { WeightStream } from "../weights/fill.ts";
import { about } from "./about.ts";
import type { Io } from "./io.ts";
import { dialectOf } from "./paths.ts";
import { countLayers, countQuantized, type Report, reportSubgraphs } from "./report.ts";
import type { Settings } from "./settings.ts";
import type { Fed } from "./signatures.ts";

/** Facts of the Report that steps find. */
type Facts = {
  -readonly [Name in
    | "scheme"
    | "granularity"
    | "done"
    | "ranges"
    | "rangesWritten"
    | "targetHint"
    | "run"]?: Report[Name];
};

/** What the steps of a flow work on. Members without a value are set by the step that the comment names. */
export class Run<S extends Settings = Settings> {
  /** By "open". */
  opened!: OpenedModel;
  /** By "import". */
  space!: Workspace;
  /** Tables to write instead of those that were opened; by "record". */
  tables?: Model;
  /** Graphs that are worked on; by "import", then "choose subgraphs". */
  graphs: readonly Graph[] = [];
  /** Which subgraphs samples are for; by "choose subgraphs" or "record". */
  fed: readonly Fed[] = [];
  /** Lines about activations without a range, for flows that take such models (reference). */
  missing: readonly string[] = [];
  /** What a file's operators are; by "recognize". */
  recognized?: Recognized;
  /** What breaks a rule, one line each; by "verify" of VERIFY_FLOW. */
  problems: readonly string[] = [];
  readonly prepared: Prepared[] = [];
  /** What the Report says beside what is derived from graphs. */
  readonly facts: Facts = {};
  /** Inputs whose recorded range passes −FLT_MAX over; by "record". */
  readonly passedOver = new Set<Node>();
  /** What layers read; by "begin moments", then "record". */
  gathered?: Gathered;
  /** What tensors were before channels were evened out, and how to have graphs so again; by "equalize". */
  readonly unequalized: {
    readonly extremes: ReadonlyMap<Node, Extremes>;
    set(equalized: boolean): void;
  }[] = [];
  /** By set of samples: what the float model yields for samples that judge, as `judged` of EqualizedGraph; by "equalize". */
  readonly judged = new Map<number, EqualizedGraph["judged"]>();
  /** `--accuracy` was undone as a whole; by "correct layers". */
  undone = false;
  verified = false;
  /** Where the result is when it is whole and has no name yet; by "write". */
  temporary?: string;
  /** Shapes of the first sample's inputs, where the model leaves them open; by "record". */
  shapes?: Shapes;
  readonly times: StepTime[] = [];
  /** Threads of the weight stream, and what they have begun of the output. */
  readonly stream: WeightStream;
  private readonly closers: (() => void | Promise<void>)[] = [];

  constructor(
    readonly settings: S,
    readonly io: Io,
    /** Does what the reference does, where that differs from what our own commands do. */
    readonly likeReference = false,
  ) {
    this.stream = new WeightStream(undefined, io.progress);
  }

  /** What passes see. */
  get options(): QuantizeOptions {
    return this.settings.options ?? DEFAULT_SCHEME;
  }

  /** Format of the result. */
  get dialect() {
    return dialectOf(this.settings.output, this.settings.dialect);
  }

  /** Notes of flows without graphs. */
  readonly found: Note[] = [];

  /** Notes that passes and phases made. */
  get notes(): readonly Note[] {
    return [...this.found, ...(this.space?.context.notes ?? [])];
  }

  /** Has `close` called at the end; the last that is added is called first. */
  atEnd(close: () => void | Promise<void>): void {
    this.closers.push(close);
  }

  async end(): Promise<void> {
    while (this.closers.length > 0) await this.closers.pop()!();
  }
}

/** A step of a flow. */
export interface Phase<S extends Settings = Settings> extends Step<[Run<S>]> {
  /** Has to do with files only: left out where a model is worked on in memory. */
  readonly files?: true;
}

/** Runs a flow. Errors about the model say so; nothing is left half-written. Throws a MinmaxqError. */
export function runFlow<S extends Settings>(flow: readonly Phase<S>[], run: Run<S>): Promise<Report> {
  const started = performance.now();
  return runPhases(flow, run, () => reportOf(run, (performance.now() - started) / 1000));
}

/** Runs the phases of a flow, and `report` before the run's files are closed. */
export async function runPhases<S extends Settings, R>(
  flow: readonly Phase<S>[],
  run: Run<S>,
  report: () => R,
): Promise<R> {
  try {
    await about(run.settings.model, async () => runSteps(flow, [run], { ended: (time) => run.times.push(time) }));
    return report();
  } finally {
    await run.end();
  }
}

function reportOf(run: Run, seconds: number): Report {
  const { settings, opened, prepared, graphs } = run;
  let subgraphs: Report["subgraphs"] | undefined;
  const all = run.space?.graphs ?? [];
  return {
    reportVersion: 1,
    model: { path: settings.model, format: opened.dialect, bytes: opened.source.size },
    output: { path: settings.output, format: run.dialect, bytes: statSync(settings.output).size },
    ...run.facts,
    ...(run.options.target && { target: run.options.target.name }),
    verified: run.verified,
    prepared,
    notes: run.notes,
    counts: countQuantized(graphs),
    layers: countLayers(all),
    peakMemory: peakMemory(),
    seconds,
    steps: run.times,
    get subgraphs() {
      subgraphs ??= reportSubgraphs(all, graphs, prepared);
      return subgraphs;
    },
  };
}
