"""Models of every recurrent operator and of each thing it can have, with what LiteRT gives: test/calibration/recurrent.json.

    python3 -m litert.recurrent > ../test/calibration/recurrent.json      # in scripts/

`alone`: the state is reset before each record; `following`: it is kept. Built-in kernels, float32.
"""
import base64
import json
import sys
import zlib

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from .flat import TYPE, Net

RECORDS, BATCH, STEPS, INPUTS, CELLS, OUTPUTS = 3, 2, 4, 5, 3, 2
F32 = TYPE.FLOAT32


class Maker:
    def __init__(self, name):
        self.net, self.of, self.made = Net(), np.random.default_rng(zlib.crc32(name.encode())), 0

    def w(self, *shape, size=0.9):
        self.made += 1
        return self.net.const(self.of.uniform(-size, size, shape).astype(np.float32), f"w{self.made}")

    def x(self, *shape, name="x"):
        return self.net.input(name, self.of.uniform(-2, 2, (RECORDS, *shape)).astype(np.float32))

    def state(self, *shape):
        self.made += 1
        return self.net.variable(shape, f"s{self.made}")

    def gates(self, cells=CELLS, coupled=False, diagonal=False, outputs=None):
        outputs = cells if outputs is None else outputs
        skip = [coupled, False, False, False]
        return [
            *(-1 if s else self.w(cells, INPUTS) for s in skip),
            *(-1 if s else self.w(cells) if diagonal else self.w(cells, outputs) for s in skip),
        ]

    def peepholes(self, coupled=False):
        return [-1 if coupled else self.w(CELLS), self.w(CELLS), self.w(CELLS)]


def lstm(kind="UNIDIRECTIONAL_SEQUENCE_LSTM", coupled=False, peepholes=False, projection=False, norm=False, diagonal=False, version=1, major=True, **options):
    def build(m):
        sequence = kind != "LSTM"
        if sequence:
            options["timeMajor"] = major
        x = m.x(*((STEPS, BATCH) if major else (BATCH, STEPS)) if sequence else (BATCH,), INPUTS)
        outputs = OUTPUTS if projection else CELLS
        if diagonal:
            options["diagonalRecurrentTensors"] = True
        operands = [
            x, *m.gates(coupled=coupled, diagonal=diagonal, outputs=outputs), *(m.peepholes(coupled) if peepholes else (-1,) * 3),
            -1 if coupled else m.w(CELLS), m.w(CELLS), m.w(CELLS), m.w(CELLS),
            *((m.w(OUTPUTS, CELLS), m.w(OUTPUTS)) if projection else (-1, -1)),
            m.state(BATCH, outputs), m.state(BATCH, CELLS),
            *([-1 if coupled else m.w(CELLS), *(m.w(CELLS) for _ in range(3))] if norm else ()),
        ]  # fmt: skip
        m.net.op(kind, operands, version=version, act="TANH", **options)

    return build


def basic(m):
    x = m.x(BATCH, INPUTS)
    operands = [x, m.state(BATCH, CELLS), m.w(4 * CELLS, INPUTS + CELLS), m.w(4 * CELLS), m.state(BATCH, CELLS)]
    m.net.op("LSTM", operands, (F32,) * 4, version=2, act="TANH", kernelType=1)
    m.net.graph.outputs = m.net.graph.outputs[:1]


def both_lstm(merged=False, aux="", projection=False, peepholes=False, major=True):
    def build(m):
        shape = (STEPS, BATCH) if major else (BATCH, STEPS)
        x = m.x(*shape, INPUTS)
        outputs = OUTPUTS if projection else CELLS
        one = lambda: [
            *m.gates(outputs=outputs), *(m.peepholes() if peepholes else (-1,) * 3), *(m.w(CELLS) for _ in range(4)),
            *((m.w(OUTPUTS, CELLS), m.w(OUTPUTS)) if projection else (-1, -1)),
        ]  # fmt: skip
        forward, backward = one(), one()
        states = [s for _ in range(2) for s in (m.state(BATCH, outputs), m.state(BATCH, CELLS))]
        second = m.x(*shape, INPUTS, name="aux") if aux else -1
        weights = [m.w(CELLS, INPUTS) if aux == "linked" else -1 for _ in range(8)]
        results = (F32,) if merged else (F32, F32)
        m.net.op("BIDIRECTIONAL_SEQUENCE_LSTM", [x, *forward, *backward, *states, second, *weights], results, act="TANH", mergeOutputs=merged, timeMajor=major)

    return build


