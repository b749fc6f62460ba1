/** A Redis server of the tests' own: on a free port of the loopback, in a folder of its own, stopped by its process. */
import { join } from "node:path";
import { folder } from "../cli/support.ts";

/** Where the server is; `.ci/run` installs it. */
export const REDIS = Bun.which("redis-server");

/** Why tests are skipped, for their names. */
export const WITHOUT_REDIS = REDIS ? "" : " (skipped: there is no redis-server; install Debian's package of that name)";

export interface Server {
  readonly port: number;
  /** redis://127.0.0.1:PORT */
  readonly url: string;
  stop(signal?: "SIGTERM" | "SIGKILL"): Promise<void>;
}

/** Starts a server; `more` are arguments of redis-server. The same port gives the same data again, if they were kept. */
export async function startRedis(more: readonly string[] = [], port = freePort(), data = folder()): Promise<Server> {
  const plain = more.includes("--tls-port") ? [] : ["--port", String(port)];
  const child = Bun.spawn([REDIS!, ...plain, "--bind", "127.0.0.1", "--dir", data, "--save", "", ...more], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "ignore",
  });
  let said = "";
  let ready!: () => void;
  let failed!: (error: Error) => void;
  const listening = new Promise<void>((resolve, reject) => {
    ready = resolve;
    failed = reject;
  });
  void (async () => {
    for await (const piece of child.stdout) {
      said += new TextDecoder().decode(piece);
      if (said.includes("Ready to accept connections")) ready();
    }
    failed(new Error(`redis-server ended: ${said}`));
  })();
  await listening;
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    async stop(signal = "SIGTERM") {
      child.kill(signal);
      await child.exited;
    },
  };
}

export function freePort(): number {
  const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = server;
  server.stop(true);
  return port;
}

/** Makes the certificate of the TLS test. */
export const OPENSSL = Bun.which("openssl");

/** A certificate for 127.0.0.1, signed by itself. */
export function certificate(): { key: string; cert: string } {
  const where = folder();
  const [key, cert] = [join(where, "key.pem"), join(where, "cert.pem")];
  const subject = ["-subj", "/CN=minmaxq test", "-addext", "subjectAltName=IP:127.0.0.1"];
  const made = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  const { success, stderr } = Bun.spawnSync([OPENSSL!, ...made, "-keyout", key, "-out", cert, ...subject]);
  if (!success) throw new Error(`openssl: ${stderr}`);
  return { key, cert };
}
