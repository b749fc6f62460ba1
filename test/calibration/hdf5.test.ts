/** `.h5`: fixtures made by h5py 3 (gzip, base64). */
import { describe, expect, test } from "bun:test";
import { gunzipSync } from "node:zlib";
import { openDataSet } from "../../src/calibration/dataset.ts";
import { all, bytesOf, file, floats, folder, messageOf, shared, spec } from "./support.ts";

/**
 * value/R for R in 0..10: 0 = [[R, R + 0.5]] '<f4', 1 = [R] '<i4', 2 = [R - 2^40] '<i8', 3 = [R is even, True] bool,
 * 4 = R 'u1' (scalar)
 */
const TYPED =
  "H4sIAAAAAAACA+3cf1AUVRwA8O/eDzhOMFAQVJJDKDGC4Pjtj9zDu/MiEvmlSOBYo4w2SEykQ5qJP7DQsVGsLMfsTExzYNIQ08hiUsw0zQxFTRIjmRETnGZSzNLe7u0u97j+cGfvtH3d95/77uPd7nuPvc+99+6gymI0+2iHaZUaDfBxlwvVZNtxDFc+keralWExZimgXDHIviIfWgVQAB6+gB7UC54rnj+7nj+nEZwSB2vrz3JNsF3M1hA62fbjU9wj5IHLotTjo4B7GQVvZhSomP2U7WnccWyzAjvW/6DEjuPaVNhx/BU1d92+3w+sXtS1nG0CqkCFo0FQUBR3GeBOD/2Plf5A+elCwHZ6HQRqIHAJytSotUqtBvVESfHXEC5lhf98XM1T1Qtj4Y/6S/WNBf+o9AbKF3WK77t9n/n7XsWfcB/INsboGzbf61jYuk1jY+Hd//cv47Hw9LrY1H8sFP1fE6FA5SlsY8OMCcX13mxIzzZBTlauCZXZD5C/Bj8BbJXFWPisH9chjIXK1nz2PoC+Ptt3c4gGv2fgCBATq3t7zongG3xxvr39cL6DBuF8hw/G+Y7xd+R7cNzWChFNGBeAN8EyBG9CTiDehJlBeBOKhzo2IaPgQ739qEywf/NnzahARU0TKP4uQMXAltMIUFrBvwbY2iijUfFMmnkrUwq1UVaBitfSKp5XtjbKrKh4F828samF2ihrQsUnaQ+m6UJtlLWj4uu0J/OaFmozmQH1yKDh+8XWRpkvKg4yeKESL6E2ynSoOMKgRSVaobYW3OEOd7jDHe74f4YrlpGBMlxGTltinCFlGRlC0DIyv2uBr5RlZBhBy8gdA+qKnL6MjJTnMrJ1XuAyMcvIKIKXke3UYr0r7IyWoZ1Hb066LsXORILsTN99MV+KnWMIsrPnzopep9uZKk87C1u2q8TYaSTYzv2j6jtE7H/dHobvf3kG4/tfgx/G979CRuD7X5EhjvtfUzvHKlzBt0mGfDc/lDdVCt/PEMR38qoWDyl8Z5L0Ccq6Ayuczvd0efL9dWn+YjF8P0sw39cqW18UwffnOpzvw6E436dG4nz/HIbz3RXuyPd0OvO2K/gukCHffrUaWgrfswji2+fv9w9K4XsOQXx3jdQ5f+eiVJ58e+05ZhXD90sE85209sItEXxvfxTnu34UzvdXETjfx0bjfLc+5sj3B6aa5eZsdIf1ct/Xoooo2Mgk6ywtvf/WaFdgXyZD7COSh2+Vgv0igrDfu0c/Wgr2SwjCvr0yaazTsX9dnth/clRRLAb7KoKx1ynLKBHYv/U4jr01Cse+NhrHft8TOPaHYhyxDy5df0Vco12B/SoZYj9ozq0dUrCvJgj7pfMa6qVg/w5B2H9x/toFp2O/WZ7Yn7qRWyYGeyvB2G+o7i4Xgf1SPY79mjgc+/ficey3JeDY7050xD6muOfXB4/9Fhlin7Fx4FAp2H9MEPbWnbV7pWBfRxD220qyxjsd+wZ5Yr/w3eOzxGD/GcHYrwndeUME9mljceynjsOxf348jn3Jkzj2Cyc4Yn++MuCyOcsyhf1evoL/Swn7thRxI8/v80D/O5eLAffYaZXdMykOQQpU6XxZS01jY2qOxQhqph5z1lkRaSn8Nfir1CyY/bI5G9UCvn39cem73hQoR9fgf/IKtxnGfSItPL4WXPdNak66GdQl/q0AzB9seMO329r8IZNNO+8GhIOJTW8uS4iG+WxatomeCEvZ9NUt1RshlE0jMisaIIpNqcKM/ZDCpgUNG47DGmaLG6JP+FyCQrZ02qajN2Eumzb/mHYG3PEA38BdMJHZJ8OJjHrgjiApE5kmgiYyjebhuVImMocImsjoE0cucvpE5jt5TmRCvvwlR8xE5gTBE5m55YZSERMZLwM+kQlIxScyoRPxiUyUEZ/IpJgcJzKT304+4wq+v5ch3zOOXZgrhe9WgvheWVe9UArfPxHEd+9k62Gn890hT74PFlWdFsP3ZYL5PndoxAERfB8x43y3TML5brfgfP/2FM53b5oj356NV990Bd+dMuR7cXdDiBS+uwnie8WnZ+dL4ft3gviOOH7pBafz/ac8+a5JjW8Tw/dfBPP9RkVBrNliTBX+hRYTp8OevsNgnShsj1Gxf3gIub7cU8jjyocJeXySTsgTbjwi5IkdkUKedDJWyJMPJAl5ykqazxWxMSazez/p/sU/5KaZngROAAA=";