def rnn(kind, act="TANH", **options):
    def build(m):
        shape = (BATCH,) if kind == "RNN" else (STEPS, BATCH) if options.get("timeMajor") else (BATCH, STEPS)
        m.net.op(kind, [m.x(*shape, INPUTS), m.w(CELLS, INPUTS), m.w(CELLS, CELLS), m.w(CELLS), m.state(BATCH, CELLS)], act=act, **options)

    return build


def both_rnn(merged=False, aux="", major=False):
    def build(m):
        shape = (STEPS, BATCH) if major else (BATCH, STEPS)
        x = m.x(*shape, INPUTS)
        one = lambda: [m.w(CELLS, INPUTS), m.w(CELLS, CELLS), m.w(CELLS), m.state(BATCH, CELLS)]
        forward, backward = one(), one()
        second = m.x(*shape, INPUTS, name="aux") if aux else -1
        weights = [m.w(CELLS, INPUTS) if aux == "linked" else -1 for _ in range(2)]
        m.net.op("BIDIRECTIONAL_SEQUENCE_RNN", [x, *forward, *backward, second, *weights], (F32,) if merged else (F32, F32), act="TANH", mergeOutputs=merged, timeMajor=major)

    return build


def svdf(rank, columns=4, bias=True, act="NONE"):
    def build(m):
        filters = 3 * rank
        operands = [m.x(BATCH, INPUTS), m.w(filters, INPUTS), m.w(filters, columns), m.w(3) if bias else -1, m.state(BATCH, filters * columns)]
        m.net.op("SVDF", operands, rank=rank, act=act)

    return build


def stacked(m):
    """The result of one is the next one's input."""
    x = m.x(BATCH, STEPS, INPUTS)
    first = m.net.op("UNIDIRECTIONAL_SEQUENCE_RNN", [x, m.w(CELLS, INPUTS), m.w(CELLS, CELLS), m.w(CELLS), m.state(BATCH, CELLS)], act="RELU6")
    m.net.op("UNIDIRECTIONAL_SEQUENCE_RNN", [first, m.w(4, CELLS), m.w(4, 4), m.w(4), m.state(BATCH, 4)], act="TANH")


