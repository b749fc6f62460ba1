/** The Report of a run that wrote a model (src/driver/report.ts). */
import { z } from "zod";
import type { Report } from "../driver/report.ts";
import { COUNT, FILE, FLOAT, list, NOTE, NUMBER, SHAPE, text } from "./parts.ts";
import { describing } from "./types.ts";

const PROVENANCE = z.object({
  from: text("what gave the parameters"),
  how: z.string().optional(),
  get was() {
    return PROVENANCE.optional();
  },
  of: z.string().optional(),
  kind: z.string().optional(),
  node: z.string().optional(),
  op: z.string().optional(),
  tensors: list(z.string()).optional(),
  input: z.string().optional(),
  weights: z.string().optional(),
});

const LINK = z.object({
  provenance: PROVENANCE,
  because: text("the provenance as a phrase"),
  dtype: z.string(),
  scale: NUMBER.optional(),
  zeroPoint: NUMBER.optional(),
});

const TENSOR = z.object({
  name: z.string(),
  operator: z.string().optional(),
  kind: z.enum(["input", "constant", "variable", "activation"]),
  shape: SHAPE,
  dtype: z.string(),
  dtypeBefore: z.string().optional(),
  range: z.object({ min: list(NUMBER), max: list(NUMBER) }).optional(),
  scale: list(NUMBER).optional(),
  zeroPoint: list(NUMBER).optional(),
  axis: z.int().optional(),
  chain: list(LINK).describe("what its parameters were first, then what replaced them"),
  float: FLOAT.describe("why it is not quantized").optional(),
  kept: FLOAT.describe("why it is as it was").optional(),
  prepared: list(z.object({ step: z.string(), op: z.string(), into: z.string().optional() })).optional(),
});

const SIGNATURE_SAMPLES = z.object({
  signature: z.string().optional(),
  subgraph: COUNT,
  samples: COUNT,
  random: z.boolean(),
});

export const REPORT = describing<Report>()(
  z.object({
    reportVersion: z.literal(1),
    model: FILE,
    output: FILE,
    scheme: z.string().optional(),
    granularity: z.string().optional(),
    target: z.string().optional(),
    targetHint: z.string().optional(),
    done: text("what was done, as a phrase").optional(),
    verified: z.boolean(),
    run: z.object({ runtime: z.string(), ran: z.boolean(), reason: z.string().optional() }).optional(),
    ranges: z
      .object({
        source: z.enum(["samples", "file"]),
        how: z.string().optional(),
        samples: COUNT.optional(),
        random: z.boolean().optional(),
        bySignature: list(SIGNATURE_SAMPLES).optional(),
      })
      .optional(),
    rangesWritten: COUNT.optional(),
    prepared: list(
      z.object({
        step: z.string(),
        edits: list(z.object({ op: z.string(), into: z.string().optional(), tensor: z.string(), subgraph: COUNT })),
        text: z.string(),
      }),
    ),
    notes: list(NOTE),
    counts: z.object({ activations: COUNT, constants: COUNT }),
    layers: z.record(z.string(), COUNT).describe("operators by the dtype of what they yield"),
    peakMemory: z.number().describe("bytes"),
    seconds: z.number(),
    steps: list(z.object({ name: z.string(), milliseconds: z.number(), rounds: COUNT })),
    subgraphs: list(z.object({ index: COUNT, name: z.string(), quantized: z.boolean(), tensors: list(TENSOR) })),
  }),
);

/** The file of `--explain`: one entry for each subgraph that was quantized. It has no `schema`: it is a list. */
export const EXPLANATION = list(
  z.object({
    subgraph: text("its name"),
    tensors: list(
      z.object({
        ...TENSOR.omit({ kind: true, float: true, chain: true }).shape,
        because: z.string().optional(),
        chain: list(z.string()),
      }),
    ),
    float: list(
      z.object({
        name: z.string(),
        operator: z.string().optional(),
        code: z.string(),
        because: z.string(),
        range: z.object({ min: list(NUMBER), max: list(NUMBER) }).optional(),
      }),
    ),
  }),
);
