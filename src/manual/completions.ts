/** Completions of shells from the tables: scripts that need nothing but their shell. */
import { bashScript } from "./bash.ts";
import type { Described } from "./described.ts";
import { fishScript } from "./fish.ts";
import { zshScript } from "./zsh.ts";

export const SHELLS = { bash: bashScript, zsh: zshScript, fish: fishScript } as const satisfies Record<
  string,
  (described: Described) => string
>;

/** Where scripts go, by shell. */
export const FILES: Readonly<Record<keyof typeof SHELLS, (program: string) => string>> = {
  bash: (program) => program,
  zsh: (program) => `_${program}`,
  fish: (program) => `${program}.fish`,
};
