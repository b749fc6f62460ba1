/** Named pipes, which Node does not make. */
import { spawnSync } from "node:child_process";

export function mkfifoSync(path: string): void {
  const { status, stderr } = spawnSync("mkfifo", [path]);
  if (status !== 0) throw new Error(`mkfifo ${path}: ${stderr}`);
}
