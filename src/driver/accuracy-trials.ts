/**
 * Trying out what a run would come to: a copy of its graphs goes through the rest of the flow into a temporary file, and what that computes on
 * samples that are held out is held to the float model.
 */
import { tmpdir } from "node:os";
import { join } from "node:path";
import { errorsOf, type OutputError, type Outputs } from "../accuracy/accept.ts";
import { withFloatRounding } from "../accuracy/float-rounding.ts";
import { dataOf, type KeptRecord, type KeptRecords } from "../accuracy/kept-records.ts";
import { areSideBySide, comparableOutputs, outputsOf } from "../accuracy/outputs.ts";
import { runSteps } from "../base/steps.ts";
import { removeTemporary, temporaryPath } from "../base/temporary.ts";
import { cloneGraph } from "../graph/clone.ts";
import { type OpenedModel, openModel } from "../model/index.ts";
import { inferDtypes } from "../passes/infer-dtypes.ts";
import { fakeQuantizeModel } from "../passes/transform/fake-quantize-model.ts";
import { exportWorkspace, workspace } from "../passes/workspace.ts";
import { DEFAULT_SCHEME } from "../rules/schemes.ts";
import { fillConstants } from "../weights/fill.ts";
import { PendingContents } from "../weights/pending.ts";
import { ConstantScanner } from "../weights/scan.ts";
import { SILENT } from "./io.ts";
import { type Phase, Run } from "./run.ts";
import type { QuantizeSettings } from "./settings.ts";
import { writeWorkspace } from "./write.ts";

type Own = Run<QuantizeSettings>;

/** The quantized model as a float model that rounds as it does. */
export interface Quantized {
  readonly model: OpenedModel["model"];
  readonly space: ReturnType<typeof workspace>;
  readonly nodes: ReturnType<typeof exportWorkspace>["nodes"];
  close(): void;
}

interface Reference {
  readonly subgraph: number;
  readonly positions: readonly number[];
  /** Samples that steps are tried on. */
  readonly judges: readonly KeptRecord[];
  readonly outputs: Outputs;
}

export class Trials {
  private constructor(
    private readonly run: Own,
    /** From recorded ranges to the file. */
    private readonly rest: readonly Phase<QuantizeSettings>[],
    private readonly references: readonly Reference[],
  ) {}

  /** Runs the float model on what is held out; null where there is nothing to hold results to. */
  static async begin(run: Own, rest: readonly Phase<QuantizeSettings>[], kept: KeptRecords): Promise<Trials | null> {
    const references: Reference[] = [];
    for (const [number, { subgraph }] of run.fed.entries()) {
      const judges = kept.of(number).filter((each) => each.judges);
      const { model } = run.opened;
      const positions = comparableOutputs(model, subgraph);
      if (judges.length === 0 || positions.length === 0) continue;
      const judged = run.judged.get(number);
      const known = positions.map((position) => judges.map(({ record }) => judged?.(record, position)));
      const outputs = known.every((values): values is Float32Array[] => values.every((each) => each !== undefined))
        ? known
        : await outputsOf(model, subgraph, positions, dataOf(judges, "trial samples"), optionsOf(run, judges.length));
      references.push({ subgraph, positions, judges, outputs });
    }
    return references.length === 0 ? null : new Trials(run, rest, references);
  }

  /** How many samples steps are tried on, and how many of these set neither ranges nor weights. */
  get samples(): { all: number; held: number } {
    const judges = this.references.flatMap((each) => each.judges);
    return { all: judges.length, held: judges.filter(({ held }) => held).length };
  }

  /** Of the only set of samples: which outputs are compared, and what they are off by when records of these numbers yield `found`. */
  get positions(): readonly number[] {
    return this.references[0]!.positions;
  }

  errorsOf(records: readonly number[], found: Outputs): OutputError[] {
    const { judges, outputs } = this.references[0]!;
    const places = judges.map(({ record }) => records.indexOf(record));
    return errorsOf(
      outputs.map((values) => values.filter((_, i) => places[i]! >= 0)),
      found.map((values) => places.flatMap((place) => (place < 0 ? [] : [values[place]!]))),
    );
  }

  /** Of the only set of samples: the records that steps are tried on. */
  get records(): number[] {
    return this.references[0]!.judges.map(({ record }) => record);
  }

