/** What a run of the driver is told: everything that a command line, a front or a job list can say, as values. */
import type { LinearLayer } from "../accuracy/layers.ts";
import type { LayerQuantizer } from "../accuracy/round-layers.ts";
import type { AccuracySettings } from "../accuracy/settings.ts";
import type { HeldBack } from "../calibration/held-out.ts";
import type { GivenShape, MediaSettings, Reduction } from "../calibration/index.ts";
import type { Dialect } from "../model/index.ts";
import type { Context, QuantizeOptions, Workspace } from "../passes/context.ts";

/** Settings of every flow. */
export interface Settings {
  /** Path of the model. */
  readonly model: string;
  /** Where the result is written. */
  readonly output: string;
  /** Format of the result; by the ending of `output` where absent. */
  readonly dialect?: Dialect;
  /** Lets the output replace the model. */
  readonly force?: boolean;
  /** Files that are written beside the result after the run, by the option that names them; their places are checked first. */
  readonly reports?: Readonly<Record<string, string>>;
  /** What passes see; uint8 per channel where a flow does not ask. */
  readonly options?: QuantizeOptions;
  /** Layers with settings of their own. */
  readonly layers?: LayerSources;
  /** Write which operators of the model each operator comes from (§5.1). */
  readonly profile?: boolean;
}

export interface LayerSources {
  /** Path of a JSON file. */
  readonly config?: string;
  /** `NAME=DTYPE[:GRANULARITY]`, over the file. */
  readonly given?: readonly string[];
}

/** Settings of `quantize`. */
export interface QuantizeSettings extends Settings {
  /** Samples to record ranges from; absent = the ranges of the file. */
  readonly samples?: Samples;
  /** Steps of the preparation that are left out; "all" = none runs. */
  readonly withoutSteps?: readonly string[];
  /** Steps of the preparation that run on request only. */
  readonly withSteps?: readonly string[];
  /** Refuse a model with parts that would stay float. */
  readonly strict?: boolean;
  /** Do not load and run a .tflite result in LiteRT. */
  readonly withoutRun?: boolean;
  /** What is done for accuracy beside the scheme's rules; absent = nothing. */
  readonly accuracy?: AccuracySettings;
}

/** Settings of `record`. */
export interface RecordSettings extends Settings {
  readonly samples: Samples;
}

/** Settings of a change of graphs. */
export interface TransformSettings extends Settings, Pick<QuantizeSettings, "samples" | "accuracy"> {
  /** What weights become, where accuracy has a say in it; null for layers that stay as they are. */
  quantizerOf?(layer: LinearLayer, context: Context): LayerQuantizer | null;
  /** Changes the graphs of the workspace; gives what was done, for people. */
  change(space: Workspace): string | Promise<string>;
}

/** Settings of a mode of the drop-in front. */
export interface ReferenceSettings extends Settings {
  /** Changes the graphs, in file order. */
  change(space: Workspace): void;
  /** The result is held to the verifier. */
  readonly verified: boolean;
}

/** Samples of one signature. */
export interface SampleSource {
  /** Absent: the default one, or the first subgraph where the model has none (src/driver/signatures.ts). */
  readonly signature?: string;
  /** File, folder, or a word such as random:8. */
  readonly location: string;
  readonly format?: string;
}

/** Samples and how ranges come from them. */
export interface Samples {
  /** One or more, no two for the same signature. */
  readonly sources: readonly SampleSource[];
  /** Which of them are used; absent: all. */
  readonly held?: HeldBack;
  /** Shapes of inputs whose sizes the model leaves open. */
  readonly inputShapes?: readonly GivenShape[];
  /** How pictures and sounds become samples; without it they are not taken. */
  readonly media?: MediaSettings;
  readonly reduction: Reduction;
  /** Workers that run the model; results do not depend on it. */
  readonly workers?: number;
  /** Bytes that the process may have resident while samples run. */
  readonly memoryLimit?: number;
  readonly fastMath?: boolean;
  /** The samples follow each other: a model's state stays from one to the next. */
  readonly sequence?: boolean;
}
