/** `minmaxq completion`: a script that has a shell complete commands, options and values. */
import { UsageError } from "../base/errors.ts";
import type { Command } from "./command.ts";

export const completion: Command = {
  name: "completion",
  summary: "print the completion script of a shell",
  positionals: ["bash|zsh|fish"],
  options: [],
  examples: [
    "minmaxq completion bash > ~/.local/share/bash-completion/completions/minmaxq",
    "minmaxq completion zsh > ~/.zfunc/_minmaxq   # in a folder of $fpath",
    "minmaxq completion fish > ~/.config/fish/completions/minmaxq.fish",
  ],
  async run([shell], _options, output, _given, describe) {
    const { SHELLS } = await import("../manual/completions.ts");
    const script = Object.hasOwn(SHELLS, shell!) ? SHELLS[shell as keyof typeof SHELLS] : undefined;
    if (!script)
      throw new UsageError(`there is no completion for "${shell}"; choose ${Object.keys(SHELLS).join(", ")}`);
    output.print(script(await describe!()).trimEnd());
  },
};
