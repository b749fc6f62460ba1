/** Writes the JSON Schemas that editors use for files of layer settings and for job lists, from the code that checks them. */
import { z } from "zod";
import { JOB_LIST } from "../src/batch/job-list.ts";
import { CONFIG } from "../src/settings/config.ts";

/** The text of schema/layers.schema.json. test/settings/layers.test.ts holds the file to it. */
export function configSchema(): string {
  return text(z.toJSONSchema(CONFIG, { io: "output" }), "minmaxq layer settings");
}

/** The text of schema/jobs.schema.json. test/batch/list.test.ts holds the file to it. */
export function jobsSchema(): string {
  return text(z.toJSONSchema(JOB_LIST, { io: "input" }), "minmaxq job list");
}

function text(schema: object, title: string): string {
  return `${JSON.stringify({ ...schema, title }, null, 2)}\n`;
}

if (import.meta.main) {
  await Bun.write("schema/layers.schema.json", configSchema());
  await Bun.write("schema/jobs.schema.json", jobsSchema());
}
