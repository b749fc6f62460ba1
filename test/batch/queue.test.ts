/** A batch through a real Redis server, with workers run as a person would. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Queue } from "bullmq";
import { zipSync } from "fflate";
import { Redis } from "ioredis";
import type { Payload } from "../../src/batch/queue.ts";
import { PREFIX, QUEUE } from "../../src/batch/redis.ts";
import { npy } from "../calibration/support.ts";
import { convolution, FLOATS, RECORDED, write } from "../cli/models.ts";
import { cleanUpAfterwards, files, folder, minmaxq, REAL, succeeded } from "../cli/support.ts";
import { BATCH_COMMANDS, QUEUE_ADDRESS, QUEUE_FOLDER, WORKER_COMMAND } from "../docs/queue-commands.ts";
import { certificate, freePort, OPENSSL, REDIS, type Server, startRedis, WITHOUT_REDIS } from "./redis.ts";
import { jobProcesses, list, models, type Running, results, start, statuses, until } from "./support.ts";

cleanUpAfterwards();

describe.skipIf(!REDIS)(`the queue${WITHOUT_REDIS}`, () => {
  let server: Server;
  const running: Running[] = [];

  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server.stop("SIGKILL"));
  afterEach(async () => {
    for (const each of running.splice(0)) {
      each.child.kill("SIGKILL");
      await each.end();
    }
    await until(() => jobProcesses().length === 0);
    const redis = new Redis(server.url);
    await redis.flushall();
    redis.disconnect();
  });

  function run(args: readonly string[], cwd: string, env: Record<string, string> = {}): Running {
    const started = start(args, cwd, env);
    running.push(started);
    return started;
  }

  /** A worker that is ready. */
  async function worker(root: string, ...more: string[]): Promise<Running> {
    const started = run(["worker", "--queue", server.url, "--root", root, ...more], root);
    await started.says(/takes jobs from/);
    return started;
  }

  const batch = (cwd: string, ...more: string[]) => run(["batch", "jobs.json", "--queue", server.url, ...more], cwd);

  /** Jobs that never end, on a real model, and one that is done at once. */
  async function long(samples = 100_000): Promise<string> {
    const cwd = await models();
    copyFileSync(REAL, join(cwd, "real.tflite"));
    const real = { model: "real.tflite", data: `random:${samples}` };
    list(cwd, {
      jobs: [
        { ...real, output: "q/1.circle" },
        { ...real, output: "q/2.circle" },
        { model: "models/a.circle", output: "q/3.circle" },
      ],
    });
    mkdirSync(join(cwd, "q"));
    return cwd;
  }

  test("the commands of the documentation that need a queue", async () => {
    const cwd = folder();
    const own = join(cwd, "shared");
    for (const name of ["models", "quantized"]) mkdirSync(join(own, name), { recursive: true });
    await write(convolution(), join(own, "models/a.circle"));
    const samples = npy("<f4", [4, 4, 4, 2], new Uint8Array(FLOATS(4 * 32).buffer));
    writeFileSync(join(own, "models/samples.npz"), zipSync({ "x.npy": samples }));
    list(cwd, { jobs: [{ model: "shared/models/a.circle", data: "random:2", output: "shared/quantized/b.circle" }] });
    const wordsOf = (text: string) =>
      text.replaceAll(QUEUE_ADDRESS, server.url).replaceAll(`${QUEUE_FOLDER}/`, `${own}/`).split(" ").slice(1);
    await run(wordsOf(WORKER_COMMAND), cwd).says(/takes jobs from/);
    for (const command of BATCH_COMMANDS) {
      const { code, said } = await run(wordsOf(command), cwd, { MINMAXQ_QUEUE_URL: server.url }).end();
      expect([command, code, said]).toEqual([command, 0, expect.any(String)]);
    }
    expect(files(join(own, "quantized")).filter((name) => name.endsWith(".circle")).length).toBeGreaterThanOrEqual(2);
  });

  /** What somebody else put on the queue. */
  async function queued<T>(work: (queue: Queue) => Promise<T>): Promise<T> {
    const redis = new Redis(server.url, { maxRetriesPerRequest: null });
    const queue = new Queue(QUEUE, { connection: redis as never, prefix: PREFIX });
    try {
      return await work(queue);
    } finally {
      await queue.close();
      redis.disconnect();
    }
  }

  test("workers do what the same batch does here; failures come back; a second run skips", async () => {
    const cwd = await models();
    writeFileSync(join(cwd, "models/broken.circle"), "broken");
    const one = await worker(cwd);
    const two = await worker(cwd);
    const args = ["batch", "models", "--out", "q", "--queue", server.url];
    const first = await minmaxq(args, { cwd });
    expect(first.code).toBe(1);
    expect(first.out).toMatch(
      /^a\.circle +done .*\nbroken\.circle +failed.*\ndeep\/b\.tflite +done .*\n\nfailed \(1 job\): is no model/m,
    );
    expect(first.out).toContain("2 done, 1 failed");
    await minmaxq(["batch", "models", "--out", "local"], { cwd });
    for (const name of ["a.q8.circle", "deep/b.q8.circle"])
      expect(readFileSync(join(cwd, "q", name))).toEqual(readFileSync(join(cwd, "local", name)));
    expect(results(join(cwd, "q")).find(({ model }) => model === "a.circle")!.worker).toMatch(/:\d+$/);
    const second = await minmaxq(args, { cwd });
    expect(second.out).toContain("2 skipped, 1 failed");
    // A model that is wrong is wrong however often it is tried.
    expect((one.said() + two.said()).match(/failed: .*broken/g)?.length).toBe(2);
  });

  test("limits and comparisons travel, too, and what a worker found comes back; its log says when", async () => {
    const cwd = await models();
    copyFileSync(REAL, join(cwd, "models/real.tflite"));
    list(cwd, {
      defaults: { data: "random:3", compare: 2 },
      jobs: ["models/*.tflite", "models/deep/"],
      overrides: [
        { match: "real*", scheme: "dynamic-int8" },
        { match: "b.*", scheme: "int8", "fail-below": ["sqnr=300"] },
      ],
    });
    const taker = await worker(cwd);
    const submitter = batch(cwd, "--out", "q");
    const { code, said } = await submitter.end();
    expect(code).toBe(1);
    expect(said).toMatch(/^models\/real\.tflite +done .* [\d.]+$/m);
    expect(said).toMatch(
      /failed \(1 job\): an output breaks fail-below sqnr=300\n {2}models\/deep\/b\.tflite: output "y"/,
    );
    expect(files(join(cwd, "q"))).toEqual(["models/real.dynamic-int8.tflite", "results.jsonl"]);
    await minmaxq(["batch", "jobs.json", "--out", "local"], { cwd });
    const found = (out: string) =>
      results(join(cwd, out))
        .map(({ model, accuracy }) => [model, accuracy])
        .sort();
    expect(found("q")).toEqual(found("local"));
    expect(found("q").every(([, accuracy]) => accuracy !== undefined)).toBe(true);
    const lines = taker.said().trimEnd().split("\n");
    expect(lines.filter((line) => !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ /.test(line))).toEqual([]);
    expect(taker.said()).toMatch(/Z done: .*b\.tflite .*, SQNR [\d.]+; it breaks its limit$/m);
  });

  test("a worker that is killed in the middle: another one takes its job, nothing is lost or half", async () => {
    const cwd = await long(150);
    const submitter = batch(cwd);
    const killed = await worker(cwd, "--take-over", "1", "--jobs", "1");
    await killed.says(/taken: /);
    await until(() => jobProcesses().length === 1);
    // What it would leave if it had been writing, and its process had been killed, too.
    writeFileSync(join(cwd, "q/.1.circle.999999.0123abcd.tmp"), "half");
    killed.child.kill("SIGKILL");
    await until(() => jobProcesses().length === 0);
    expect(files(join(cwd, "q"))).toEqual([".1.circle.999999.0123abcd.tmp"]);
    const heir = await worker(cwd, "--take-over", "1", "--jobs", "1");
    const { code, said } = await submitter.end();
    expect({ code, said }).toEqual({ code: 0, said: expect.stringContaining("3 done") as never });
    expect(said).toContain("its worker is gone; it waits for another one");
    expect(heir.said()).toMatch(/taken over or again: .*1\.circle/);
    expect(files(join(cwd, "q"))).toEqual(["1.circle", "2.circle", "3.circle"]);
    await succeeded(["quantize", "real.tflite", "--data", "random:150", "-o", "here.circle"], { cwd });
    for (const name of ["1.circle", "2.circle"])
      expect(readFileSync(join(cwd, "q", name))).toEqual(readFileSync(join(cwd, "here.circle")));
    expect(statuses(cwd).map(([, status]) => status)).toEqual(["done", "done", "done"]);
  });

  test("Ctrl-C on a worker hands its jobs back, with nothing half; another one does them", async () => {
    const cwd = await long(100);
    const submitter = batch(cwd);
    const first = await worker(cwd);
    await until(() => jobProcesses().length === 2);
    first.child.kill("SIGINT");
    const { code, said } = await first.end();
    expect(code).toBe(0);
    expect(said).toEndWith("stopped by SIGINT; 2 jobs handed back\n");
    expect(jobProcesses()).toEqual([]);
    expect(files(join(cwd, "q"))).toEqual([]);
    await worker(cwd);
    expect((await submitter.end()).said).toContain("3 done");
  });

  test("Ctrl-C on the submitter takes back what nobody has begun; the rest is done", async () => {
    const cwd = await long(150);
    const taker = await worker(cwd, "--jobs", "1");
    const submitter = batch(cwd);
    await taker.says(/taken: /);
    await until(() => jobProcesses().length === 1);
    // One may be taken before the last is there.
    await queued(async (queue) => {
      while ((await queue.count()) < 2) await Bun.sleep(10);
    });
    submitter.child.kill("SIGINT");
    const { code, said } = await submitter.end();
    expect(code).toBe(130);
    expect(said).toContain("2 jobs taken back from the queue; 1 job that workers have begun");
    expect(said).toEndWith("minmaxq: stopped by SIGINT: 3 stopped; run it again to go on\n");
    await taker.says(/done: .*1\.circle/);
    expect(await queued((queue) => queue.count())).toBe(0);
    expect(files(join(cwd, "q"))).toEqual(["1.circle"]);
    // The next run takes what was done meanwhile.
    const jobs = [{ model: "real.tflite", data: "random:150", output: "q/1.circle" }];
    list(cwd, { jobs });
    expect((await batch(cwd).end()).said).toContain("1 done");
    expect(taker.said().match(/taken: .*1\.circle/g)?.length).toBe(1);
    expect(taker.said()).not.toContain("taken over or again");
    expect((await batch(cwd, "--redo").end()).said).toContain("1 done");
    expect(taker.said().match(/taken: .*1\.circle/g)?.length).toBe(2);
  });

  test("one job submitted twice is done once, and both hear of it", async () => {
    const cwd = await models();
    list(cwd, { jobs: [{ model: "models/a.circle", output: "q/a.circle" }] });
    const submitters = [batch(cwd), batch(cwd)];
    for (const each of submitters) await each.says(/waiting: no worker takes jobs of this version/);
    const taker = await worker(cwd);
    for (const each of submitters) expect((await each.end()).said).toContain("1 done");
    expect(taker.said().match(/taken: /g)?.length).toBe(1);
  });

  test("a job that its first submitter took back is put back by the second", async () => {
    const cwd = await models();
    list(cwd, { jobs: [{ model: "models/a.circle", output: "q/a.circle" }] });
    const [first, second] = [batch(cwd), batch(cwd)];
    for (const each of [first, second]) await each.says(/waiting: no worker/);
    // Whoever put it there, it is gone.
    await queued(async (queue) => queue.drain());
    await worker(cwd);
    for (const each of [first, second]) expect((await each.end()).said).toContain("1 done");
  });

  test("a failure that may pass is tried again", async () => {
    const cwd = await models();
    list(cwd, { jobs: [{ model: "models/a.circle", output: "q/a.circle" }] });
    const real = join(cwd, "real.tflite");
    copyFileSync(REAL, real);
    list(cwd, { jobs: [{ model: "real.tflite", data: "random:200", output: "q/a.circle" }] });
    const taker = await worker(cwd);
    const submitter = batch(cwd);
    await until(() => jobProcesses().length === 1);
    process.kill(jobProcesses()[0]!, "SIGKILL");
    await taker.says(/failed: .*was killed \(SIGKILL\).*\(may pass\)/);
    const { code, said } = await submitter.end();
    expect(code).toBe(0);
    expect(said).toContain("failed, but that may pass; it will be tried again");
    expect(taker.said()).toContain("taken over or again");
  });

  test("--fail-fast takes back the rest", async () => {
    const cwd = await models();
    const jobs = [{ model: "nosuch.circle" }, { model: "models/a.circle", output: "q/a.circle" }];
    list(cwd, { jobs });
    const { code, out } = await minmaxq(["batch", "jobs.json", "--queue", server.url, "--fail-fast"], { cwd });
    expect(code).toBe(1);
    expect(out).toContain("1 failed, 1 stopped");
    expect(await queued((queue) => queue.count())).toBe(0);
  });

  describe("a worker touches only what lies below its roots", () => {
    /** Puts a job on the queue as anybody could; gives the reason why it failed. */
    async function refusal(entry: unknown): Promise<string> {
      return queued(async (queue) => {
        const job = await queue.add("quantize", { entry, submitter: "x" } satisfies Payload, { attempts: 4 });
        while (!(await job.isFailed()) && !(await job.isCompleted())) await Bun.sleep(20);
        return (await queue.getJob(job.id!))!.failedReason ?? "it was done";
      });
    }

    test("whatever the job says", async () => {
      const cwd = folder();
      for (const name of ["root", "rootless", "root/sub"]) mkdirSync(join(cwd, name));
      for (const name of ["root/m.circle", "rootless/m.circle"]) await write(convolution(RECORDED), join(cwd, name));
      const root = join(cwd, "root");
      const [model, outside] = [join(root, "m.circle"), join(cwd, "rootless")];
      symlinkSync(outside, join(root, "link"));
      symlinkSync(join(outside, "new.circle"), join(root, "dangling.circle"));
      writeFileSync(join(outside, "0.raw"), new Uint8Array(128));
      writeFileSync(join(root, "list.txt"), `${outside}/0.raw\n`);
      writeFileSync(join(root, "up.txt"), "../rootless/0.raw\n");
      mkdirSync(join(root, "data"));
      symlinkSync(join(outside, "0.raw"), join(root, "data/0.raw"));
      writeFileSync(join(outside, "layers.json"), '{"layers": []}');
      const output = join(root, "out.circle");
      const taker = await worker(root);
      const before = files(cwd);
      const wrong: Record<string, unknown>[] = [
        { model: join(outside, "m.circle") },
        { model: `${root}/../rootless/m.circle` },
        { model: join(root, "link/m.circle") },
        { model: "m.circle" },
        { output: join(outside, "out.circle") },
        { output: `${root}/sub/../../rootless/out.circle` },
        { output: join(root, "link/out.circle") },
        { output: join(root, "dangling.circle") },
        { output: join(root, "link/deeper/out.circle") },
        { config: join(outside, "layers.json") },
        { explain: join(outside, "why.json") },
        { data: join(outside, "0.raw"), "data-format": "list" },
        { data: join(root, "list.txt") },
        { data: join(root, "up.txt") },
        { data: join(root, "data") },
      ];
      for (const each of wrong) {
        const reason = await refusal({ model, output, ...each });
        expect({ each, reason }).toEqual({
          each,
          reason: expect.stringContaining("outside the folders that this worker may touch") as never,
        });
      }
      expect(files(cwd)).toEqual(before);
      // Entries that are none, and no second try of any.
      expect(await refusal({ model, output, nosuch: 1 })).toContain("job.nosuch: there is no such option");
      expect(await refusal({ model })).toContain("job.output: is missing");
      expect(await refusal({ model, output, compare: "much" })).toContain('job.compare: is "much"');
      expect(await refusal({ model, output, "fail-below": "mae=1" })).toContain("job.fail-below: is");
      expect(await refusal({ model, output, compare: true })).toContain('job.compare: does nothing without "data"');
      expect(await refusal({ model, output, match: "*" })).toContain("job.match: there is no such option");
      expect(await refusal(undefined)).toContain("job");
      expect(taker.said().match(/failed: /g)?.length).toBe(wrong.length + 7);
      expect(await refusal({ model, output })).toBe("it was done");
      expect(existsSync(output)).toBe(true);
    });

    test("whatever HDF5 data refer to", async () => {
      const cwd = folder();
      for (const name of ["root", "outside"]) mkdirSync(join(cwd, name));
      await write(convolution(), join(cwd, "root/m.circle"));
      const h5 = await import("h5wasm/node");
      await h5.ready;
      const data = new h5.File(join(cwd, "outside/secret.h5"), "w");
      const record = data.create_group("value").create_group("0");
      record.create_dataset({ name: "0", data: new Float32Array(32).fill(1), shape: [1, 4, 4, 2], dtype: "<f" });
      data.close();
      for (const name of ["root/outward.h5", "root/inward.h5"]) {
        const target = name.includes("out") ? "outside/secret.h5" : "root/data.h5";
        const linking = new h5.File(join(cwd, name), "w");
        linking.create_external_link(join(cwd, target), "/value", "value");
        linking.close();
      }
      copyFileSync(join(cwd, "outside/secret.h5"), join(cwd, "root/data.h5"));
      await worker(join(cwd, "root"));
      const job = (name: string) => ({
        model: join(cwd, "root/m.circle"),
        output: join(cwd, "root/q.circle"),
        data: join(cwd, "root", name),
      });
      expect(await refusal(job("outward.h5"))).toContain("outward.h5");
      expect(existsSync(join(cwd, "root/q.circle"))).toBe(false);
      expect(await refusal(job("inward.h5"))).toBe("it was done");
    });
  });

  describe("connections", () => {
    /** Every combination of command and address is one line, soon, and never tells the password. */
    async function refusedBy(
      url: string,
      env: Record<string, string>,
      says: RegExp,
      code = 1,
      only?: string,
    ): Promise<void> {
      const cwd = await models();
      list(cwd, { jobs: [{ model: "models/a.circle", output: "q/a.circle" }] });
      for (const args of [
        ["batch", "jobs.json", "--queue", url, "--verbose"],
        ["worker", "--root", cwd, "--queue", url, "--verbose"],
      ]) {
        if (only && args[0] !== only) continue;
        const { code: ended, err, out, milliseconds } = await minmaxq(args, { cwd, env });
        expect({ ended, out, err: err.split("\n")[0] }).toEqual({
          ended: code,
          out: "",
          err: expect.stringMatching(says) as never,
        });
        expect(err).not.toMatch(/geheim|internal error/);
        expect(milliseconds).toBeLessThan(7000);
        if (existsSync(join(cwd, "results.jsonl"))) expect(readFileSync(join(cwd, "results.jsonl"), "utf8")).toBe("");
      }
    }

    test("no server", () =>
      refusedBy(
        `redis://u:geheim@127.0.0.1:${freePort()}`,
        {},
        /redis:\/\/127\.0\.0\.1:\d+: no connection \(.*ECONNREFUSED/,
      ));
    test("no such host", () =>
      refusedBy("redis://:geheim@nosuch.invalid", {}, /redis:\/\/nosuch\.invalid:6379: no connection/));
    test("no address", async () => {
      await refusedBy("http://u:geheim@h", {}, /--queue: is no address of a Redis server/, 2);
      await refusedBy("redis://u:geheim@h/x", {}, /--queue: after the port there can only be the number/, 2);
      await refusedBy("env", {}, /the environment has no MINMAXQ_QUEUE_URL/, 2);
      await refusedBy("env", { MINMAXQ_QUEUE_URL: "geheim" }, /MINMAXQ_QUEUE_URL: is no address/, 2);
    });
    test("something that is no Redis server and says nothing", async () => {
      const silent = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
      await refusedBy(
        `redis://:geheim@127.0.0.1:${silent.port}`,
        {},
        /no connection \(no answer within 5 s\)/,
        1,
        "worker",
      );
      silent.stop(true);
    });

    test("credentials: of the address, of the environment, wrong, none", async () => {
      const guarded = await startRedis([
        "--requirepass",
        "geheim&@/1",
        "--maxmemory",
        "64mb",
        "--maxmemory-policy",
        "allkeys-lru",
      ]);
      const refusal = /redis:\/\/127\.0\.0\.1:\d+: the server refuses these credentials/;
      await refusedBy(guarded.url.replace("//", "//:geheimer@"), {}, refusal);
      await refusedBy(guarded.url, {}, refusal);
      const cwd = await models();
      const address = guarded.url.replace("//", `//:${encodeURIComponent("geheim&@/1")}@`);
      const taker = run(["worker", "--queue", "env", "--root", cwd], cwd, { MINMAXQ_QUEUE_URL: address });
      await taker.says(/takes jobs from/);
      const env = { MINMAXQ_QUEUE_PASSWORD: "geheim&@/1" };
      const { code, out, err } = await minmaxq(["batch", "models", "--out", "q", "--queue", guarded.url], { cwd, env });
      expect({ code, err }).toEqual({
        code: 0,
        err: expect.stringMatching(/^(\[\d\/2\] .*: done, .*\n){2}$/) as never,
      });
      taker.child.kill("SIGINT");
      const all = out + err + (await taker.end()).said + readFileSync(join(cwd, "q/results.jsonl"), "utf8");
      expect(all).not.toMatch(/geheim|IMPORTANT|Eviction/);
      await guarded.stop();
    });

    test.skipIf(!OPENSSL)("TLS (with openssl): a certificate that can be checked, and one that cannot", async () => {
      const { key, cert } = certificate();
      const port = freePort();
      const tls = ["--port", "0", "--tls-port", String(port), "--tls-cert-file", cert, "--tls-key-file", key];
      const secured = await startRedis([...tls, "--tls-ca-cert-file", cert, "--tls-auth-clients", "no"], port);
      const url = `rediss://127.0.0.1:${port}`;
      await refusedBy(url, {}, /rediss:.*the server's certificate cannot be trusted/);
      const env = { MINMAXQ_QUEUE_CA: cert };
      const cwd = await models();
      const taker = run(["worker", "--queue", url, "--root", cwd], cwd, env);
      await taker.says(/takes jobs from rediss:/);
      const { code, out } = await minmaxq(["batch", "models", "--out", "q", "--queue", url], { cwd, env });
      expect({ code, out }).toEqual({ code: 0, out: expect.stringContaining("2 done") as never });
      taker.child.kill("SIGINT");
      await taker.end();
      await secured.stop();
    });

    test("a server that is restarted in the middle, with and without its data", async () => {
      for (const kept of [["--appendonly", "yes"], []]) {
        const data = folder();
        const first = await startRedis(kept, freePort(), data);
        const cwd = await long(100);
        const taker = run(["worker", "--queue", first.url, "--root", cwd, "--take-over", "2"], cwd);
        const submitter = run(["batch", "jobs.json", "--queue", first.url], cwd);
        await until(() => jobProcesses().length === 2);
        await first.stop();
        await submitter.says(/the connection is lost, trying again/);
        const second = await startRedis(kept, first.port, data);
        const { code, said } = await submitter.end();
        expect({ code, said }).toEqual({ code: 0, said: expect.stringContaining("3 done") as never });
        expect(said).toContain("connected again");
        expect(files(join(cwd, "q"))).toEqual(["1.circle", "2.circle", "3.circle"]);
        taker.child.kill("SIGINT");
        expect((await taker.end()).code).toBe(0);
        await second.stop();
      }
    });
  });
});
