/** Signatures on the command line, with the executable. */
import { beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { jobOf } from "../../src/batch/job.ts";
import { Hashes, keyOfJob } from "../../src/batch/key.ts";
import { Roots } from "../../src/batch/roots.ts";
import { sampleSource } from "../../src/options/sources.ts";
import { bytesOf, npy } from "../calibration/support.ts";
import { write } from "../cli/models.ts";
import { cleanUpAfterwards, folder, minmaxq, refused } from "../cli/support.ts";
import { wav } from "../media/sounds.ts";
import { refusal } from "../passes/support.ts";
import { encodeDecode } from "./models.ts";

cleanUpAfterwards();

let cwd: string;
const values = (...of: number[]) => npy("<f4", [of.length / 4, 1, 4], bytesOf(Float32Array.from(of)));
beforeAll(async () => {
  cwd = folder();
  await write(encodeDecode(), join(cwd, "m.tflite"));
  writeFileSync(join(cwd, "a.npy"), values(1, 2, -3, 0.5, 0, -1, 4, 2));
  writeFileSync(join(cwd, "b.npy"), values(10, -20, 0, 8));
  writeFileSync(join(cwd, "lr=1.npy"), values(10, -20, 0, 8));
  // Raw bytes whose name says nothing.
  mkdirSync(join(cwd, "plain"));
  writeFileSync(join(cwd, "plain/samples"), values(10, -20, 0, 8));
});

/** The tensors of a file's subgraph by name. */
async function tensorsOf(file: string, subgraph: number): Promise<Map<string, Record<string, unknown>>> {
  const { out } = await minmaxq(["inspect", file, "--json"], { cwd });
  const { tensors } = JSON.parse(out).subgraphs[subgraph];
  return new Map(tensors.map((tensor: { name: string }) => [tensor.name, tensor]));
}

describe("inspect", () => {
  test("shows each signature with its subgraph and names", async () => {
    const { out } = await minmaxq(["inspect", "m.tflite"], { cwd });
    expect(out).toMatch(/signatures +encode \(subgraph 0\), decode \(subgraph 1\)/);
    const listed = (await minmaxq(["inspect", "m.tflite", "--signatures"], { cwd })).out;
    expect(listed).toMatch(/decode.*z.*d_out/s);
    const json = JSON.parse((await minmaxq(["inspect", "m.tflite", "--json"], { cwd })).out);
    expect(json.signatures).toEqual(["encode", "decode"]);
    expect(json.signatureDefs).toEqual([
      { name: "encode", subgraph: 0, inputs: [{ name: "x", tensor: 0 }], outputs: [{ name: "y", tensor: 2 }] },
      { name: "decode", subgraph: 1, inputs: [{ name: "x", tensor: 0 }], outputs: [{ name: "z", tensor: 3 }] },
    ]);
  });
});

describe("--data NAME=SAMPLES", () => {
  test("quantizes and records each signature, and says how many samples each had", async () => {
    const data = ["--data", "encode=a.npy", "--data", "decode=plain/samples", "--data-format", "decode=npy"];
    const { code, out } = await minmaxq(["quantize", "m.tflite", ...data, "--strict", "-o", "q.circle"], { cwd });
    expect({ code, out }).toEqual({
      code: 0,
      out: expect.stringContaining('2 samples of "encode", 1 sample of "decode"'),
    });
    expect((await tensorsOf("q.circle", 1)).get("d_out")!.dtype).toBe("UINT8");
    const recorded = await minmaxq(["record", "m.tflite", "--data", "b.npy", "-o", "r.circle"], { cwd });
    expect(recorded.out).toContain("give --data decode=SAMPLES");
    const input = (await tensorsOf("r.circle", 0)).get("e_in")!;
    expect([input.min, input.max]).toEqual([[-20], [10]]);
  });

  test("a file of the whole name is that file, and what has a slash before = always is", async () => {
    for (const path of ["lr=1.npy", "./lr=1.npy"]) {
      const { code } = await minmaxq(["record", "m.tflite", "--data", path, "-o", "l.circle"], { cwd });
      expect(code).toBe(0);
      expect((await tensorsOf("l.circle", 0)).get("e_in")!.min).toEqual([-20]);
    }
    await refused(["record", "m.tflite", "--data", "./lr=2.npy", "-o", "x.circle"], { cwd }, 1, "no such file");
    const said = ['no signature "lr"', 'no file "lr=2.npy"', '"encode", "decode"'];
    await refused(["record", "m.tflite", "--data", "lr=2.npy", "-o", "x.circle"], { cwd }, 2, ...said);
    expect(sampleSource("decode=lr=1.npy", cwd)).toEqual({ signature: "decode", location: "lr=1.npy" });
  });

  test("what cannot be meant", async () => {
    const quantize = (...data: string[]) => ["quantize", "m.tflite", ...data, "-o", "x.circle"];
    const both = quantize("--data", "decode=a.npy", "--data", "decode=b.npy");
    await refused(both, { cwd }, 2, 'both for the signature "decode"');
    const twice = quantize("--data", "a.npy", "--data", "b.npy");
    await refused(twice, { cwd }, 2, "both without a signature's name");
    const format = quantize("--data", "decode=a.npy", "--data-format", "encode=npy");
    await refused(format, { cwd }, 2, "there is no --data encode=");
    await refused(quantize("--data", "decode="), { cwd }, 2, "Write SIGNATURE=SAMPLES");
    await refused(quantize("--data", "a.npy", "--strict"), { cwd }, 1, "give --data decode=SAMPLES");
  });

  test("sounds for one signature, arrays for another; settings that serve neither are refused", async () => {
    // 16 bits stand for −1 to 1.
    writeFileSync(join(cwd, "s.wav"), wav(new Uint8Array(Int16Array.of(0, 8192, -16384, 16384).buffer)));
    const data = ["--data", "encode=a.npy", "--data", "decode=s.wav", "--scale=-1..1"];
    const { code, out } = await minmaxq(["record", "m.tflite", ...data, "-o", "p.circle"], { cwd });
    expect(code).toBe(0);
    expect(out).toContain('signature "decode": input');
    const [first, second] = [
      (await tensorsOf("p.circle", 0)).get("e_in")!,
      (await tensorsOf("p.circle", 1)).get("d_in")!,
    ];
    expect([second.min, second.max]).toEqual([[-0.5], [0.5]]);
    expect(first.max).not.toEqual([0.5]);
    const shown = JSON.parse((await minmaxq(["data", "show", "m.tflite", ...data, "--json"], { cwd })).out);
    expect(
      shown.parts.map(({ signature, samples }: { signature: string; samples: number }) => [signature, samples]),
    ).toEqual([
      ["encode", 2],
      ["decode", 1],
    ]);
    expect(shown.parts[1].inputs[0].first).toEqual([0, 0.25, -0.5, 0.5]);
    await minmaxq(["data", "pack", "decode=s.wav", "--model", "m.tflite", "--scale=-1..1", "-o", "s.npz"], { cwd });
    const packed = await minmaxq(["data", "show", "m.tflite", "--data", "decode=s.npz", "--json"], { cwd });
    expect(JSON.parse(packed.out).inputs[0].first).toEqual([0, 0.25, -0.5, 0.5]);
    const compared = await minmaxq(["compare", "m.tflite", "m.tflite", ...data, "--signature", "decode", "--json"], {
      cwd,
    });
    expect(JSON.parse(compared.out).signature).toBe("decode");
    const arrays = ["--data", "encode=a.npy", "--data", "decode=b.npy", "--scale", "0..1", "-o", "x.circle"];
    await refused(["record", "m.tflite", ...arrays], { cwd }, 2, "--scale: does nothing with a.npy and b.npy");
  });

  test("an output that is among the samples is refused, whichever it is", async () => {
    const words = ["quantize", "m.tflite", "--data", "encode=a.npy", "--data", "decode=b.npy", "-o", "b.npy"];
    await refused(words, { cwd }, 1, "is the input itself");
  });
});

describe("compare", () => {
  const compare = (...words: string[]) => ["compare", "m.tflite", "m.tflite", ...words];

  test("runs the signature that is named, and says which", async () => {
    for (const [words, name, output] of [
      [["--data", "decode=b.npy"], "decode", "d_out"],
      [["--data", "b.npy", "--signature", "decode"], "decode", "d_out"],
      [["--data", "encode=a.npy", "--data", "decode=b.npy", "--signature", "decode"], "decode", "d_out"],
      [["--data", "a.npy"], "encode", "e_out"],
    ] as const) {
      const { code, out } = await minmaxq(compare(...words, "--json"), { cwd });
      const { signature, outputs } = JSON.parse(out);
      expect([code, signature, outputs[0].name, outputs[0].metrics.mse]).toEqual([0, name, output, 0]);
    }
    expect((await minmaxq(compare("--data", "a.npy"), { cwd })).out).toContain(
      'signature "encode", the default one of 2',
    );
  });

  test("one at a time", async () => {
    await refused(
      compare("--data", "encode=a.npy", "--data", "decode=b.npy"),
      { cwd },
      2,
      "--signature encode or decode",
    );
    await refused(compare("--data", "a.npy", "--signature", "decod"), { cwd }, 2, 'did you mean "decode"');
    const other = compare("--data", "encode=a.npy", "--signature", "decode");
    await refused(other, { cwd }, 2, "give --data decode=SAMPLES");
  });
});

describe("jobs", () => {
  test("data is a text or a list, with paths from the list's folder", async () => {
    const jobs = [
      { model: "m.tflite", data: ["encode=a.npy", "decode=random:2"], output: "two.circle" },
      { model: "m.tflite", data: "lr=1.npy", output: "one.circle" },
    ];
    writeFileSync(join(cwd, "jobs.json"), JSON.stringify({ jobs }));
    const elsewhere = folder();
    const { code, err } = await minmaxq(["batch", join(cwd, "jobs.json")], { cwd: elsewhere });
    expect({ code, err }).toEqual({ code: 0, err: expect.not.stringContaining("failed") });
    expect((await tensorsOf("two.circle", 1)).get("d_out")!.dtype).toBe("UINT8");
    expect((await tensorsOf("one.circle", 1)).get("d_out")!.dtype).toBe("FLOAT32");
  });

  test("the key knows whose samples they are, and the contents of each", async () => {
    const key = async (...data: string[]) => {
      const entry = { model: join(cwd, "m.tflite"), output: join(cwd, "k.circle"), data };
      return (await keyOfJob(jobOf(entry), new Hashes())).key;
    };
    const [a, b] = [join(cwd, "a.npy"), join(cwd, "b.npy")];
    const keys = [
      await key(a),
      await key(`encode=${a}`),
      await key(`decode=${a}`),
      await key(a, `decode=${a}`),
      await key(a, `decode=${b}`),
    ];
    expect(new Set(keys).size).toBe(keys.length);
    expect(await key(a, `decode=${b}`)).toBe(keys[4]!);
  });

  test("a worker holds the samples of every signature to its roots", async () => {
    const entry = { model: join(cwd, "m.tflite"), output: join(cwd, "k.circle") };
    const roots = new Roots([cwd]);
    const inside = { ...entry, data: ["random:2", `decode=${join(cwd, "b.npy")}`] };
    expect(roots.confine(jobOf(inside)).entry.data).toEqual(inside.data);
    const outside = { ...entry, data: [join(cwd, "a.npy"), "decode=/etc/passwd"] };
    expect(await refusal(() => roots.confine(jobOf(outside)))).toContain("/etc/passwd: lies outside");
    const named = { ...entry, data: "decode=random.npy" };
    expect(await refusal(() => roots.confine(jobOf(named)))).toContain("random.npy: lies outside");
  });
});
