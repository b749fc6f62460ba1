/** From pictures to a checked model, as a stranger does it: `quantize`, `compare`, `data show` and `data pack` on a folder of pictures. */
import { beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Decoders } from "../../src/media/decoders.ts";
import { readHeader } from "../../src/media/header.ts";
import { encodePng } from "../../src/media/png.ts";
import { SMALL } from "../media/pictures.ts";
import { twoInputs, write } from "./models.ts";
import { cleanUpAfterwards, files, folder, minmaxq, REAL, refused, shell, succeeded } from "./support.ts";

cleanUpAfterwards();

const cwd = folder();
const OUT = "face.int8.tflite";

beforeAll(async () => {
  mkdirSync(join(cwd, "photos"));
  for (const [i, { base64 }] of SMALL.entries())
    writeFileSync(join(cwd, "photos", `${i}.jpg`), Buffer.from(base64, "base64"));
  // Something to see: 40 wide, 20 high, red on the left and blue on the right.
  const wide = Uint8Array.from({ length: 40 * 20 * 3 }, (_, i) =>
    i % 3 === (Math.floor(i / 3) % 40 < 20 ? 0 : 2) ? 255 : 0,
  );
  writeFileSync(join(cwd, "wide.png"), encodePng(40, 20, wide));
  await write(twoInputs(), join(cwd, "two.circle"));
});

/** Lines of stdout, without the times. */
const lines = (out: string) => out.trimEnd().split("\n");

describe("quantize and compare", () => {
  test("a folder; what was done with it is said, and counted in the Report", async () => {
    const { out } = await succeeded(["quantize", REAL, "--data", "photos", "--scale=-1..1", "-o", OUT], { cwd });
    expect(out).toContain("runs in LiteRT");
    expect(out).toContain(`ranges: percentile 1–99 of ${SMALL.length} samples`);
    expect(out).toContain(
      `note: input "input": ${SMALL.length} pictures stretched to 128×128, rgb, -1…1 (--scale -1..1)`,
    );
    const again = ["quantize", REAL, "--data", "photos/*.jpg", "--scale", "-1..1", "-o", "again.tflite", "--json"];
    const report = JSON.parse((await succeeded(again, { cwd })).out);
    expect(report.ranges.samples).toBe(SMALL.length);
    expect(report.notes.filter(({ code }: { code: string }) => code === "pictures")).toHaveLength(1);
    expect(readFileSync(join(cwd, "again.tflite")).equals(readFileSync(join(cwd, OUT)))).toBe(true);
  });

  test("as from the packed samples, to the last bit", async () => {
    await succeeded(["data", "pack", "photos", "--model", REAL, "--scale", "-1..1", "-o", "s.npz"], { cwd });
    await succeeded(["quantize", REAL, "--data", "s.npz", "-o", "packed.tflite"], { cwd });
    expect(readFileSync(join(cwd, "packed.tflite")).equals(readFileSync(join(cwd, OUT)))).toBe(true);
    const [a, b] = await Promise.all(
      [["s.npz"], ["photos", "--scale", "-1..1"]].map((data) =>
        minmaxq(["compare", REAL, OUT, "--json", "--data", ...data], { cwd }),
      ),
    );
    expect(JSON.parse(a!.out)).toEqual(JSON.parse(b!.out));
    expect(b!.err).toContain("pictures stretched to 128×128");
  });

  test("sounds and pictures are refused in a line where they do not fit", async () => {
    await refused(
      ["quantize", REAL, "--data", "photos", "-o", "no.tflite"],
      { cwd },
      2,
      "--scale is missing",
      "--scale 0..1",
    );
    await refused(
      ["quantize", "two.circle", "--data", "photos", "--scale", "0..1", "-o", "no.circle"],
      { cwd },
      1,
      /NAME_0/,
    );
    await refused(
      ["quantize", REAL, "--data", "wide.png", "--scale", "1..0", "-o", "no.tflite"],
      { cwd },
      2,
      "Write 0..1",
    );
    await refused(["quantize", REAL, "--scale", "0..1", "-o", "no.tflite"], { cwd }, 2, "does nothing without --data");
    await refused(["quantize", REAL, "--data", "none/*.png", "-o", "no.tflite"], { cwd }, 1, "no file has such a name");
  });

  test("a pattern without quotes", async () => {
    const { code, err } = await shell(`$M quantize ${REAL} --scale 0..1 -o no.tflite --data photos/*.jpg`, { cwd });
    expect(code).toBe(2);
    expect(err).toContain("needs quotes: --data 'photos/*.jpg'");
  });

  test("--skip-bad", async () => {
    mkdirSync(join(cwd, "some"));
    writeFileSync(join(cwd, "some/0.png"), readFileSync(join(cwd, "wide.png")));
    writeFileSync(join(cwd, "some/1.png"), readFileSync(join(cwd, "wide.png")).subarray(0, 60));
    writeFileSync(join(cwd, "some/readme.md"), "pictures");
    const args = ["quantize", REAL, "--scale", "0..1", "--data", "some", "-o", "some.tflite"];
    await refused(args, { cwd }, 1, "holds 2 pictures", '1 other file (e.g. "readme.md")', "--skip-bad");
    const { out } = await succeeded([...args, "--skip-bad"], { cwd });
    expect(out).toContain("of 1 sample");
    expect(out).toContain("warning: 2 of 3 samples left out (--skip-bad): ");
    const pattern = [...args.slice(0, 4), "--data", "some/*.png", "-o", "some.tflite"];
    await refused(pattern, { cwd }, 1, /^minmaxq: some\/1.png: is damaged.*; --skip-bad leaves it out$/m);
    expect((await succeeded([...pattern, "--skip-bad"], { cwd })).out).toContain("1 of 2 samples left out");
  });
});

