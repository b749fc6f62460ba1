/** Writes the JSON Schemas that editors use for files of layer settings, job lists and overrides, from the code that checks them. */
import { z } from "zod";
import { JOB_LIST, OVERRIDES_FILE } from "../src/batch/job-list.ts";
import { CONFIG } from "../src/settings/config.ts";

/** The text of schema/layers.schema.json. test/settings/layers.test.ts holds the file to it. */
export function configSchema(): string {
  return text(z.toJSONSchema(CONFIG, { io: "output" }), "minmaxq layer settings");
}

/** The text of schema/jobs.schema.json. test/batch/list.test.ts holds the file to it. */
export function jobsSchema(): string {
  return text(z.toJSONSchema(JOB_LIST, { io: "input" }), "minmaxq job list");
}

/** The text of schema/overrides.schema.json. test/batch/list.test.ts holds the file to it. */
export function overridesSchema(): string {
  return text(z.toJSONSchema(OVERRIDES_FILE, { io: "input" }), "minmaxq overrides");
}

function text(schema: object, title: string): string {
  return `${JSON.stringify({ ...schema, title }, null, 2)}\n`;
}

if (import.meta.main) {
  await Bun.write("schema/layers.schema.json", configSchema());
  await Bun.write("schema/jobs.schema.json", jobsSchema());
  await Bun.write("schema/overrides.schema.json", overridesSchema());
}
