"""THE TABLE OF OPERATORS: a model for every operator that LiteRT's schemes know, and what each scheme has to make of it.

A row: name, kind, int8, int16x8, the model. `Y`: the operator computes in integers; `-`: it stays float (LiteRT has no kernel, or one that does not
rescale); `?`: either. `dynamic` and `weights` say which constant the schemes without samples have to make integers of, and in which dtypes the kernels take
it. Inputs with different ranges meet on purpose where kernels demand equal parameters.
"""
import dataclasses
import zlib
from typing import Callable

import numpy as np

from .flat import TYPE, Net

SAMPLES = 4
F32, I32, BOOL = TYPE.FLOAT32, TYPE.INT32, TYPE.BOOL
I8, I4, I2 = "int8", "int4", "int2"


@dataclasses.dataclass
class Case:
    name: str
    kind: str
    int8: str
    int16x8: str
    build: Callable
    dynamic: tuple = ()  # dtypes of the weight with a dynamic-range kernel
    weights: bool = False  # has a weight for the weight-only schemes
    blocks: bool = False  # block-wise int4 weights have a kernel
    words: tuple = ()  # further arguments of quantize
    reference: Callable | None = None  # the same with what LiteRT's float kernels want, where they refuse the model itself
    decibel: dict = dataclasses.field(default_factory=dict)  # least SQNR against the float model where it is not the scheme's own
    steps: dict = dataclasses.field(default_factory=dict)  # where a kernel itself is not exact to 2 steps, by scheme: said with the row
    unlike: str = ""  # why the reference kernels compute something else, whatever the file says

    def made(self):
        """The net that is quantized, and the one that LiteRT runs in float for the reference."""
        net, reference = Net(), Net()
        self.build(net, Random(self.name))
        (self.reference or self.build)(reference, Random(self.name))
        return net, reference


class Random:
    """Numbers that are the same on every machine for a case of that name."""

    def __init__(self, name):
        self.of = np.random.default_rng(zlib.crc32(name.encode()))

    def __call__(self, low, high, *shape):
        """Samples of an input; both ends of the range occur."""
        values = self.of.uniform(low, high, (SAMPLES, *shape)).astype(np.float32)
        flat = values.reshape(SAMPLES, -1)
        if flat.shape[1] > 1:
            flat[:, 0], flat[:, -1] = low, high
        else:
            flat[0], flat[-1] = low, high
        return values

    def w(self, *shape, size=0.5):
        return self.of.uniform(-size, size, shape).astype(np.float32)

    def channels(self, *shape, axis=0):
        """Weights whose channels differ a lot in size."""
        size = 0.05 * 3.0 ** (np.arange(shape[axis]) % 4)
        return (self.of.uniform(-1, 1, shape) * size.reshape([-1 if i == axis else 1 for i in range(len(shape))])).astype(np.float32)

    def grid(self, step, *shape):
        """Samples without near ties: all values of a sample differ by `step` or more along the last axis."""
        return np.stack([np.stack([self.of.permutation(shape[-1]) for _ in range(int(np.prod(shape[:-1])))]).reshape(shape) for _ in range(SAMPLES)]).astype(np.float32) * np.float32(step) - np.float32(shape[-1] * step / 2)

    def integers(self, low, high, *shape):
        return self.of.integers(low, high, (SAMPLES, *shape)).astype(np.int32)

    def bools(self, *shape):
        return self.of.integers(0, 2, (SAMPLES, *shape)).astype(bool)


CASES: list[Case] = []


def row(name, int8, int16x8, build, **more):
    CASES.append(Case(name, name.split(" ")[0], int8, int16x8, build, **more))


def ints(net, *values):
    return net.const(np.array(values, np.int32))


# ------------------------------------------------------------------------------------------------ with weights


def conv(inputs=(1, 8, 8, 4), weights=(6, 3, 3, 4), bias=True, zeros=False, **options):
    def build(net, r):
        x = net.input("x", r(-1.5, 2.5, *inputs))
        w = net.const(r.channels(*weights), "w")
        b = [net.const(r.w(weights[0]), "b")] if bias else [net.const(np.zeros(weights[0], np.float32))] if zeros else []
        net.op("CONV_2D", [x, w, *b], **{"padding": "SAME", **options})

    return build


def dead_channel(kind):
    """Training leaves such channels: weights of next to nothing, and a bias that is all of the result."""

    def build(net, r):
        x = net.input("x", r(-1.5, 2.5, 1, 6, 6, 4))
        axis = 3 if kind == "DEPTHWISE_CONV_2D" else 0
        w = r.channels(*((1, 3, 3, 4) if axis == 3 else (4, 3, 3, 4)), axis=axis)
        np.moveaxis(w, axis, 0)[1] *= 1e-9
        np.moveaxis(w, axis, 0)[2] = 0
        operands = [x, net.const(w, "w"), net.const(np.float32([0.2, 0.02, 0.8, -0.1]), "b")]
        net.op(kind, operands, padding="SAME", **({"depthMultiplier": 1} if axis == 3 else {}))

    return build


