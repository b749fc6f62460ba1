/** `minmaxq man`: the page of a command, or of the program, as roff. */
import { UsageError } from "../base/errors.ts";
import type { Command } from "./command.ts";

export const man: Command = {
  name: "man",
  summary: "print the man page of a command, or of all, as roff",
  positionals: ["[command]"],
  options: [],
  examples: ["minmaxq man quantize | man -l -", "minmaxq man > /usr/local/share/man/man1/minmaxq.1"],
  async run([name], _options, output, _given, describe) {
    const { commandPage, programPage } = await import("../manual/man.ts");
    const described = await describe!();
    const command = described.commands.find((each) => each.name === name);
    if (name !== undefined && !command)
      throw new UsageError(
        `there is no command "${name}"; choose one of ${described.commands.map((each) => each.name).join(", ")}`,
      );
    output.print((command ? commandPage(described, command) : programPage(described)).trimEnd());
  },
};
