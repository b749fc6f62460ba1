/** `minmaxq data`: what samples are, for people (`show`) and as a file (`pack`). */
import type { Command } from "./command.ts";
import { dataPack } from "./data-pack.ts";
import { dataShow } from "./data-show.ts";

export const data: Command = {
  name: "data",
  summary: "show what samples a model would be fed, or write them to a file",
  positionals: [],
  options: [],
  subcommands: [dataShow, dataPack],
  examples: [...dataShow.examples, ...dataPack.examples],
  async run() {},
};