def depthwise(channels=4, multiplier=1, bias=True, zeros=False, **options):
    def build(net, r):
        x = net.input("x", r(-1.5, 2.5, 1, 8, 8, channels))
        w = net.const(r.channels(1, 3, 3, channels * multiplier, axis=3), "w")
        b = [net.const(r.w(channels * multiplier), "b")] if bias else [net.const(np.zeros(channels * multiplier, np.float32))] if zeros else []
        net.op("DEPTHWISE_CONV_2D", [x, w, *b], **{"padding": "SAME", "depthMultiplier": multiplier, **options})

    return build


def transpose_conv(bias=False, stride=2, **options):
    def build(net, r):
        x = net.input("x", r(-1.5, 2.5, 1, 4, 4, 4))
        w = net.const(r.channels(6, 3, 3, 4), "w")
        b = [net.const(r.w(6), "b")] if bias else []
        net.op("TRANSPOSE_CONV", [ints(net, 1, 4 * stride, 4 * stride, 6), w, x, *b], version=3 if bias else 1, **{"padding": "SAME", "strideH": stride, "strideW": stride, **options})

    return build


def dense(inputs=(2, 32), outputs=8, bias=True, missing=False, **options):
    def build(net, r):
        x = net.input("x", r(-1.5, 2.5, *inputs))
        w = net.const(r.channels(outputs, inputs[-1]), "w")
        b = [net.const(r.w(outputs), "b")] if bias else [-1] if missing else []
        net.op("FULLY_CONNECTED", [x, w, *b], **options)

    return build


def matmul(left, right, constant=False, **options):
    def build(net, r):
        x = net.input("x", r(-1.5, 2.5, *left))
        y = net.const(r.channels(*right, axis=len(right) - 2 if options.get("adjY") else len(right) - 1), "w") if constant else net.input("y", r(-1.0, 3.0, *right))
        net.op("BATCH_MATMUL", [x, y], **options)

    return build


def embedding(net, r):
    net.op("EMBEDDING_LOOKUP", [net.input("ids", r.integers(0, 10, 6)), net.const(r.channels(10, 32), "w")])


CONV = {"dynamic": (I8, I4), "weights": True}
row("CONV_2D", "Y", "Y", conv(), **CONV)
# LiteRT refuses a float CONV_2D without bias and dies of a float DEPTHWISE_CONV_2D without one.
row("CONV_2D without bias", "Y", "Y", conv(bias=False), reference=conv(bias=False, zeros=True), **CONV)
row("CONV_2D RELU", "Y", "Y", conv(act="RELU"), **CONV)
row("CONV_2D RELU6 stride VALID", "Y", "Y", conv(act="RELU6", padding="VALID", strideH=2, strideW=2), **CONV)
row("CONV_2D RELU_N1_TO_1 dilated", "Y", "Y", conv(act="RELU_N1_TO_1", dilationHFactor=2, dilationWFactor=2), **CONV)
row("CONV_2D 1x1 batch 3", "Y", "Y", conv((3, 5, 5, 8), (16, 1, 1, 8)), **CONV)
row("CONV_2D one channel out", "Y", "Y", conv((1, 6, 6, 4), (1, 3, 3, 4)), dynamic=(I8, I4), weights=True)
row("CONV_2D grouped", "Y", "Y", conv((1, 6, 6, 8), (8, 3, 3, 2)), dynamic=(I8, I4), weights=True)
row("CONV_2D dead channels", "Y", "Y", dead_channel("CONV_2D"), dynamic=(I8, I4), weights=True)
row("DEPTHWISE_CONV_2D dead channels", "Y", "Y", dead_channel("DEPTHWISE_CONV_2D"), dynamic=(I8,), weights=True)
row("CONV_2D per tensor", "Y", "Y", conv(), words=("--granularity", "layer"), decibel={"int8": 25, "int16x8": 30})
row("DEPTHWISE_CONV_2D", "Y", "Y", depthwise(), dynamic=(I8,), weights=True)
row("DEPTHWISE_CONV_2D multiplier 2 RELU6", "Y", "Y", depthwise(multiplier=2, act="RELU6"), dynamic=(I8,), weights=True)
row("DEPTHWISE_CONV_2D without bias stride 2", "Y", "Y", depthwise(bias=False, strideH=2, strideW=2), reference=depthwise(bias=False, zeros=True, strideH=2, strideW=2), dynamic=(I8,), weights=True)
row("DEPTHWISE_CONV_2D dilated VALID", "Y", "Y", depthwise(padding="VALID", dilationHFactor=2, dilationWFactor=2), dynamic=(I8,), weights=True)
row("DEPTHWISE_CONV_2D one channel", "Y", "Y", depthwise(channels=1), dynamic=(I8,), weights=True)
row("DEPTHWISE_CONV_2D per tensor", "Y", "Y", depthwise(), words=("--granularity", "layer"), decibel={"int8": 20, "int16x8": 22})
row("TRANSPOSE_CONV", "Y", "Y", transpose_conv(), dynamic=(I8,), weights=True)
row("TRANSPOSE_CONV bias", "Y", "Y", transpose_conv(bias=True), dynamic=(I8,), weights=True)
row("TRANSPOSE_CONV stride 1 VALID", "Y", "Y", transpose_conv(stride=1), dynamic=(I8,), weights=True)
row("TRANSPOSE_CONV per tensor", "Y", "Y", transpose_conv(), words=("--granularity", "layer"), decibel={"int8": 25, "int16x8": 30})
DENSE = {"dynamic": (I8, I4, I2), "weights": True, "blocks": True}
row("FULLY_CONNECTED", "Y", "Y", dense(), **DENSE)
row("FULLY_CONNECTED without bias", "Y", "Y", dense(bias=False), **DENSE)
row("FULLY_CONNECTED bias -1", "Y", "Y", dense(bias=False, missing=True), **DENSE)
row("FULLY_CONNECTED RELU", "Y", "Y", dense(act="RELU"), **DENSE)
row("FULLY_CONNECTED RELU6", "Y", "Y", dense(act="RELU6"), **DENSE)
row("FULLY_CONNECTED RELU_N1_TO_1", "Y", "Y", dense(act="RELU_N1_TO_1"), decibel={"int16x8": 34}, **DENSE)
row("FULLY_CONNECTED rank 3 keep dims", "Y", "Y", dense((2, 3, 64), 8, keepNumDims=True), **DENSE)
row("FULLY_CONNECTED rank 4", "Y", "Y", dense((1, 2, 2, 16), 12), dynamic=(I8, I4, I2), weights=True)
row("FULLY_CONNECTED one row", "Y", "Y", dense((2, 32), 1), dynamic=(I8, I4, I2), weights=True)
row("FULLY_CONNECTED odd columns", "Y", "Y", dense((2, 33), 8), dynamic=(I8,), weights=True)
row("FULLY_CONNECTED large", "Y", "Y", dense((1, 512), 64), **DENSE)
row("FULLY_CONNECTED per tensor", "Y", "Y", dense(), words=("--granularity", "layer"), decibel={"int8": 25, "int16x8": 30})
row("BATCH_MATMUL", "Y", "Y", matmul((2, 3, 8), (2, 8, 5)))
row("BATCH_MATMUL adjX", "Y", "Y", matmul((2, 8, 3), (2, 8, 5), adjX=True))
row("BATCH_MATMUL adjY", "Y", "Y", matmul((2, 3, 8), (2, 5, 8), adjY=True))
row("BATCH_MATMUL rank 2", "Y", "Y", matmul((3, 8), (8, 5)))
row("BATCH_MATMUL rank 4 broadcast", "Y", "Y", matmul((2, 2, 3, 8), (1, 2, 8, 5)))
row("BATCH_MATMUL rank 5", "Y", "Y", matmul((1, 2, 2, 3, 8), (1, 2, 2, 8, 5)))
row("BATCH_MATMUL constant", "Y", "Y", matmul((2, 3, 32), (2, 32, 5), True), dynamic=(I8,), weights=True, decibel={"int8": 25, "int16x8": 30})
row("BATCH_MATMUL constant adjY", "Y", "Y", matmul((2, 3, 32), (2, 5, 32), True, adjY=True), dynamic=(I8,), weights=True, decibel={"int8": 25, "int16x8": 30})
row("EMBEDDING_LOOKUP", "Y", "?", embedding, dynamic=(I8, I4, I2), weights=True, blocks=True, decibel={"int8": 20})


