#!/usr/bin/env python3
"""Holds `minmaxq data pack` to Pillow: the same pictures, the same bytes.

    python3 scripts/check-pictures.py dist/minmaxq

Needs Pillow 11, NumPy and flatbuffers (Pillow 13 may resize columns before rows, which differs by 1 here and there). Makes pictures of many sizes, formats and orientations, has minmaxq prepare them for a small model that is made here, and
compares every value with what Pillow gives: decoded, turned upright, converted, cropped or padded, resized (BILINEAR). Expected is equality.
"""
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image, ImageOps

WIDTH, HEIGHT = 37, 23


def half_up(n, d):
    return (2 * n + d) // (2 * d)


def model(path, shape):
    """A model with one float input of this shape, its own output: FlatBuffer by hand (TFL3), without operators."""
    import flatbuffers

    b = flatbuffers.Builder(256)
    name = b.CreateString("x")
    dims = b.CreateNumpyVector(np.array(shape, np.int32))
    b.StartObject(8)
    b.PrependUOffsetTRelativeSlot(0, dims, 0)
    b.PrependUint32Slot(2, 0, 0)
    b.PrependUOffsetTRelativeSlot(3, name, 0)
    tensor = b.EndObject()

    def vector(items):
        b.StartVector(4, len(items), 4)
        for item in reversed(items):
            b.PrependUOffsetTRelative(item)
        return b.EndVector()

    tensors = vector([tensor])
    ends = b.CreateNumpyVector(np.array([0], np.int32))
    b.StartObject(5)
    b.PrependUOffsetTRelativeSlot(0, tensors, 0)
    b.PrependUOffsetTRelativeSlot(1, ends, 0)
    b.PrependUOffsetTRelativeSlot(2, ends, 0)
    graph = b.EndObject()
    graphs = vector([graph])
    b.StartObject(1)
    empty = b.EndObject()
    buffers = vector([empty])
    b.StartObject(8)
    b.PrependUint32Slot(0, 3, 0)
    b.PrependUOffsetTRelativeSlot(2, graphs, 0)
    b.PrependUOffsetTRelativeSlot(4, buffers, 0)
    b.Finish(b.EndObject(), file_identifier=b"TFL3")
    path.write_bytes(bytes(b.Output()))


def fitted(image, how):
    w, h = image.size
    wide = w * HEIGHT > h * WIDTH
    if how == "stretch":
        return image.resize((WIDTH, HEIGHT), Image.BILINEAR)
    if how == "crop":
        cw, ch = (max(1, half_up(h * WIDTH, HEIGHT)), h) if wide else (w, max(1, half_up(w * HEIGHT, WIDTH)))
        left, top = (w - cw) // 2, (h - ch) // 2
        return image.crop((left, top, left + cw, top + ch)).resize((WIDTH, HEIGHT), Image.BILINEAR)
    nw, nh = (WIDTH, max(1, half_up(h * WIDTH, w))) if wide else (max(1, half_up(w * HEIGHT, h)), HEIGHT)
    out = Image.new(image.mode, (WIDTH, HEIGHT))
    out.paste(image.resize((nw, nh), Image.BILINEAR), ((WIDTH - nw) // 2, (HEIGHT - nh) // 2))
    return out


def pictures(folder, rng):
    sizes = [(1, 1), (5, 3), (37, 23), (64, 64), (200, 31), (31, 200), (640, 479), (3, 300)]
    for i, (w, h) in enumerate(sizes):
        small = rng.integers(0, 256, (max(1, h // 7) + 1, max(1, w // 7) + 1, 4), dtype=np.uint8)
        image = Image.fromarray(small).resize((w, h), Image.BICUBIC)
        rgb = image.convert("RGB")
        exif = Image.Exif()
        exif[0x0112] = i % 8 + 1
        rgb.save(folder / f"{i}a.jpg", quality=85, exif=exif)
        rgb.save(folder / f"{i}b.jpg", quality=60, progressive=True, subsampling=0)
        rgb.convert("L").save(folder / f"{i}c.jpg")
        rgb.save(folder / f"{i}d.png", exif=exif)
        image.save(folder / f"{i}e.png")
        rgb.quantize(17).save(folder / f"{i}f.png")
        rgb.convert("L").save(folder / f"{i}g.png")
        rgb.convert("1").save(folder / f"{i}h.png")
        rgb.save(folder / f"{i}i.webp", lossless=True, exif=exif)
        rgb.save(folder / f"{i}j.webp", quality=50)
        image.save(folder / f"{i}k.webp", quality=50)
        rgb.save(folder / f"{i}l.bmp")
        rgb.quantize(200).save(folder / f"{i}m.bmp")
        rgb.convert("1").save(folder / f"{i}n.bmp")
        rgb.convert("L").save(folder / f"{i}o.bmp")


def main(program):
    rng = np.random.default_rng(7)
    worst = 0
    with tempfile.TemporaryDirectory() as name:
        top = pathlib.Path(name)
        folder = top / "photos"
        folder.mkdir()
        pictures(folder, rng)
        files = sorted(folder.iterdir(), key=lambda path: path.name)
        for shape, planar in [((1, HEIGHT, WIDTH, 3), False), ((1, 3, HEIGHT, WIDTH), True), ((1, HEIGHT, WIDTH, 1), False)]:
            model(top / "m.tflite", shape)
            for how in ["stretch", "crop", "fit"]:
                for channels in ["rgb", "bgr", "gray"]:
                    if shape[-1] == 1 and channels != "gray":
                        continue
                    command = [program, "data", "pack", folder, "--model", top / "m.tflite", "-o", top / "s.npy"]
                    command += ["--scale", "0..255", "--resize", how, "--channels", channels]
                    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
                    found = np.load(top / "s.npy")
                    if planar:
                        found = found.transpose(0, 2, 3, 1)
                    for path, have in zip(files, found):
                        image = ImageOps.exif_transpose(Image.open(path))
                        image = image.convert("RGB")
                        if channels == "gray":
                            image = image.convert("L")
                        want = np.asarray(fitted(image, how), np.float32)
                        want = want[..., None].repeat(have.shape[-1], 2) if channels == "gray" else want
                        want = want[..., ::-1] if channels == "bgr" else want
                        off = np.abs(want - have).max()
                        worst = max(worst, off)
                        if off:
                            print(f"{path.name} {shape} {how} {channels}: differs by {off}")
    print(f"{len(files)} pictures, largest difference {worst}")
    return 1 if worst else 0


if __name__ == "__main__":
    sys.exit(main(str(pathlib.Path(sys.argv[1]).resolve())))