/** value with attribute rawData; value/R/0 = [R … R + 7] 'u1' */
const RAW =
  "H4sIAAAAAAACA+v0cHHj5ZLiYubgYICB/1AgABUygIo/jptT5u/hEsTEUMEkhKwQBriYGBgZGNgEGIAUa1liTmnqZpiZLgxUAYfXbL4BdYIA0BoPZoiwHlQa4gBRIQYWTMfxaDIwMDNwMPCAJIsSy10SSxIZQF6E+NKBgQnJHjYekB8YDcwYoQLscCmukneVxIQC1ISdMBM8GKgGQkzvvAU7AWgBowgDAxMjIyMs+mA0Mw8DIzCEGBihoqxAVzFzcQBdzMwIUwSP8h0MQxa8MY++SEJ0lDFTPzpu2LI/9nf28MZuP9Rmw6PQ9BWlbMVOSeRxDKPIe1/+ZifDKBgFo2CgACMTMwsrGzuU4gAABKL+1RAIAAA=";

/** value/0/0 = [[1, 2]] '>f4'; value/1/0 = [[1, 2, 3]] '<f8'; value/2 without datasets */
const WRONG =
  "H4sIAAAAAAACA+v0cHHj5ZLiYubgYICB/1CgABUygIoLS/639PdwCWJiqGASQlYIA1xMDIwMDGwCDECKtSwxpzR1M8xMFwaqgMNrNt8gxgk8ICcwGpgxQrRB+YZHmVD4RiEsUHM1iHfCX8m1qiQ4YSfUCQweDFQDIaZ33oKdALSAUYWBgYmJkRFmDdSHDOh8ZhEGRkFFeQaIjxUYxDkYxOuBLFaga5m5OIA+YWZkgEY4PCksYBj0oDVGfD8J0eHBTP3osFI72IkrOpjRooMZOToU7KFB7cBgws1g8p8ZNTpgWVJiCEWHvNRFYjIoQwTtnHB054k1DKNgFIwCwsC+AVT6wMAHeygDKsThAAD4vYZ+IAgAAA==";

function made(base64: string): string {
  return file(folder(), "data.h5", gunzipSync(Buffer.from(base64, "base64")));
}

const INPUTS = [
  spec("a", "FLOAT32", [1, 2]),
  spec("b", "INT32", [1]),
  spec("c", "INT64", [1]),
  spec("d", "BOOL", [2]),
  spec("e", "UINT8", []),
];

describe("hdf5", () => {
  test("all types, records in the order of their numbers", async () => {
    const data = await openDataSet(made(TYPED), INPUTS);
    expect(data.count).toBe(11);
    expect(await all(data)).toEqual(
      Array.from({ length: 11 }, (_, r) => [
        floats(r, r + 0.5),
        bytesOf(Int32Array.of(r)),
        bytesOf(BigInt64Array.of(BigInt(r) - 2n ** 40n)),
        Uint8Array.of(r % 2 === 0 ? 1 : 0, 1),
        Uint8Array.of(r),
      ]),
    );
    data.close();
  });

  test("raw data: only the size counts", async () => {
    const path = made(RAW);
    const data = await openDataSet(path, [spec("a", "FLOAT32", [2])]);
    expect(await all(data)).toEqual([0, 1].map((r) => [Uint8Array.from({ length: 8 }, (_, i) => i + r)]));
    data.close();
    const message = await messageOf(() => openDataSet(path, [spec("a", "FLOAT32", [3])]));
    expect(message).toContain('value/0/0: has 8 bytes, model input "a" (FLOAT32 [3]) needs 12');
    expect(message).toContain("value/1/0");
  });

  test("wrong type, shape and number of inputs, all at once", async () => {
    const message = await messageOf(() => openDataSet(made(WRONG), [spec("a", "FLOAT32", [1, 2])]));
    expect(message).toContain("value/0/0: holds big-endian f4");
    expect(message).toContain("value/1/0: holds f8");
    expect(message).toContain("value/1/0: has shape [1, 3]");
    expect(message).toContain("value/2: wrong number of inputs: it has 0, the model 1");
  });

  test("refuses what is no HDF5 file, and one that is cut", async () => {
    const where = folder();
    const text = file(where, "text.h5", "hello");
    expect(await messageOf(() => openDataSet(text, INPUTS))).toContain("not a readable HDF5 file");
    const whole = gunzipSync(Buffer.from(TYPED, "base64"));
    const cut = file(where, "cut.h5", whole.subarray(0, whole.length / 2));
    expect(await messageOf(() => openDataSet(cut, INPUTS))).toContain("not a readable HDF5 file");
    expect(await messageOf(() => openDataSet(`${where}/none.h5`, INPUTS))).toContain("there is no such file");
  });

  test("the shared sample file holds the first records of the .npz", async () => {
    const h5 = shared("calibration/face_128.h5");
    const npz = shared("calibration/face_128.npz");
    const list = shared("calibration/face_128.list");
    const raw = shared("calibration/face_128_raw");
    if (!h5 || !npz || !list || !raw) return;
    const inputs = [spec("input", "FLOAT32", [1, 128, 128, 3])];
    const [a, b, c, d] = await Promise.all(
      [h5, npz, list, raw].map(async (path) => all(await openDataSet(path, inputs))),
    );
    expect(a!.length).toBe(8);
    expect(b!.length).toBe(16);
    expect(c!.length).toBe(4);
    expect(Bun.deepEquals(a, b!.slice(0, 8))).toBe(true);
    expect(Bun.deepEquals(c, b!.slice(0, 4))).toBe(true);
    expect(Bun.deepEquals(d, c)).toBe(true);
  });
});