SEQUENCE_LSTM = "UNIDIRECTIONAL_SEQUENCE_LSTM"
CASES = {
    "LSTM": lstm("LSTM"),
    "LSTM with everything": lstm("LSTM", peepholes=True, projection=True, norm=True, cellClip=0.6, projClip=0.4),
    "LSTM coupled": lstm("LSTM", coupled=True),
    "LSTM basic": basic,
    SEQUENCE_LSTM: lstm(),
    f"{SEQUENCE_LSTM} batch major": lstm(major=False),
    f"{SEQUENCE_LSTM} coupled": lstm(coupled=True),
    f"{SEQUENCE_LSTM} coupled with peepholes": lstm(coupled=True, peepholes=True),
    f"{SEQUENCE_LSTM} with peepholes": lstm(peepholes=True),
    f"{SEQUENCE_LSTM} with projection": lstm(projection=True, projClip=0.3),
    f"{SEQUENCE_LSTM} with layer norm": lstm(norm=True),
    f"{SEQUENCE_LSTM} coupled with layer norm": lstm(coupled=True, norm=True),
    f"{SEQUENCE_LSTM} clipped": lstm(cellClip=0.3),
    f"{SEQUENCE_LSTM} with everything": lstm(peepholes=True, projection=True, norm=True, major=False, cellClip=0.5, projClip=0.4),
    f"{SEQUENCE_LSTM} diagonal": lstm(diagonal=True, version=4),
    "BIDIRECTIONAL_SEQUENCE_LSTM": both_lstm(),
    # Not merged and batch major: LiteRT's kernel takes the second batch's state from behind the state tensor.
    "BIDIRECTIONAL_SEQUENCE_LSTM merged": both_lstm(merged=True),
    "BIDIRECTIONAL_SEQUENCE_LSTM batch major": both_lstm(major=False),
    "BIDIRECTIONAL_SEQUENCE_LSTM linked": both_lstm(aux="linked"),
    "BIDIRECTIONAL_SEQUENCE_LSTM stacked": both_lstm(aux="stacked", merged=True),
    "BIDIRECTIONAL_SEQUENCE_LSTM with projection and peepholes": both_lstm(projection=True, peepholes=True),
    "RNN": rnn("RNN"),
    "RNN RELU": rnn("RNN", act="RELU"),
    "UNIDIRECTIONAL_SEQUENCE_RNN": rnn("UNIDIRECTIONAL_SEQUENCE_RNN"),
    "UNIDIRECTIONAL_SEQUENCE_RNN time major": rnn("UNIDIRECTIONAL_SEQUENCE_RNN", act="RELU_N1_TO_1", timeMajor=True),
    "BIDIRECTIONAL_SEQUENCE_RNN": both_rnn(),
    "BIDIRECTIONAL_SEQUENCE_RNN merged": both_rnn(merged=True, major=True),
    "BIDIRECTIONAL_SEQUENCE_RNN linked": both_rnn(aux="linked"),
    # LiteRT's kernel takes the second input only where the steps come first.
    "BIDIRECTIONAL_SEQUENCE_RNN stacked": both_rnn(aux="stacked", major=True),
    "BIDIRECTIONAL_SEQUENCE_RNN stacked batch major": both_rnn(aux="stacked"),
    "SVDF rank 1": svdf(1),
    "SVDF rank 2": svdf(2, act="RELU"),
    "SVDF without bias": svdf(2, bias=False),
    "SVDF one column": svdf(1, columns=1),
    "two in a row": stacked,
}


def shaped(net):
    """The model with the results' shapes that LiteRT finds."""
    interpreter = Interpreter(model_content=net.bytes(), experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    interpreter.allocate_tensors()
    found = {detail["index"]: detail["shape"] for detail in interpreter.get_tensor_details()}
    for operator in net.graph.operators:
        for at in operator.outputs:
            net.graph.tensors[at].shape = np.array(found[at], np.int32)
    return net.bytes()


def truth(name, build):
    m = Maker(name)
    build(m)
    content = shaped(m.net)
    found = {"model": base64.b64encode(content).decode()}
    names = list(m.net.data)
    found["inputs"] = [[rounded(m.net.data[each][record]) for each in names] for record in range(RECORDS)]
    for mode in ("alone", "following"):
        interpreter = Interpreter(model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
        interpreter.allocate_tensors()
        found[mode] = []
        for record in range(RECORDS):
            if mode == "alone":
                interpreter.reset_all_variables()
            for detail, values in zip(interpreter.get_input_details(), (m.net.data[each][record] for each in names)):
                interpreter.set_tensor(detail["index"], np.float32(rounded(values)).reshape(values.shape))
            interpreter.invoke()
            found[mode].append([rounded(interpreter.get_tensor(detail["index"])) for detail in interpreter.get_output_details()])
    return found


def rounded(values):
    return [float(f"{value:.7g}") for value in values.ravel()]


if __name__ == "__main__":
    lines = []
    for name, build in CASES.items():
        try:
            lines.append(f"{json.dumps(name)}: {json.dumps(truth(name, build))}")
        except (RuntimeError, ValueError) as error:
            print(name, str(error).strip().splitlines()[-1], file=sys.stderr)
    print("{\n" + ",\n".join(lines) + "\n}")