# ------------------------------------------------------------------------------------------------ functions


def unary(kind, low=-4.0, high=4.0, shape=(2, 3, 4), samples=None, **options):
    return lambda net, r: net.op(kind, [net.input("x", r(low, high, *shape) if samples is None else samples(r))], **options)


for kind, i8, i16, low, high in [
    ("LOGISTIC", "Y", "Y", -6, 6), ("TANH", "Y", "Y", -3, 3), ("RELU", "Y", "Y", -3, 5), ("RELU6", "Y", "Y", -3, 9), ("RELU_N1_TO_1", "Y", "-", -3, 3),
    ("RELU_0_TO_1", "Y", "-", -3, 3), ("ELU", "Y", "-", -4, 4), ("HARD_SWISH", "Y", "-", -5, 5), ("ABS", "Y", "Y", -3, 5), ("EXP", "Y", "Y", -3, 1.5),
    ("LOG", "Y", "-", 0.2, 8), ("SQRT", "Y", "Y", 0.0, 9), ("RSQRT", "Y", "-", 0.2, 4),
]:  # fmt: skip
    # LOG and RSQRT of int16 are tables of 513 entries, straight between them: too coarse where the curve is steep, so they stay float.
    row(kind, i8, i16, unary(kind, low, high))
    row(f"{kind} rank 4", i8, i16, unary(kind, low, high, (1, 4, 4, 3)))
row("LOGISTIC narrow input", "Y", "Y", unary("LOGISTIC", -0.5, 0.25))
row("LOGISTIC wide input", "Y", "Y", unary("LOGISTIC", -20, 30))
row("TANH wide input", "Y", "Y", unary("TANH", -20, 30))
row("GELU", "Y", "Y", unary("GELU"))
row("GELU approximate", "Y", "Y", unary("GELU", approximate=True))
row("LEAKY_RELU", "Y", "Y", unary("LEAKY_RELU", alpha=0.2))
row("LEAKY_RELU alpha 0.01", "Y", "Y", unary("LEAKY_RELU", alpha=0.01))
row("SOFTMAX", "Y", "Y", unary("SOFTMAX", shape=(2, 10), beta=1.0))
row("SOFTMAX rank 4", "Y", "Y", unary("SOFTMAX", shape=(1, 2, 3, 8), beta=1.0))
row("SOFTMAX rank 1", "Y", "Y", unary("SOFTMAX", shape=(7,), beta=1.0))
row("SOFTMAX beta 0.5", "Y", "Y", unary("SOFTMAX", shape=(2, 10), beta=0.5))
row("LOG_SOFTMAX", "Y", "-", unary("LOG_SOFTMAX", shape=(2, 10)))
row("L2_NORMALIZATION", "Y", "-", unary("L2_NORMALIZATION", shape=(2, 8)))


