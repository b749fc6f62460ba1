/**
 * THE SCHEMAS of what programs read: every document of `--json` (src/views/json.ts), and every file that a run writes as JSON. From them
 * come schema/output/*.schema.json and `minmaxq schema`. Loaded on demand: nothing that is printed is checked while it is printed.
 */
import { z } from "zod";
import { ACCURACY } from "../batch/accuracy.ts";
import { JOB_LIST, OVERRIDES_FILE } from "../batch/job-list.ts";
import { DONE } from "../batch/outcome.ts";
import type { Comparison } from "../compare/compare.ts";
import type { Finding } from "../doctor/checks.ts";
import type { VerifyReport } from "../driver/verify-phases.ts";
import type { DiffReport } from "../inspect/diff.ts";
import type { InspectReport } from "../inspect/facts.ts";
import type { TensorDetails } from "../inspect/tensor.ts";
import { CONFIG } from "../settings/config.ts";
import type { Explained } from "../views/explain-tensor.ts";
import { type DocumentName, schemaId } from "../views/json.ts";
import {
  COUNT,
  FILE_PROBLEM,
  list,
  NOTE_KIND,
  NUMBER,
  SAID,
  SCHEME,
  SHAPE,
  SHORT_NOTE,
  TENSOR,
  TENSOR_FACTS,
  TENSOR_FILES,
  text,
} from "./parts.ts";
import { EXPLANATION, REPORT } from "./report.ts";
import { DIAGNOSE, DIAGNOSIS, TUNE, VISQ } from "./search.ts";
import { describing } from "./types.ts";

const VERIFY = describing<VerifyReport>()(
  z.object({
    reportVersion: z.literal(1),
    model: z.string(),
    quantized: COUNT.describe("activations"),
    schemes: list(SCHEME),
    floatOperators: COUNT,
    floatOperatorsWithQuantizedWeights: COUNT,
    problems: list(z.string()),
    warnings: list(z.string()),
  }),
);

const CHECK = z.object({
  reportVersion: z.literal(1),
  model: z.string(),
  target: z.string(),
  runs: z.boolean(),
  operators: COUNT,
  format: list(z.string()).describe("why the target does not load the file"),
  findings: list(
    z.object({
      operator: z.string(),
      tensor: text("its result"),
      consequence: z.enum(["refused", "wrong", "on the CPU"]),
      text: z.string(),
    }),
  ),
  remarks: list(z.string()),
});

const NAMED = list(z.object({ name: z.string(), tensor: z.int() }));
const NUMBERS = list(z.int());

const INSPECT = describing<InspectReport>()(
  z.object({
    reportVersion: z.literal(1),
    path: z.string(),
    format: z.string(),
    bytes: COUNT,
    description: z.string(),
    quantization: z.object({
      text: z.string(),
      schemes: list(SCHEME),
      quantizedActivations: COUNT,
      floatOperators: COUNT,
      floatOperatorsWithQuantizedWeights: COUNT,
      ranges: COUNT,
    }),
    parameters: z.object({
      count: COUNT,
      constants: COUNT,
      bytes: COUNT,
      byDtype: list(z.object({ dtype: z.string(), constants: COUNT, bytes: COUNT })),
    }),
    operators: list(z.object({ op: z.string(), dtype: z.string(), weights: z.string().optional(), count: COUNT })),
    subgraphs: list(
      z.object({
        name: z.string(),
        inputs: NUMBERS,
        outputs: NUMBERS,
        signatureNames: z.object({
          inputs: z.record(z.string(), z.string()),
          outputs: z.record(z.string(), z.string()),
        }),
        tensors: list(TENSOR_FACTS),
        operators: list(z.object({ op: z.string(), inputs: NUMBERS, outputs: NUMBERS })),
      }),
    ),
    signatures: list(z.string()),
    signatureDefs: list(z.object({ name: z.string(), subgraph: COUNT, inputs: NAMED, outputs: NAMED })),
    metadata: list(z.string()),
    files: list(z.object({ name: z.string(), bytes: COUNT })),
    associatedFiles: list(TENSOR_FILES),
    warnings: list(FILE_PROBLEM),
    unknown: list(z.string()),
  }),
);

const TENSORS = z.object({
  reportVersion: z.literal(1),
  path: z.string(),
  tensors: list(describing<TensorDetails>()(TENSOR)),
});

