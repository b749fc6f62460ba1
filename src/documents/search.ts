/** Documents of `diagnose` and `tune`, and the file of `compare --visq`. dB are numbers; null where there is no error, or no number. */
import { z } from "zod";
import type { VisqFile } from "../compare/visq.ts";
import { COUNT, list, NUMBER } from "./parts.ts";
import { REPORT } from "./report.ts";
import { describing } from "./types.ts";

const SHARE = z.number().describe("0 to 1");

/** What was measured, and why; `compare --why` has it as `why`. */
export const DIAGNOSIS = z.object({
  samples: COUNT,
  outputs: list(
    z.object({
      name: z.string(),
      sqnr: z.object({
        all: NUMBER,
        weights: NUMBER,
        activations: NUMBER,
        inputs: NUMBER,
        outputs: NUMBER,
        sum: NUMBER.describe("what single roundings add up to"),
        floatWithShakenInputs: NUMBER,
      }),
      roundings: list(
        z.object({
          kind: z.enum(["activation", "constants"]),
          name: z.string(),
          operator: z.string().nullable(),
          place: z.enum(["input", "output", "inner", "constants"]),
          share: SHARE,
          cumulated: SHARE,
          clipped: NUMBER.optional(),
          clipping: NUMBER.optional(),
          evenness: NUMBER.optional(),
          sqnr: NUMBER,
        }),
      ),
    }),
  ),
  causes: list(z.object({ code: z.string(), output: z.string(), text: z.string(), try: list(z.string()) })),
  unmatchedConstants: list(z.string()),
});

export const DIAGNOSE = DIAGNOSIS.extend({ model: z.string() });

/** Schemes by names of layers. */
const LAYERS = z.record(z.string(), z.string());

export const TUNE = z.object({
  model: z.string(),
  output: REPORT.shape.output,
  seconds: z.number(),
  layers: LAYERS.describe("schemes of layers that have another one than the model"),
  accuracy: z.string().describe("level of --accuracy that quantize gives the same bytes with"),
  outputs: list(z.string()),
  units: COUNT.describe("parts that are chosen for"),
  samples: z.object({ search: COUNT, check: COUNT }),
  points: list(
    z.object({
      what: z.string(),
      share: SHARE,
      cost: z.number(),
      bytes: COUNT,
      sqnr: list(NUMBER),
      predicted: list(NUMBER),
      unseen: list(NUMBER).describe("on the samples that check"),
      layers: LAYERS,
      score: z.number().optional(),
    }),
  ),
  unreachable: list(z.object({ output: z.string(), text: z.string() })),
  checkDecides: z.boolean().describe("the samples that check had a say in what was taken, so they are not unseen"),
  holdsOnUnseen: z.boolean().nullable().describe("whether the target holds on the samples that check"),
  cutShort: z.boolean(),
});

/** The file of `compare --visq`, in the form of ONE's visq. */
export const VISQ = describing<VisqFile>()(
  z.object({
    meta: z.object({
      model: z.string(),
      metric: z.string(),
      colorscheme: list(z.object({ b: NUMBER, e: NUMBER, c: z.string() })),
    }),
    error: list(z.record(z.string(), NUMBER)),
  }),
);