def prelu(shape, alpha):
    return lambda net, r: net.op("PRELU", [net.input("x", r(-4, 4, *shape)), net.const(r.of.uniform(0.05, 0.5, alpha).astype(np.float32), "alpha")])


row("PRELU", "Y", "Y", prelu((1, 4, 4, 6), (1, 1, 6)), decibel={"int16x8": 45})
row("PRELU rank 2", "Y", "Y", prelu((3, 6), (6,)), decibel={"int16x8": 45})


# ------------------------------------------------------------------------------------------------ arithmetic


def binary(kind, left=(-2, 3), right=(-1, 1.5), shape=(1, 4, 4, 3), other=None, dtypes=(F32,), **options):
    def build(net, r):
        x, y = net.input("x", r(*left, *shape)), net.input("y", r(*right, *(other or shape)))
        net.op(kind, [x, y], dtypes, **options)

    return build


def with_constant(kind, shape=(1, 4, 4, 3), other=(3,), low=-1.0, high=1.5, left=(-2, 3), first=False, dtypes=(F32,), **options):
    def build(net, r):
        x, c = net.input("x", r(*left, *shape)), net.const(r.of.uniform(low, high, other).astype(np.float32), "c")
        net.op(kind, [c, x] if first else [x, c], dtypes, **options)

    return build


def cancelling(kind, factor):
    def build(net, r):
        x = r(-100, 100, 2, 8)
        y = (x if kind == "SUB" else -x) + r(-100 / factor, 100 / factor, 2, 8)
        net.op(kind, [net.input("x", x), net.input("y", y.astype(np.float32))])

    return build


for kind, i8, i16 in [("ADD", "Y", "Y"), ("SUB", "Y", "Y"), ("MUL", "Y", "Y"), ("SQUARED_DIFFERENCE", "Y", "-"), ("MAXIMUM", "Y", "Y"), ("MINIMUM", "Y", "Y")]:
    row(kind, i8, i16, binary(kind))
    row(f"{kind} ranges far apart", i8, i16, binary(kind, (-20, 30), (-0.5, 1)), decibel={"int8": 15})
    row(f"{kind} constant", i8, i16, with_constant(kind))
    row(f"{kind} scalar first", i8, i16, with_constant(kind, other=(), low=0.7, high=0.71, first=True))
    row(f"{kind} broadcast", i8, i16, binary(kind, shape=(2, 4, 1, 3), other=(1, 4, 3)))
    row(f"{kind} broadcast rank 5", i8, i16, binary(kind, shape=(2, 1, 3, 1, 4), other=(1, 2, 3, 2, 4)))
for kind in ("ADD", "SUB", "MUL"):
    for act in ("RELU", "RELU6", "RELU_N1_TO_1"):
        row(f"{kind} {act}", "Y", "Y", binary(kind, (-8, 9), (-3, 4), act=act))
row("ADD powers of two", "Y", "Y", binary("ADD", (-32767 / 2**14, 32767 / 2**14), (-32767 / 2**13, 32767 / 2**13)))
for kind in ("ADD", "SUB"):
    # The result is much finer than its operands: kernels have limits for that.
    for factor in (30, 3000, 300000):
        row(f"{kind} cancels to 1/{factor}", "?", "?", cancelling(kind, factor), decibel={"int8": -200, "int16x8": -200})
row("ADD same input twice", "Y", "Y", lambda net, r: net.op("ADD", [x := net.input("x", r(-2, 3, 2, 5)), x]))
row("MUL same input twice", "Y", "Y", lambda net, r: net.op("MUL", [x := net.input("x", r(-2, 3, 2, 5)), x]))
row("MUL small and large", "Y", "Y", binary("MUL", (-1e-4, 1e-4), (-2000, 3000)))
row("SOFTMAX large logits", "Y", "Y", unary("SOFTMAX", -300, 400, shape=(2, 10), beta=1.0), decibel={"int8": 20}, steps={"int16x8": 24})  # exp is a table of 513 entries
row("TANH narrow input", "Y", "Y", unary("TANH", -0.01, 0.02), decibel={"int8": -9, "int16x8": 40})
row("LEAKY_RELU of large to small", "Y", "Y", unary("LEAKY_RELU", -900, 0.5, alpha=0.001), decibel={"int8": 10, "int16x8": 45})
row("MUL result finer than its operands", "Y", "Y", binary("MUL", (-0.01, 0.01), (-0.02, 0.02)))
row("DIV", "Y", "Y", binary("DIV", (-2, 3), (1.0, 4.0)))
row("DIV negative denominator", "Y", "Y", binary("DIV", (-2, 3), (-4.0, -1.0)))
row("DIV constant", "Y", "Y", with_constant("DIV", low=1.0, high=4.0))
row("DIV RELU", "Y", "Y", binary("DIV", (-2, 3), (1.0, 4.0), act="RELU"))
row("DIV denominator near zero", "-", "-", lambda net, r: net.op("DIV", [net.input("x", r(-2, 3, 2, 5)), net.input("y", np.where(r.bools(2, 5), 1, -1).astype(np.float32) * r(0.001, 4.0, 2, 5))]), decibel={"int8": -9})