describe("data", () => {
  test("show: statistics, first values, where settings come from", async () => {
    const { out } = await succeeded(
      ["data", "show", REAL, "--data", "wide.png", "--scale", "0..1", "--resize", "fit"],
      { cwd },
    );
    // Fitted into 128×128, half of it is black; of the rest a half is red, the other half blue. Between them it is mixed.
    expect(lines(out).map((line) => line.trim())).toEqual([
      `wide.png: 1 sample for ${REAL}`,
      'model input "input" (FLOAT32 [1, 128, 128, 3])',
      expect.stringMatching(/^min 0, max 1, mean 0\.1667, std 0\.37/),
      expect.stringMatching(/^channel 0: min 0, max 1, mean 0\.25, std 0\.43/),
      "channel 1: min 0, max 0, mean 0, std 0",
      expect.stringMatching(/^channel 2: min 0, max 1, mean 0\.25, std 0\.43/),
      "begins with 0, 0, 0, 0, 0, 0, 0, 0",
      'note: input "input": 1 picture fitted into 128×128, rgb, 0…1 (--scale 0..1)',
    ]);
  });

  test("show --sheet: what the model sees, as a person sees it", async () => {
    for (const more of [["--channels", "bgr"], []]) {
      const args = ["data", "show", REAL, "--data", "wide.png", "--scale=-1..1", "--sheet", "sheet.png", ...more];
      expect((await succeeded(args, { cwd })).out).toContain(
        'sheet.png: the first 1 sample of input "input", -1 as black, 1 as white',
      );
      const png = new Uint8Array(readFileSync(join(cwd, "sheet.png")));
      const { width, height, data } = await new Decoders().decode(png, readHeader(png));
      expect([width, height]).toEqual([128 + 8, 128 + 8]);
      const at = (x: number, y: number) => [...data.subarray((y * width + x) * 4, (y * width + x) * 4 + 3)];
      expect([at(0, 0), at(10, 70), at(120, 70)]).toEqual([
        [40, 40, 40],
        [255, 0, 0],
        [0, 0, 255],
      ]);
    }
  });

  test("show --json; made-up samples", async () => {
    const { out } = await succeeded(["data", "show", "two.circle", "--data", "random:3", "--json"], { cwd });
    const { samples, inputs } = JSON.parse(out);
    expect(samples).toBe(3);
    expect(inputs.map(({ name }: { name: string }) => name)).toEqual(["left", "right"]);
    for (const { min, mean, max, first } of inputs)
      expect([min < mean, mean < max, first.length > 0]).toEqual([true, true, true]);
  });

  test("refused", async () => {
    const before = files(cwd);
    await refused(["data"], { cwd }, 2, "data show or data pack");
    await refused(["data", "pak"], { cwd }, 2, /did you mean/i);
    await refused(["data", "pack", "photos"], { cwd }, 2, "data pack needs --model <path> and -o, --output <samples>");
    await refused(["data", "pack", "photos", "--model", REAL, "-o", "x.zip"], { cwd }, 2, ".npz or .npy");
    await refused(["data", "pack", "random:2", "--model", "two.circle", "-o", "x.npy"], { cwd }, 2, "holds one input");
    await refused(
      ["data", "show", "two.circle", "--data", "random:2", "--sheet", "x.png"],
      { cwd },
      1,
      "no input of the model is a picture",
    );
    expect(files(cwd)).toEqual(before);
  });
});

describe("one's tools", () => {
  test("a picture in a list gets a hint", async () => {
    writeFileSync(join(cwd, "list.txt"), "wide.png\n");
    await refused(
      [
        "record-minmax",
        "--input_model",
        REAL,
        "--input_data",
        "list.txt",
        "--input_data_format",
        "list",
        "--output_model",
        "no.circle",
      ],
      { cwd },
      1,
      "wide.png: is a PNG picture, and raw bytes are read here",
    );
  });
});
