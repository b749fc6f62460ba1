/**
 * Connections to the queue's Redis server. What goes wrong is one line without credentials, within seconds: the first
 * connection is tried once; one that is lost later is tried again for PATIENCE.
 *
 * BullMQ gets clients made here: from options alone it would look for `ioredis` at run time, where the executable has none.
 */
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import type { ConnectionOptions } from "bullmq";
import type { Redis, RedisOptions } from "ioredis";
import pkg from "../../package.json" with { type: "json" };
import { keepSecret, MinmaxqError, reasonOf, UsageError, withoutSecrets } from "../base/errors.ts";
import { terminal } from "../terminal/output.ts";

/** A queue a version: a worker of another one would not give the same bytes. */
export const QUEUE = `jobs-${pkg.version}`;
export const PREFIX = "minmaxq";

/** Milliseconds for the first connection, and for one that was lost to come back. */
const FIRST = 5000;
const PATIENCE = 60_000;

interface Address {
  /** For people, without credentials. */
  readonly shown: string;
  readonly options: RedisOptions;
}

/** `--queue`, with what the environment adds. Throws a UsageError that does not repeat the address. */
export function addressOf(given: string): Address {
  const { MINMAXQ_QUEUE_URL, MINMAXQ_QUEUE_USER, MINMAXQ_QUEUE_PASSWORD, MINMAXQ_QUEUE_CA } = process.env;
  const from = given === "env" ? "MINMAXQ_QUEUE_URL" : "--queue";
  const text = given === "env" ? MINMAXQ_QUEUE_URL : given;
  if (!text) throw new UsageError("--queue env: the environment has no MINMAXQ_QUEUE_URL; set it to redis://HOST:PORT");
  const wrong = (what: string) => new UsageError(`${from}: ${what}; write redis://HOST:PORT, or rediss:// for TLS`);
  const url = URL.parse(text);
  if (!url || !/^rediss?:$/.test(url.protocol) || !url.hostname) throw wrong("is no address of a Redis server");
  const database = url.pathname.replace(/^\//, "") || "0";
  if (!/^\d+$/.test(database)) throw wrong("after the port there can only be the number of a database");
  const [username, password] = [url.username, url.password].map(plain);
  const secret = password || MINMAXQ_QUEUE_PASSWORD;
  for (const each of [url.password, secret]) if (each) keepSecret(each);
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  const port = Number(url.port || 6379);
  const tls = url.protocol === "rediss:";
  const ca = tls && MINMAXQ_QUEUE_CA ? readCertificates(MINMAXQ_QUEUE_CA) : undefined;
  return {
    shown: `${url.protocol}//${url.hostname}:${port}${database === "0" ? "" : `/${database}`}`,
    options: {
      host,
      port,
      db: Number(database),
      ...(username || MINMAXQ_QUEUE_USER ? { username: username || MINMAXQ_QUEUE_USER } : {}),
      ...(secret ? { password: secret } : {}),
      ...(tls ? { tls: { ...(isIP(host) ? {} : { servername: host }), ...(ca ? { ca } : {}) } } : {}),
    },
  };
}

function plain(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function readCertificates(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new UsageError(`MINMAXQ_QUEUE_CA: ${path} cannot be read (${reasonOf(error)})`, { cause: error });
  }
}

export interface Link {
  /** For people, without credentials. */
  readonly shown: string;
  /** A client for BullMQ. */
  client(): ConnectionOptions;
  /** Rejects with a MinmaxqError when the connection was lost and did not come back; never resolves. */
  readonly lost: Promise<never>;
  /** Called when the connection is lost, and when it is there again. */
  onChange(listener: (connected: boolean) => void): void;
  close(): void;
}

/** Connects. Throws a MinmaxqError of one line within seconds when that cannot be. */
export async function openLink(given: string): Promise<Link> {
  const { shown, options } = addressOf(given);
  silence();
  const { Redis } = await import("ioredis");
  await tryOnce(new Redis({ ...options, ...ONCE }), shown);

  const clients: Redis[] = [];
  const listeners: ((connected: boolean) => void)[] = [];
  let lostSince: number | undefined;
  let closed = false;
  let reject!: (error: Error) => void;
  const lost = new Promise<never>((_, fail) => {
    reject = fail;
  });
  lost.catch(() => {});
  const changed = (connected: boolean) => {
    if (closed || connected === (lostSince === undefined)) return;
    lostSince = connected ? undefined : Date.now();
    for (const listener of listeners) listener(connected);
  };
  const client = () => {
    const made = new Redis({
      ...options,
      maxRetriesPerRequest: null,
      connectTimeout: FIRST,
      retryStrategy: (times) => (lostSince && Date.now() - lostSince > PATIENCE ? null : Math.min(100 * times, 2000)),
    });
    // The first client stands for all: they go to the same server.
    const first = clients.length === 0;
    made.on("error", () => {});
    if (first) made.on("close", () => changed(false)).on("ready", () => changed(true));
    made.on("end", () => {
      const what = `${shown}: the connection was lost and did not come back within ${PATIENCE / 1000} s`;
      if (!closed) reject(new MinmaxqError(`${what}; what is in the queue stays there, start again to go on`));
    });
    clients.push(made);
    return made as unknown as ConnectionOptions;
  };
  return {
    shown,
    client,
    lost,
    onChange: (listener) => void listeners.push(listener),
    close() {
      closed = true;
      for (const each of clients) each.disconnect();
    },
  };
}

const ONCE: RedisOptions = {
  lazyConnect: true,
  connectTimeout: FIRST,
  retryStrategy: () => null,
  maxRetriesPerRequest: 0,
};

/** Connects, asks for an answer, and disconnects. */
async function tryOnce(client: Redis, shown: string): Promise<void> {
  let told: Error | undefined;
  client.on("error", (error) => {
    told ??= error;
  });
  const late = Bun.sleep(FIRST).then(() => {
    throw new Error(`no answer within ${FIRST / 1000} s`);
  });
  try {
    await Promise.race([client.connect().then(() => client.ping()), late]);
  } catch (error) {
    // "Connection is closed" says less than what closed it.
    const reason = [told, error]
      .map((each) => (each ? reasonOf(each) : ""))
      .find((text) => text && !/is closed/.test(text));
    throw new MinmaxqError(withoutSecrets(`${shown}: ${refusal(reason ?? reasonOf(error))}`));
  } finally {
    late.catch(() => {});
    client.disconnect();
  }
}

function refusal(reason: string): string {
  if (/WRONGPASS|NOAUTH|invalid (username-)?password|Authentication required/i.test(reason))
    return "the server refuses these credentials; check the user and password of the address, or MINMAXQ_QUEUE_USER and MINMAXQ_QUEUE_PASSWORD";
  if (/certificate|self.signed|CERT_|UNABLE_TO/i.test(reason))
    return `the server's certificate cannot be trusted (${reason}); name the issuer's in MINMAXQ_QUEUE_CA`;
  return `no connection (${reason}); check the address, and that a Redis server listens there`;
}

/** Libraries write hints for their developers to the console (of the server's settings, of a password it does not need). */
function silence(): void {
  const say = process.env.MINMAXQ_DEBUG
    ? (...words: unknown[]) => terminal.tell(words.map(String).join(" "))
    : () => {};
  console.log = say;
  console.warn = say;
  console.error = say;
  process.on("unhandledRejection", (error) => {
    // Commands that were under way when a connection ended; the link itself tells of that.
    if (/connection is closed|ECONN|EPIPE|Stream isn't writeable/i.test(reasonOf(error))) return;
    terminal.tell(`minmaxq: internal error: ${reasonOf(error)}; please report it`);
    process.exit(1);
  });
}
