"""Calls dist/kernels.component.wasm (or build/…) in a host that is not ours.

    pip install wasmtime && python3 scripts/check-component.py [component.wasm]

Exits with 0 when every kernel answered as kernels/kernels.wit promises.
"""

import math
import struct
import sys
from pathlib import Path

from wasmtime import Store
from wasmtime.component import Component, Linker

root = Path(__file__).resolve().parent.parent
path = Path(sys.argv[1]) if len(sys.argv) > 1 else root / "build" / "kernels.component.wasm"

store = Store()
component = Component(store.engine, path.read_bytes())
instance = Linker(store.engine).instantiate(store, component)


def call(name, *arguments):
    function = instance.get_func(store, name)
    assert function is not None, f"{path} has no function {name}"
    result = function(store, *arguments)
    if hasattr(function, "post_return"):
        function.post_return(store)
    return result


def f32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


checks = 0


def check(name, arguments, wanted):
    global checks
    found = call(name, *arguments)
    if isinstance(found, (bytes, bytearray)):
        found = list(found)
    if hasattr(found, "__dict__") and not isinstance(found, (list, tuple)):
        found = tuple(vars(found).values())
    found = list(found) if isinstance(wanted, list) else found
    assert found == wanted, f"{name}: {found!r}, wanted {wanted!r}"
    checks += 1


values = [-1.0, 0.5, 2.5, math.nan, -0.5, 3.0]
for _ in range(3):  # memory that a call does not give back would show
    check("minmax", [values], (-1.0, 3.0, 1))
    check("observe", [values], (-1.0, 3.0, 5))
    check("channels", [[1.0, -2.0, 3.0, 4.0, 5.0, -6.0], 3, 1, [], []], ([1.0, -2.0, -6.0], [4.0, 5.0, 3.0], 0))
    check("asym", [values, 1, 1, [-1.0], [254.0], [1.0]], [0, 2, 4, 0, 1, 4])
    check("asym0", [values, 1, 1, [-1.0], [1.0]], [0, 2, 4, 0, 1, 4])
    check("sym", [values, 1, 1, [-1.0], [2.0], [1.0], 32767], [-1, 1, 2, 0, -1, 2])
    check("sym0", [values, 1, 1, [1.0]], [-1, 1, 3, 0, -1, 3])
    check("symbyte", [[-9.0, 6.5, 0.49999997], 1, 1, [-7.0], [7.0], [1.0], 7], [-7, 7, 0])
    check("propagatebyte", [values, 1.0, 10], [9, 11, 13, 0, 9, 13])
    check("propagateshort", [values, 1.0, 0], [-1, 1, 3, 0, -1, 3])
    check("fakeasym", [[0.2, 0.9], 1, 1, [-0.5], [1.0], [2.0], [0.5]], [0.0, 1.0])
    check("fakesym", [[0.2, 0.9], 1, 1, [-1.0], [1.0], [2.0], [0.5], 127], [0.0, 1.0])
    check("bias", [[1.0, -1e30], 0.5, [0.5]], ([0.25], [4, -(2**31)], 1))
    check("biaslong", [[1.0, -1e30], 0.5, [0.5]], ([0.25], [4, -(2**63)], 1))
    check("half", [[0x3C00, 0x8001, 0x7BFF]], [1.0, -(2.0**-24), 65504.0])
    check("nibbles", [[1, -1, 7]], [0xF1, 0x07])
large = [f32(i * 0.001) for i in range(100_000)]
check("minmax", [large], (0.0, large[-1], 0))
print(f"{path.name}: {checks} calls in wasmtime answered as promised")