def compared(kind, step, other=None):
    """Both sides from one grid, so that what is equal stays equal and what differs does so by many steps; `other`: a constant between two values."""

    def build(net, r):
        x = net.input("x", r.grid(step, 3, 16))
        net.op(kind, [x, net.input("y", r.grid(step, 3, 16)) if other is None else net.const(np.float32([other * step]), "c")], (BOOL,))

    return build


# The int8 kernels, and EQUAL and NOT_EQUAL of int16, compare round(256 · value) and go wrong from a scale of 1 up; the others of int16 compare
# codes. So all of them stay float.
for kind in ("EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL"):
    row(kind, "-", "-", compared(kind, 0.5))
    row(f"{kind} constant", "-", "-", compared(kind, 0.5, 0.5))
    row(f"{kind} small values", "-", "-", compared(kind, 0.01))
    row(f"{kind} small values, constant", "-", "-", compared(kind, 0.01, 1.5))
    row(f"{kind} large values", "-", "-", compared(kind, 50.0))
    row(f"{kind} large values, constant", "-", "-", compared(kind, 50.0, 1.5))


# ------------------------------------------------------------------------------------------------ what only moves values


def mover(kind, shape, *operands, low=-2.0, high=3.0, dtypes=(F32,), **options):
    """x and constant operands of whole numbers."""
    return lambda net, r: net.op(kind, [net.input("x", r(low, high, *shape)), *(net.const(np.array(o, np.int32)) for o in operands)], dtypes, **options)


row("RESHAPE", "Y", "Y", mover("RESHAPE", (2, 3, 4), [4, 6], newShape=[4, 6]))
row("RESHAPE one operand", "Y", "Y", mover("RESHAPE", (2, 3, 4), newShape=[4, 6]))
row("SQUEEZE", "Y", "Y", mover("SQUEEZE", (1, 3, 1, 4), squeezeDims=[0, 2]))
row("EXPAND_DIMS", "Y", "Y", mover("EXPAND_DIMS", (3, 4), 1))
row("TRANSPOSE", "Y", "Y", mover("TRANSPOSE", (2, 3, 4), [2, 0, 1]))
row("TRANSPOSE rank 4", "Y", "Y", mover("TRANSPOSE", (1, 2, 3, 4), [0, 3, 1, 2]))
row("TRANSPOSE rank 6", "Y", "Y", mover("TRANSPOSE", (1, 2, 3, 2, 2, 2), [0, 3, 1, 2, 5, 4]))
row("SLICE", "Y", "Y", mover("SLICE", (2, 5, 4), [0, 1, 0], [2, 3, 2]))
row("SLICE rank 5", "Y", "Y", mover("SLICE", (1, 2, 3, 4, 5), [0, 0, 1, 1, 1], [1, 2, 2, 2, 3]))
row("STRIDED_SLICE", "Y", "Y", mover("STRIDED_SLICE", (2, 6, 4), [0, 1, 0], [2, 6, 4], [1, 2, 1]))
row("STRIDED_SLICE masks", "Y", "Y", mover("STRIDED_SLICE", (2, 6, 4), [0, 1, 0], [0, 2, 0], [1, 1, 1], beginMask=5, endMask=5, shrinkAxisMask=2))
row("GATHER", "Y", "Y", mover("GATHER", (5, 4), [3, 0, 3], axis=0))
row("GATHER axis 1", "Y", "Y", mover("GATHER", (2, 5, 4), [3, 0], axis=1))
row("GATHER constant table", "Y", "Y", lambda net, r: net.op("GATHER", [net.const(r.w(10, 8), "table"), net.input("ids", r.integers(0, 10, 6))], axis=0), decibel={"int8": 20})
row("GATHER_ND", "Y", "Y", mover("GATHER_ND", (3, 4, 2), [[0, 1], [2, 3]]))
row("TILE", "Y", "Y", mover("TILE", (2, 3), [2, 2]))
row("REVERSE_V2", "Y", "Y", mover("REVERSE_V2", (2, 3, 4), [1]))
row("BROADCAST_TO", "Y", "Y", mover("BROADCAST_TO", (1, 3), [4, 3], version=2))
row("DYNAMIC_UPDATE_SLICE", "Y", "Y", lambda net, r: net.op("DYNAMIC_UPDATE_SLICE", [net.input("x", r(-2, 3, 4, 5)), net.input("u", r(-6, 1, 2, 2)), ints(net, 1, 2)]))
row("SPLIT 2", "Y", "Y", lambda net, r: net.op("SPLIT", [net.const(np.int32(1)), net.input("x", r(-2, 3, 2, 6))], (F32,) * 2, numSplits=2))
row("SPLIT 5", "Y", "Y", lambda net, r: net.op("SPLIT", [net.const(np.int32(1)), net.input("x", r(-2, 3, 2, 10))], (F32,) * 5, numSplits=5))
row("SPLIT_V", "Y", "Y", lambda net, r: net.op("SPLIT_V", [net.input("x", r(-2, 3, 2, 6)), ints(net, 1, 5), net.const(np.int32(1))], (F32,) * 2, numSplits=2))
row("UNPACK", "Y", "Y", lambda net, r: net.op("UNPACK", [net.input("x", r(-2, 3, 3, 4))], (F32,) * 3, num=3, axis=0))