const DIFFERENCES = list(
  z.object({
    change: z.enum(["added", "removed", "changed"]),
    what: z.enum(["file", "subgraph", "inputs", "outputs", "tensor", "operator", "order", "signature", "metadata"]),
    subgraph: COUNT.optional(),
    name: z.string(),
    field: z.string().optional(),
    before: z.string().optional(),
    after: z.string().optional(),
    elements: COUNT.optional(),
    largest: NUMBER.optional(),
    sqnr: NUMBER.optional(),
  }),
);

const DIFF = describing<DiffReport>()(
  z.object({
    reportVersion: z.literal(1),
    first: z.string(),
    second: z.string(),
    equal: z.boolean(),
    structure: DIFFERENCES,
    parameters: DIFFERENCES,
    values: DIFFERENCES,
  }),
);

const WHY = z.object({
  chain: list(z.string()).optional(),
  range: z.object({ min: list(NUMBER), max: list(NUMBER) }).optional(),
  scale: list(NUMBER).optional(),
  float: z.object({ code: z.string(), because: z.string() }).optional(),
});

const EXPLAIN = z.object({
  reportVersion: z.literal(1),
  path: z.string(),
  tensors: list(
    describing<Explained>()(
      z.object({
        details: TENSOR,
        explanation: z.object({
          scheme: z.string().optional(),
          rule: text("stable name of the rule"),
          text: z.string(),
          holds: z.boolean().optional(),
          tied: list(z.string()),
        }),
        why: WHY.nullable().describe("with --from alone").optional(),
      }),
    ),
  ),
});

const METRICS = z.object({
  mae: NUMBER,
  mse: NUMBER,
  mape: NUMBER,
  mpeir: NUMBER,
  top1: NUMBER,
  top5: NUMBER,
  sqnr: NUMBER.describe("dB; null: no difference, where mse is 0"),
  cosine: NUMBER,
  zeros: COUNT,
  notFinite: COUNT,
});

const OUTPUT = describing<Comparison["outputs"][number]>()(
  z.object({ name: z.string(), shape: SHAPE, metrics: METRICS, other: z.string() }),
);

const LAYER = describing<Comparison["layers"][number]>()(
  z.object({
    name: z.string(),
    shape: SHAPE,
    metrics: METRICS,
    dtype: z.string().nullable(),
    operator: z.string().nullable(),
    operands: list(z.string()),
    drop: NUMBER,
    rank: COUNT,
  }),
);

const COMPARE = z.object({
  float: z.string(),
  quantized: z.string(),
  signature: z.string().nullable().optional(),
  subgraph: COUNT.optional(),
  samples: COUNT,
  ran: z.enum(["as it is", "fake-quantized"]),
  notAsItIs: z.string().optional(),
  why: DIAGNOSIS.optional(),
  outputs: list(OUTPUT),
  layers: list(LAYER).describe("with --layers alone").optional(),
  notCompared: list(z.object({ name: z.string(), reason: z.string() })).optional(),
  broken: list(z.string()).describe("limits that are broken"),
});

const STATISTICS = { min: NUMBER, max: NUMBER, mean: NUMBER, std: NUMBER };

const FED = {
  signature: z.string().nullable().optional(),
  data: z.string(),
  samples: COUNT,
  inputs: list(
    z.object({
      name: z.string(),
      dtype: z.string(),
      shape: SHAPE,
      ...z.object(STATISTICS).partial().shape,
      first: list(NUMBER).optional(),
      channels: list(z.object(STATISTICS)).optional(),
    }),
  ),
  notes: list(SAID),
};

/** Of one signature its members stand in the document itself, of several in `parts`. */
const SAMPLES = z.object({
  model: z.string(),
  ...z.object(FED).partial().shape,
  parts: list(z.object(FED)).optional(),
});

const DOCTOR = z.object({
  reportVersion: z.literal(1),
  version: z.string(),
  ok: z.boolean(),
  checks: list(
    describing<Finding & { readonly name: string }>()(
      z.object({
        name: z.string(),
        state: z.enum(["ok", "warning", "failed"]),
        text: z.string(),
        remedy: z.string().optional(),
      }),
    ),
  ),
});

/** What became of a job; what is absent depends on `status`. */
const OUTCOME = {
  seconds: z.number(),
  ...DONE.extend({ notes: list(SHORT_NOTE) }).partial().shape,
  accuracy: ACCURACY.optional(),
  reason: z.string().optional(),
  group: text("what it has in common with others whose reasons differ in numbers").optional(),
  worker: z.string().optional(),
};

