/** The executable in a terminal of its own, as a person sees it. */
import { environment } from "../cli/support.ts";

/** Lines as they are sent to a terminal of so many columns, without colours; `raw` with them. The bar on stderr is left out. */
export async function inTerminal(
  program: string,
  args: readonly string[],
  cwd: string,
  cols = 80,
): Promise<{ lines: string[]; raw: string; code: number }> {
  let raw = "";
  const decoder = new TextDecoder();
  const child = Bun.spawn(["/bin/sh", "-c", '"$0" "$@" 2>/dev/null', program, ...args], {
    cwd,
    env: environment({ TERM: "xterm-256color" }),
    terminal: {
      cols,
      rows: 24,
      data: (_, bytes) => {
        raw += decoder.decode(bytes, { stream: true });
      },
    },
  });
  const code = await child.exited;
  // What the terminal still holds comes after the process.
  await Bun.sleep(100);
  const lines = raw
    .replaceAll("\r", "")
    .replace(/\x1b\[[\d;?]*[A-Za-z]/g, "")
    .split("\n");
  return { lines, raw, code };
}