  get areSideBySide(): boolean {
    return areSideBySide(this.run.settings.samples!);
  }

  /** What each output of two models is off by, on some of the records. */
  async errorsOfBoth(
    models: readonly [Pick<Quantized, "model">, Pick<Quantized, "model">],
    isWanted: (record: number) => boolean,
  ): Promise<[OutputError[], OutputError[]]> {
    const [first, second] = models;
    if (this.areSideBySide)
      return Promise.all([this.errorsOfModel(first, isWanted), this.errorsOfModel(second, isWanted)]);
    return [await this.errorsOfModel(first, isWanted), await this.errorsOfModel(second, isWanted)];
  }

  /**
   * What each output is off by for weights and biases alone: activations stay float. What a step does to weights shows in that without the chance of activations'
   * rounding, which is larger and would decide on few samples.
   */
  measureWeights(): Promise<OutputError[]> {
    return this.errorsOfModel(exportWorkspace(this.run.space));
  }

  /** What each output of a model is off by, on some of the records. */
  async errorsOfModel(
    { model }: Pick<Quantized, "model">,
    isWanted: (record: number) => boolean = () => true,
  ): Promise<OutputError[]> {
    const all: OutputError[] = [];
    for (const { subgraph, positions, judges: every, outputs: wanted } of this.references) {
      const judges = every.filter(({ record }) => isWanted(record));
      const outputs = wanted.map((values) => values.filter((_, i) => isWanted(every[i]!.record)));
      const data = dataOf(judges, "trial samples");
      const options = { ...optionsOf(this.run, judges.length), fill: fillConstants };
      all.push(...errorsOf(outputs, await outputsOf(model, subgraph, positions, data, options)));
    }
    return all;
  }

  /** The model that the run would give now. Close it. `undone`: `--accuracy` does nothing any more. */
  async quantized(undone = false): Promise<Quantized> {
    const { run } = this;
    const copies = run.space.graphs.map(cloneGraph);
    const graphs = copies.map(({ graph }) => graph);
    const at = (graph: Own["graphs"][number]) => run.space.graphs.indexOf(graph);
    const context: Own["space"]["context"] = {
      ...run.space.context,
      graphs,
      notes: [],
      made: new WeakMap(),
      scanner: new ConstantScanner(),
    };
    const path = temporaryPath(join(tmpdir(), `minmaxq-trial.${run.dialect}`));
    const trial = new Run<QuantizeSettings>({ ...run.settings, strict: false, output: path }, SILENT);
    trial.opened = run.opened;
    trial.undone = undone;
    trial.space = {
      ...run.space,
      graphs,
      context,
      contents: new PendingContents(),
      inlined: new Set(run.space.inlined),
    };
    trial.graphs = run.graphs.map((graph) => graphs[at(graph)]!);
    for (const [number, graph] of run.space.graphs.entries()) {
      for (const node of run.passedOver)
        if (graph.nodes[node.id] === node) trial.passedOver.add(copies[number]!.copyOf(node));
    }
    try {
      await runSteps(this.rest, [trial]);
      await writeWorkspace(trial.space, path, run.dialect);
      return openQuantized(path);
    } catch (error) {
      removeTemporary(path);
      throw error;
    } finally {
      await trial.end();
      await trial.stream.close();
    }
  }
}

function openQuantized(path: string): Quantized {
  const opened = openModel(path);
  const space = workspace(opened, DEFAULT_SCHEME);
  for (const graph of space.graphs) fakeQuantizeModel(graph, true);
  for (const graph of space.graphs) inferDtypes(graph, space.graphs);
  const { model, nodes } = exportWorkspace(space);
  return {
    ...{ model: withFloatRounding(model), space, nodes },
    close() {
      opened.close();
      removeTemporary(path);
    },
  };
}

/** A Worker has to load the model before its first record, which a few records are not worth. */
const WORTH_A_WORKER = 8;

function optionsOf({ settings: { samples }, gathered }: Own, records: number) {
  const { workers, memoryLimit, fastMath, sequence } = samples!;
  return {
    ...{ memoryLimit, fastMath, sequence, heldBytes: gathered!.inMemory },
    workers: records <= WORTH_A_WORKER ? 1 : workers,
  };
}