const STATUS = z.enum(["done", "skipped", "failed", "stopped"]);

const BATCH = z.object({
  batchVersion: z.literal(1),
  out: z.string(),
  results: z.string(),
  jobs: list(z.object({ model: z.string(), output: z.string(), status: STATUS, ...OUTCOME })),
});

const PLAN = z.object({
  batchVersion: z.literal(1),
  dryRun: z.literal(true),
  out: z.string(),
  results: z.string(),
  jobs: list(
    z.object({
      model: z.string(),
      output: z.string(),
      would: z.enum(["run", "skip", "fail"]),
      why: z.string(),
      scheme: z.string(),
      bytes: list(COUNT).optional(),
      ranges: z.enum(["samples", "file", "none"]).optional(),
      samples: COUNT.optional(),
      notes: list(z.object({ kind: NOTE_KIND, code: z.string(), text: z.string() })).optional(),
      failedBefore: z.string().optional(),
    }),
  ),
});

/** A line of results.jsonl. */
const RESULT = z.object({
  model: z.string(),
  output: z.string(),
  status: STATUS,
  ...OUTCOME,
  options: z.record(z.string(), z.unknown()).describe("those of the job"),
  key: z.string().nullable().optional(),
  files: list(z.object({ path: z.string(), size: COUNT, stamp: z.string(), sha256: z.string() })),
  version: z.string(),
  run: text("when the batch began"),
  at: text("when the job ended"),
});

/** Documents of `--json`, without the member `schema`. */
const DOCUMENT_SCHEMAS: Readonly<Record<DocumentName, z.ZodObject>> = {
  report: REPORT,
  verify: VERIFY,
  check: CHECK,
  inspect: INSPECT,
  tensor: TENSORS,
  diff: DIFF,
  explain: EXPLAIN,
  compare: COMPARE,
  diagnose: DIAGNOSE,
  tune: TUNE,
  samples: SAMPLES,
  doctor: DOCTOR,
  batch: BATCH,
  plan: PLAN,
};

export interface SchemaRow {
  /** What has this form. */
  readonly of: string;
  /** Who writes it: what we write gains members, what people write may leave out what is new. */
  readonly by: "minmaxq" | "people";
  /** As JSON Schema 2020-12. */
  jsonSchema(): object;
}

const document = (name: DocumentName, of: string): SchemaRow => ({
  of,
  by: "minmaxq",
  jsonSchema: () =>
    // The envelope comes first, as it is printed.
    titled(z.object({ schema: z.literal(schemaId(name)), ...DOCUMENT_SCHEMAS[name].shape }), of, "input"),
});

const file = (of: string, schema: z.ZodType): SchemaRow => ({
  of,
  by: "minmaxq",
  jsonSchema: () => titled(schema, of, "input"),
});

/** `io`: "output" of a schema that takes no member that it does not know. */
const written = (of: string, schema: z.ZodType, io: "input" | "output"): SchemaRow => ({
  of,
  by: "people",
  jsonSchema: () => titled(schema, of, io),
});

function titled(schema: z.ZodType, title: string, io: "input" | "output"): object {
  return { ...z.toJSONSchema(schema, { io }), title };
}

/** By name, which is that of the file: schema/output/NAME.schema.json, or schema/NAME.schema.json for what people write. */
export const SCHEMAS_BY_NAME: Readonly<Record<string, SchemaRow>> = {
  report: document("report", "--json of quantize, record, convert and the commands that transform a model"),
  verify: document("verify", "--json of verify"),
  check: document("check", "--json of check"),
  inspect: document("inspect", "--json of inspect"),
  tensor: document("tensor", "--json of inspect --tensor"),
  diff: document("diff", "--json of diff"),
  explain: document("explain", "--json of explain"),
  diagnose: document("diagnose", "--json of diagnose"),
  tune: document("tune", "--json of tune"),
  compare: document("compare", "--json of compare"),
  samples: document("samples", "--json of data show"),
  doctor: document("doctor", "--json of doctor"),
  batch: document("batch", "--json of batch"),
  plan: document("plan", "--json of batch --dry-run"),
  explanation: file("file of quantize --explain", EXPLANATION),
  result: file("line of a batch's results.jsonl", RESULT),
  visq: file("file of compare --visq", VISQ),
  layers: written("minmaxq layer settings", CONFIG, "output"),
  jobs: written("minmaxq job list", JOB_LIST, "input"),
  overrides: written("minmaxq overrides", OVERRIDES_FILE, "input"),
};
