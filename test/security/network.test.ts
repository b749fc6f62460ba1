/**
 * Nothing but the queue opens a connection. The executable runs under a seccomp filter that ends it at the first `socket` call for the internet, so
 * a connection that is tried would show, whatever tries it (a library, LiteRT's glue, Bun itself). Linux on x64 and arm64 alone: elsewhere the sources are
 * looked at.
 */
import { describe, expect, test } from "bun:test";
import { copyFileSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { convolution, write } from "../cli/models.ts";
import { cleanUpAfterwards, environment, executable, folder, REAL } from "../cli/support.ts";

cleanUpAfterwards();

const top = join(import.meta.dir, "../..");
const cwd = folder();
const canFilter = process.platform === "linux" && ["x64", "arm64"].includes(process.arch);

/**
 * Becomes the program behind it, after a filter (seccomp(2), struct sock_filter): a process that calls `socket` for the internet is killed; everything
 * else is let through, pairs of sockets between processes included. Processes that it starts have the filter, too.
 *
 *     load architecture number · load first argument · compare · return
 */
const LAUNCHER = `
import { dlopen, FFIType, ptr } from "bun:ffi";
const { symbols } = dlopen("libc.so.6", {
  prctl: { args: [FFIType.i32, FFIType.u64, FFIType.u64, FFIType.u64, FFIType.u64], returns: FFIType.i32 },
});
const SOCKET = process.arch === "x64" ? 41 : 198;
const [LOAD, EQUAL, RETURN] = [0x20, 0x15, 0x06];
const [KILL, ALLOW] = [0x80000000, 0x7fff0000];
const [AF_INET, AF_INET6] = [2, 10];
const steps = [
  [LOAD, 0, 0, 0],
  [EQUAL, 0, 4, SOCKET],
  [LOAD, 0, 0, 16],
  [EQUAL, 1, 0, AF_INET],
  [EQUAL, 0, 1, AF_INET6],
  [RETURN, 0, 0, KILL],
  [RETURN, 0, 0, ALLOW],
];
const filter = new DataView(new ArrayBuffer(8 * steps.length));
for (const [i, [code, yes, no, value]] of steps.entries()) {
  filter.setUint16(8 * i, code, true);
  filter.setUint8(8 * i + 2, yes);
  filter.setUint8(8 * i + 3, no);
  filter.setUint32(8 * i + 4, value, true);
}
const bytes = new Uint8Array(filter.buffer);
const program = new DataView(new ArrayBuffer(16));
program.setUint16(0, steps.length, true);
program.setBigUint64(8, BigInt(ptr(bytes)), true);
const given = new Uint8Array(program.buffer);
const [NO_NEW_PRIVILEGES, SET_SECCOMP, FILTER] = [38, 22, 2];
if (symbols.prctl(NO_NEW_PRIVILEGES, 1n, 0n, 0n, 0n) !== 0) throw new Error("no_new_privs");
if (symbols.prctl(SET_SECCOMP, BigInt(FILTER), BigInt(ptr(given)), 0n, 0n) !== 0) throw new Error("seccomp");
process.execve(process.argv[2], process.argv.slice(2), process.env);
`;

async function filtered(words: readonly string[], env: Record<string, string> = {}) {
  writeFileSync(join(cwd, "launch.ts"), LAUNCHER);
  const child = Bun.spawn([process.execPath, "run", join(cwd, "launch.ts"), executable(), ...words], {
    cwd,
    env: environment(env),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  await child.exited;
  return { code: child.exitCode, signal: child.signalCode as string | null, out, err };
}

describe.if(canFilter)("the executable under a filter", () => {
  test("the filter works: a worker that wants its queue is killed", async () => {
    const { signal, code } = await filtered(["worker", "--queue", "redis://127.0.0.1:1", "--root", cwd]);
    expect([signal, code]).toEqual(["SIGSYS", null]);
  });

  test("everything else never asks for a socket", async () => {
    copyFileSync(REAL, join(cwd, "face.tflite"));
    await write(convolution(), join(cwd, "conv.tflite"));
    writeFileSync(
      join(cwd, "jobs.json"),
      JSON.stringify({ jobs: [{ model: "conv.tflite", output: "q.tflite", data: "random:2" }] }),
    );
    const lines = [
      "--version",
      "--help",
      "quantize face.tflite --data random:2 -o a.tflite --explain why.json",
      "quantize conv.tflite --data random:2 --mode mse -o a.circle",
      "record conv.tflite --data random:2 -o b.circle --fast-math",
      "compare face.tflite a.tflite --data random:1 --layers",
      "data show face.tflite --data random:1 --sheet sheet.png",
      "data pack sheet.png --model face.tflite -o samples.npz --scale 0..1",
      "quantize face.tflite --data samples.npz -o c.tflite",
      "inspect a.tflite",
      "verify a.tflite",
      "check a.tflite --target onert",
      "explain a.tflite conv2d --from why.json",
      "diff a.tflite c.tflite",
      "convert a.tflite -o d.circle",
      "dequantize a.tflite -o e.tflite",
      "batch jobs.json --compare",
      "batch jobs.json --dry-run",
      "doctor",
      "schema report",
      "completion bash",
      "man quantize",
      "circle-quantizer --quantize_dequantize_weights float32 uint8 channel conv.tflite f.circle",
      "record-minmax --input_model conv.tflite --output_model g.circle",
    ];
    for (const line of lines) {
      const { signal, code, err } = await filtered(line.split(" "));
      expect([line, signal, err.includes("internal error")]).toEqual([line, null, false]);
      expect([line, [0, 1].includes(code!)]).toEqual([line, true]);
    }
  }, 180_000);
});

test("of the sources, those of the queue alone know of the network", () => {
  const network =
    /\bfetch\(|"(?:node:)?(?:net|tls|http|https|http2|dgram|dns)(?:\/promises)?"|\bWebSocket\b|Bun\.(?:connect|listen|serve|udpSocket)|"ioredis"|"bullmq"/;
  const names = readdirSync(join(top, "src"), { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".ts"),
  );
  const found = names.filter((name) =>
    network.test(readFileSync(join(top, "src", name), "utf8").replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "")),
  );
  expect(found.sort()).toEqual(["batch/queue.ts", "batch/redis.ts", "batch/worker.ts"]);
});