def joined(kind, ranges, shape, **options):
    return lambda net, r: net.op(kind, [net.input(f"x{i}", r(*ends, *shape)) for i, ends in enumerate(ranges)], **options)


row("CONCATENATION same range", "Y", "Y", joined("CONCATENATION", [(-1, 1), (-1, 1)], (2, 3), axis=1))
row("CONCATENATION ranges", "Y", "Y", joined("CONCATENATION", [(-1, 1), (-4, 3), (0, 2)], (2, 3), axis=1))
row("CONCATENATION ranges far apart", "Y", "Y", joined("CONCATENATION", [(0, 640), (0, 1), (-0.001, 0.001)], (2, 3), axis=1))
row("CONCATENATION constant", "Y", "Y", lambda net, r: net.op("CONCATENATION", [net.input("x", r(-1, 1, 2, 3)), net.const(r.w(2, 2, size=3))], axis=1))
row("CONCATENATION input twice", "Y", "Y", lambda net, r: net.op("CONCATENATION", [x := net.input("x", r(-1, 1, 2, 3)), x], axis=1))
row("PACK", "Y", "Y", joined("PACK", [(-1, 1), (-4, 3)], (2, 3), valuesCount=2, axis=0))
row("PAD", "Y", "Y", mover("PAD", (1, 3, 3, 2), [[0, 0], [1, 1], [2, 0], [0, 0]]))
row("PAD positive", "Y", "Y", mover("PAD", (1, 3, 3, 2), [[0, 0], [1, 1], [2, 0], [0, 0]], low=1.0, high=4.0))
row("PAD rank 5", "Y", "Y", mover("PAD", (1, 2, 2, 3, 2), [[0, 0], [1, 1], [2, 0], [0, 0], [0, 1]]))
row("PADV2", "Y", "Y", lambda net, r: net.op("PADV2", [net.input("x", r(-2, 3, 1, 3, 3, 2)), net.const(np.int32([[0, 0], [1, 1], [2, 0], [0, 0]])), net.const(np.float32([-1.5]))]))
row("PADV2 value outside", "Y", "Y", lambda net, r: net.op("PADV2", [net.input("x", r(-1, 1, 1, 3, 3, 2)), net.const(np.int32([[0, 0], [1, 1], [2, 0], [0, 0]])), net.const(np.float32([5.0]))]))
row("MIRROR_PAD reflect", "Y", "Y", mover("MIRROR_PAD", (1, 4, 4, 2), [[0, 0], [1, 1], [2, 0], [0, 0]], mode="REFLECT"))
row("MIRROR_PAD symmetric", "Y", "Y", mover("MIRROR_PAD", (3, 4), [[1, 1], [2, 0]], mode="SYMMETRIC"))
row("SPACE_TO_DEPTH", "Y", "-", mover("SPACE_TO_DEPTH", (1, 4, 4, 3), blockSize=2))
row("DEPTH_TO_SPACE", "Y", "-", mover("DEPTH_TO_SPACE", (1, 2, 2, 8), blockSize=2))
row("SPACE_TO_BATCH_ND", "Y", "Y", mover("SPACE_TO_BATCH_ND", (1, 4, 4, 3), [2, 2], [[0, 0], [0, 0]]))
row("SPACE_TO_BATCH_ND pads", "Y", "Y", mover("SPACE_TO_BATCH_ND", (1, 3, 5, 3), [2, 2], [[1, 0], [0, 1]], low=1.0, high=3.0))
row("BATCH_TO_SPACE_ND", "Y", "Y", mover("BATCH_TO_SPACE_ND", (4, 2, 2, 3), [2, 2], [[0, 0], [0, 0]]))
for kind in ("AVERAGE_POOL_2D", "MAX_POOL_2D"):
    for act in ("NONE", "RELU", "RELU6"):
        row(f"{kind} {act}", "Y", "Y", mover(kind, (1, 6, 6, 3), low=-3.0, high=9.0, padding="VALID", strideH=2, strideW=2, filterHeight=2, filterWidth=2, act=act))
    row(f"{kind} SAME 3x3", "Y", "Y", mover(kind, (1, 5, 5, 3), padding="SAME", strideH=2, strideW=2, filterHeight=3, filterWidth=3))
for kind in ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"):
    for options in ({}, {"alignCorners": True}, {"halfPixelCenters": True}):
        # The int16 kernel interpolates with ten bits behind the point, 2^-10 of the difference on either axis: it stays float.
        i16 = "-" if kind == "RESIZE_BILINEAR" else "Y"
        row(f"{kind} {' '.join(options)}".strip(), "Y", i16, mover(kind, (1, 4, 4, 3), [7, 9], **options))
for kind in ("REDUCE_MAX", "REDUCE_MIN"):
    row(kind, "Y", "Y", mover(kind, (2, 4, 3), [1]))
    row(f"{kind} keep dims", "Y", "Y", mover(kind, (1, 4, 4, 3), [1, 2], keepDims=True))
