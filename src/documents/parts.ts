/** Parts that several documents have, as zod schemas. Codes and dtypes are texts: new ones may come, so a reader has to expect any. */

import { z } from "zod";
import { FILE_TYPES } from "../model/associated-files.ts";

/** JSON has no infinite numbers and no NaN; null stands for them. */
export const NUMBER = z.number().nullable();
export const COUNT = z.int().min(0);

export const text = (description: string) => z.string().describe(description);
export const list = <T extends z.ZodType>(of: T) => z.array(of);

export const SHAPE = list(z.int()).describe("−1: a size that only a run knows");

export const FILE = z.object({ path: z.string(), format: z.enum(["circle", "tflite"]), bytes: COUNT });

export const NOTE_KIND = z
  .enum(["float", "kept", "warning", "note"])
  .describe("float: stays float; kept: was quantized already; warning: works, but look at it; note: good to know");

/** As batches keep it. */
export const SHORT_NOTE = z.object({
  kind: NOTE_KIND,
  code: text("stable name of the kind of note"),
  text: z.string(),
});

export const NOTE = SHORT_NOTE.extend({
  tensor: text("what it is about").optional(),
  subgraph: COUNT.optional(),
  numbers: z.record(z.string(), NUMBER).describe("the numbers in the text").optional(),
});

/** What samples say of themselves. */
export const SAID = z.object({ kind: z.enum(["note", "warning"]), code: z.string(), text: z.string() });

export const FLOAT = z.object({ code: text("stable name of the reason"), text: z.string() });

export const SCHEME = z.object({
  name: z.string(),
  family: text("whose scheme"),
  granularities: list(z.enum(["layer", "channel"])),
  operators: COUNT,
});

export const TENSOR_FACTS = z.object({
  name: z.string(),
  dtype: z.string(),
  shape: SHAPE,
  constant: z.boolean(),
  bytes: COUNT,
  min: list(NUMBER).optional(),
  max: list(NUMBER).optional(),
  scale: list(NUMBER).optional(),
  zeroPoint: list(NUMBER).optional(),
  axis: z.int().optional(),
});

export const TENSOR = z.object({
  facts: TENSOR_FACTS,
  subgraph: COUNT,
  index: COUNT,
  kind: z.enum(["input", "output", "constant", "variable", "activation"]),
  yielded: text("the operator that yields it").optional(),
  readers: list(z.string()),
  signature: z.string().optional(),
  values: z.object({ least: NUMBER, most: NUMBER, mean: NUMBER, first: list(NUMBER), more: z.boolean() }).optional(),
  stands: list(NUMBER).describe("least and largest value that its integers stand for").optional(),
});

/** Files that the metadata name for an input or output. */
export const TENSOR_FILES = z.object({
  subgraph: COUNT,
  what: z.enum(["input", "output"]),
  tensor: COUNT,
  files: list(
    z.object({
      name: z.string(),
      type: z.enum(FILE_TYPES),
      locale: z.string().optional(),
      present: z.boolean(),
      lines: z.object({ count: COUNT, first: list(z.string()) }).optional(),
    }),
  ),
});

/** What is wrong with such a file. */
export const FILE_PROBLEM = z.object({
  code: z.enum(["labels-contradict-output", "associated-file-missing"]),
  subgraph: COUNT,
  tensor: COUNT,
  text: z.string(),
  numbers: z.record(z.string(), NUMBER),
});
