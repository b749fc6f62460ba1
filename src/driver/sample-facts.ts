/**
 * What samples look like on their way to the model: values that are no numbers, inputs that never change, pictures of 0…255. Float32
 * inputs only. The samples themselves are not changed.
 */
import { counted, firstOf } from "../base/text.ts";
import type { DataSet, InputSpec } from "../calibration/inputs.ts";
import type { ExpectedInput } from "../model/index.ts";
import type { Note } from "../passes/context.ts";
import { FLT_MAX } from "../rules/arithmetic.ts";
import { withKernels } from "../weights/kernels.ts";

interface InputFacts {
  readonly name: string;
  /** Numbers (from 1) of samples with values that are no finite numbers, and how many values. */
  readonly notFinite: Map<number, number>;
  min: number;
  max: number;
  /** All values are whole numbers from 0 to 255. */
  whole: boolean;
}

/** Pictures hold bytes: larger values than this are none that were scaled to 0…1 or −1…1. */
const BYTE_LIKE = 16;
const BYTE = 255;

export class SampleFacts {
  private readonly inputs: readonly (InputFacts | null)[];
  private seen = 0;

  /** By input: `expected`, what the model says of it; `scaled`, whether the model scales it itself. */
  constructor(
    specs: readonly InputSpec[],
    private readonly expected: readonly (ExpectedInput | undefined)[] = [],
    private readonly scaled: readonly boolean[] = [],
  ) {
    this.inputs = specs.map(({ name, dtype }) =>
      dtype === "FLOAT32"
        ? { name, notFinite: new Map(), min: Number.POSITIVE_INFINITY, max: Number.NEGATIVE_INFINITY, whole: true }
        : null,
    );
  }

  /** The data set, looked at while it is read the first time. */
  watch(data: DataSet): DataSet {
    const { inputs } = this;
    const look = (record: readonly Uint8Array[], number: number) => {
      this.seen = number;
      for (const [i, facts] of inputs.entries()) if (facts) lookAt(facts, record[i]!, number);
    };
    return {
      ...data,
      records: async function* () {
        let number = 0;
        for await (const record of data.records()) {
          look(record, ++number);
          yield record;
        }
      },
      close: () => data.close(),
    };
  }

  /** Positions of the inputs with −FLT_MAX in a sample. */
  withLowest(): number[] {
    return [...this.inputs.keys()].filter((position) => this.inputs[position]?.min === -FLT_MAX);
  }

  /** One line for each input with values that are no numbers; empty where there is none. */
  notFinite(): string[] {
    return this.inputs.flatMap((facts) => {
      if (!facts || facts.notFinite.size === 0) return [];
      const samples = [...facts.notFinite.keys()].sort((a, b) => a - b);
      const values = [...facts.notFinite.values()].reduce((sum, count) => sum + count, 0);
      const [noun, has, these] =
        samples.length > 1 ? ["samples", "have", "these samples"] : ["sample", "has", "this sample"];
      return [
        `input "${facts.name}": ${noun} ${firstOf(samples)} (counted from 1) ${has} ${counted(values, "value")} that ${values === 1 ? "is" : "are"} NaN or infinite; mend or leave out ${these}`,
      ];
    });
  }

  /** Warnings about the samples; made-up ones get none. `prepared`: it was stated which numbers bytes become. */
  notes(random: boolean, prepared = false): Note[] {
    const found: Note[] = this.notFinite().map((text) => ({ kind: "warning", code: "samples-not-finite", text }));
    if (random) return found;
    for (const [position, facts] of this.inputs.entries()) {
      if (!facts || facts.min > facts.max) continue;
      const { name, min, max, whole } = facts;
      const numbers = { min, max, samples: this.seen };
      const expected = this.expected[position];
      if (min === max)
        found.push({
          kind: "warning",
          code: "constant-samples",
          tensor: name,
          text: `input "${name}": is ${min} in all samples, so ranges of what follows say nothing; give samples as the model will see them`,
          numbers,
        });
      else if (expected) {
        // What the model says counts more than what values look like.
        if (contradicts(facts, expected))
          found.push({
            kind: "warning",
            code: "samples-contradict-model",
            tensor: name,
            text: `input "${name}": samples are ${short(min)} to ${short(max)}, but by ${expected.by} it expects ${short(expected.min)} to ${short(expected.max)}; give samples that are prepared as for the model`,
            numbers: { ...numbers, expectedMin: expected.min, expectedMax: expected.max },
          });
      } else if (!prepared && !this.scaled[position] && whole && min >= 0 && max <= BYTE && max > BYTE_LIKE)
        found.push({
          kind: "warning",
          code: "samples-look-like-bytes",
          tensor: name,
          text: `input "${name}": samples are whole numbers from ${min} to ${max}, as unscaled pictures are; if the model expects 0…1 or −1…1, scale the samples`,
          numbers,
        });
    }
    return found;
  }
}

/** Samples beyond what is expected by more than a twentieth of its width, or narrower than a sixteenth of it (0…1 where 0…255 is expected); of a recorded range, more than 16 times as wide. */
function contradicts({ min, max }: InputFacts, expected: ExpectedInput): boolean {
  const width = expected.max - expected.min;
  if (expected.recorded) return max - min > BYTE_LIKE * width;
  return min < expected.min - width / 20 || max > expected.max + width / 20 || max - min < width / 16;
}

const short = (value: number) => Number(value.toPrecision(4));

function lookAt(facts: InputFacts, bytes: Uint8Array, number: number): void {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  const values = new Float32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 4);
  if (values.length === 0) return;
  // By a kernel: a sample is a picture, and this code runs for the first time.
  const { min, max, nans } = withKernels(({ stream }) => stream.scoped(() => stream.minmax(stream.copyIn(values))));
  if (nans > 0 || !Number.isFinite(min) || !Number.isFinite(max))
    facts.notFinite.set(number, values.filter((value) => !Number.isFinite(value)).length);
  facts.min = Math.min(facts.min, min);
  facts.max = Math.max(facts.max, max);
  // Ends at the first value that is no whole number.
  facts.whole &&= min >= 0 && max <= BYTE && values.every((value) => value === Math.trunc(value));
}