for kind in ("SELECT", "SELECT_V2"):
    row(kind, "Y", "Y", lambda net, r, kind=kind: net.op(kind, [net.input("c", r.bools(2, 5)), net.input("x", r(-1, 1, 2, 5)), net.input("y", r(-4, 3, 2, 5))]))
row("SELECT_V2 broadcast constant", "Y", "Y", lambda net, r: net.op("SELECT_V2", [net.input("c", r.bools(2, 1)), net.input("x", r(-1, 1, 2, 5)), net.const(np.float32(-3))]))
row("TOPK_V2", "Y", "Y", lambda net, r: net.op("TOPK_V2", [net.input("x", r.grid(0.25, 2, 12)), net.const(np.int32(3))], (F32, I32)))
row("ONE_HOT", "Y", "-", lambda net, r: net.op("ONE_HOT", [net.input("ids", r.integers(0, 5, 4)), net.const(np.int32(5)), net.const(np.float32(2.5)), net.const(np.float32(-1))], axis=-1))
row("FILL", "Y", "Y", lambda net, r: net.op("FILL", [ints(net, 2, 3), net.input("v", r(-1, 3))]))
row("ARG_MAX", "Y", "-", lambda net, r: net.op("ARG_MAX", [net.input("x", r.grid(0.25, 2, 12)), net.const(np.int32(1))], (I32,), outputType="INT32"))
row("ARG_MIN", "Y", "-", lambda net, r: net.op("ARG_MIN", [net.input("x", r.grid(0.25, 2, 12)), net.const(np.int32(1))], (I32,), outputType="INT32"))
row("REVERSE_SEQUENCE", "-", "Y", lambda net, r: net.op("REVERSE_SEQUENCE", [net.input("x", r(-2, 3, 2, 4, 3)), ints(net, 2, 4)], seqDim=1, batchDim=0))
row("SCATTER_ND", "-", "-", lambda net, r: net.op("SCATTER_ND", [net.const(np.int32([[1], [3]])), net.input("u", r(-2, 3, 2, 4)), ints(net, 5, 4)]))


def variable(net, r):
    x = net.input("x", r(-2, 3, 2, 3))
    handle = net.op("VAR_HANDLE", [], (TYPE.RESOURCE,), [[]], sharedName="state", container="")
    net.into("ASSIGN_VARIABLE", [handle, x], [])
    net.op("READ_VARIABLE", [handle], shapes=[[2, 3]])


row("READ_VARIABLE", "Y", "Y", variable)

# ------------------------------------------------------------------------------------------------ reductions

for kind in ("MEAN", "SUM"):
    more = {"unlike": "sums up integers without rescaling them"} if kind == "SUM" else {}
    row(kind, "Y", "Y", mover(kind, (2, 4, 3), [1]), **more)
    row(f"{kind} rank 4 keep dims", "Y", "Y", mover(kind, (1, 4, 4, 3), [1, 2], keepDims=True), **more)
    row(f"{kind} all", "Y", "Y", mover(kind, (2, 5), [0, 1]), **more)
row("REDUCE_PROD", "Y", "Y", mover("REDUCE_PROD", (2, 3, 4), [1], low=0.5, high=1.5))


# ------------------------------------------------------------------------------------------------ float only

for kind, low, high in [("SIN", -3, 3), ("COS", -3, 3), ("SIGN", -2, 2), ("NEG", -2, 3), ("SQUARE", -2, 3)]:
    row(kind, "-", "-", unary(kind, low, high))
# Jumps lie between the values, so that rounding an input does not change on which side it is.
for kind, offset in (("FLOOR", 0.5), ("CEIL", 0.5), ("ROUND", 0.2)):
    row(kind, "-", "-", lambda net, r, kind=kind, offset=offset: net.op(kind, [net.input("x", r.grid(1.0, 3, 8) + np.float32(offset))]))
for kind in ("FLOOR_DIV", "FLOOR_MOD"):
    row(kind, "-", "-", lambda net, r, kind=kind: net.op(kind, [net.input("x", r.grid(1.0, 3, 8) + np.float32(0.5)), net.input("y", r.integers(1, 4, 3, 8).astype(np.float32))]), decibel={"int8": 25, "int16x8": 55})
row("POW", "-", "-", binary("POW", (0.5, 2), (-1, 2)))
row("ATAN2", "-", "-", binary("ATAN2", shape=(2, 3)))
row("ADD_N", "-", "-", joined("ADD_N", [(-1, 1), (-4, 3), (0, 2)], (2, 3)))
row("CUMSUM", "-", "-", mover("CUMSUM", (2, 6), 1))
row("L2_POOL_2D", "-", "-", mover("L2_POOL_2D", (1, 4, 4, 3), padding="VALID", strideH=2, strideW=2, filterHeight=2, filterWidth=2))
row("LOCAL_RESPONSE_NORMALIZATION", "-", "-", mover("LOCAL_RESPONSE_NORMALIZATION", (1, 2, 2, 8), radius=2, bias=1.0, alpha=0.1, beta=0.5), unlike="another normalization")
row("MATRIX_DIAG", "-", "-", mover("MATRIX_DIAG", (2, 3)))
row("MATRIX_SET_DIAG", "-", "-", lambda net, r: net.op("MATRIX_SET_DIAG", [net.input("x", r(-2, 3, 2, 3, 3)), net.input("d", r(-1, 1, 2, 3))]))
row("SEGMENT_SUM", "-", "-", mover("SEGMENT_SUM", (4, 3), [0, 0, 1, 2]))
for kind in ("SUM", "MAX", "MIN", "PROD"):
    row(f"UNSORTED_SEGMENT_{kind}", "-", "-", mover(f"UNSORTED_SEGMENT_{kind}", (4, 3), [0, 2, 1, 2], 3))
