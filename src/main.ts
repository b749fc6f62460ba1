#!/usr/bin/env bun
import { runCircleQuantizer } from "./drop-in/circle-quantizer.ts";
import { MinmaxqError } from "./errors.ts";

try {
  await runCircleQuantizer(process.argv.slice(3));
} catch (error) {
  if (!(error instanceof MinmaxqError)) throw error;
  console.error(`minmaxq: ${error.message}`);
  process.exit(error.exitCode);
}