row("BUCKETIZE", "-", "-", lambda net, r: net.op("BUCKETIZE", [net.input("x", r(-2, 3, 2, 3))], (I32,), boundaries=[-1.0, 0.5, 2.0]))
row("NON_MAX_SUPPRESSION_V4", "-", "-", lambda net, r: net.op("NON_MAX_SUPPRESSION_V4", [net.input("boxes", np.sort(r(0, 1, 6, 2, 2), axis=2).reshape(SAMPLES, 6, 4)), net.input("scores", r.grid(0.1, 6)), net.const(np.int32(4)), net.const(np.float32(0.5)), net.const(np.float32(-9))], (I32, I32)))


def conv3d(kind):
    def build(net, r):
        x, w = net.input("x", r(-1.5, 2.5, 1, 3, 4, 4, 4)), net.const(r.w(2, 2, 2, 4, 4), "w")
        if kind == "CONV_3D":
            net.op(kind, [x, w, net.const(r.w(4), "b")], padding="SAME")
        else:
            net.op(kind, [ints(net, 1, 3, 4, 4, 4), w, x], padding="SAME")

    return build


row("CONV_3D", "-", "-", conv3d("CONV_3D"), weights=True)
row("CONV_3D_TRANSPOSE", "-", "-", conv3d("CONV_3D_TRANSPOSE"), weights=True)


# ------------------------------------------------------------------------------------------------ recurrent


def lstm_weights(net, r, inputs, cells):
    w = lambda *shape, name: net.const(r.w(*shape), name)
    return [
        *(w(cells, inputs, name=f"i{g}") for g in range(4)),
        *(w(cells, cells, name=f"r{g}") for g in range(4)),
        *(-1,) * 3,
        *(w(cells, name=f"b{g}") for g in range(4)),
        *(-1,) * 2,
    ]


def lstm(kind):
    def build(net, r):
        shape = (2, 16) if kind == "LSTM" else (2, 5, 16)
        x = net.input("x", r(-1.5, 2.5, *shape))
        state = [net.variable([2, 32], "h"), net.variable([2, 32], "c")]
        net.op(kind, [x, *lstm_weights(net, r, 16, 32), *state], act="TANH")

    return build


def bidirectional_lstm(net, r):
    x = net.input("x", r(-1.5, 2.5, 5, 2, 16))
    forward, backward = lstm_weights(net, r, 16, 32), lstm_weights(net, r, 16, 32)
    for i, at in enumerate(backward):
        if at >= 0:
            net.graph.tensors[at].name = f"back{i}"
    state = [net.variable([2, 32], f"s{i}") for i in range(4)]
    net.op("BIDIRECTIONAL_SEQUENCE_LSTM", [x, *forward, *backward, *state, *(-1,) * 9], (F32, F32), act="TANH")


def rnn(kind):
    def build(net, r):
        x = net.input("x", r(-1.5, 2.5, *((2, 16) if kind == "RNN" else (2, 5, 16))))
        one = lambda n: [net.const(r.w(32, 16), f"w{n}"), net.const(r.w(32, 32, size=0.2), f"r{n}"), net.const(r.w(32), f"b{n}"), net.variable([2, 32], f"h{n}")]
        if kind == "BIDIRECTIONAL_SEQUENCE_RNN":
            net.op(kind, [x, *one(0), *one(1), *(-1,) * 3], (F32, F32), act="TANH")
        else:
            net.op(kind, [x, *one(0)], act="TANH")

    return build


def svdf(net, r):
    x = net.input("x", r(-1.5, 2.5, 2, 16))
    net.op("SVDF", [x, net.const(r.w(32, 16), "feature"), net.const(r.w(32, 8), "time"), net.const(r.w(16), "b"), net.variable([2, 256], "state")], rank=2)


RECURRENT = {"dynamic": (I8,), "weights": True}
row("LSTM", "-", "-", lstm("LSTM"), **RECURRENT)
row("UNIDIRECTIONAL_SEQUENCE_LSTM", "-", "-", lstm("UNIDIRECTIONAL_SEQUENCE_LSTM"), **RECURRENT)
row("BIDIRECTIONAL_SEQUENCE_LSTM", "-", "-", bidirectional_lstm, **RECURRENT)
row("RNN", "-", "-", rnn("RNN"), **RECURRENT)
row("UNIDIRECTIONAL_SEQUENCE_RNN", "-", "-", rnn("UNIDIRECTIONAL_SEQUENCE_RNN"), **RECURRENT)
row("BIDIRECTIONAL_SEQUENCE_RNN", "-", "-", rnn("BIDIRECTIONAL_SEQUENCE_RNN"), **RECURRENT)
row("SVDF", "-", "-", svdf, **RECURRENT)
