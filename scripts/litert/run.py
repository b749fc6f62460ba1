"""Models in the real interpreter, each in a process of its own: what a kernel does to the process is a result, too."""
import os
import pickle
import select
import signal
import time

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from . import flat

RESOLVERS = {
    "default": OpResolverType.AUTO,
    "builtin": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    "reference": OpResolverType.BUILTIN_REF,
}


class Refused(Exception):
    """What LiteRT says where it does not load or run a model."""


def apart(function, *arguments, seconds=120):
    """function(*arguments) in a child process. Raises Refused with LiteRT's last words when it fails, dies or takes too long."""
    reader, writer = os.pipe()
    log_reader, log_writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        os.dup2(log_writer, 2)
        try:
            answer = (True, function(*arguments))
        except Exception as error:  # whatever it is, it is the answer
            answer = (False, f"{type(error).__name__}: {error}")
        with os.fdopen(writer, "wb") as pipe:
            pickle.dump(answer, pipe, protocol=4)
        os._exit(0)
    os.close(writer)
    os.close(log_writer)
    said = {reader: b"", log_reader: b""}
    open_ends, end, late = [reader, log_reader], time.monotonic() + seconds, False
    while open_ends:
        ready = select.select(open_ends, [], [], max(0.0, end - time.monotonic()))[0]
        if not ready:
            os.kill(child, signal.SIGKILL)
            late = True
            break
        for pipe in ready:
            chunk = os.read(pipe, 1 << 20)
            said[pipe] += chunk
            if not chunk:
                open_ends.remove(pipe)
    os.close(reader)
    os.close(log_reader)
    status = os.waitpid(child, 0)[1]
    lines = [line for line in said[log_reader].decode("utf8", "replace").split("\n") if line.strip() and not line.startswith(("INFO:", "WARNING:"))]
    words = " | ".join(line.strip() for line in lines[-3:])
    if late:
        raise Refused(f"takes more than {seconds} s")
    if os.WIFSIGNALED(status):
        raise Refused(f"{signal.Signals(os.WTERMSIG(status)).name} {words}".strip()[:400])
    good, answer = pickle.loads(said[reader])
    if not good:
        raise Refused(" ".join(f"{answer} {words if words not in answer else ''}".split())[:400])
    return answer


def interpreter_of(content, resolver="builtin", every_tensor=False):
    return Interpreter(model_content=content, experimental_op_resolver_type=RESOLVERS[resolver], num_threads=1, experimental_preserve_all_tensors=every_tensor)


def _outputs(content, samples, resolver):
    """[sample][output] of samples given in the order of the inputs; the model begins anew with every sample."""
    results = []
    interpreter = interpreter_of(content, resolver)
    details = interpreter.get_input_details()
    for detail, values in zip(details, samples[0]):
        if list(detail["shape"]) != list(values.shape):
            interpreter.resize_tensor_input(detail["index"], values.shape)
    interpreter.allocate_tensors()
    # Resource variables outlive a reset.
    lasting = any(flat.KIND["VAR_HANDLE"] == code.builtinCode for code in flat.opened(content).operatorCodes)
    for sample in samples:
        if lasting and results:
            interpreter = interpreter_of(content, resolver)
            interpreter.allocate_tensors()
        interpreter.reset_all_variables()
        for detail, values in zip(details, sample):
            interpreter.set_tensor(detail["index"], np.asarray(values, detail["dtype"], order="C"))
        interpreter.invoke()
        results.append([interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()])
    return results


def outputs(content, samples, resolver="builtin", seconds=120):
    return apart(_outputs, content, samples, resolver, seconds=seconds)


def _shapes(content, sample):
    interpreter = interpreter_of(content, every_tensor=True)
    interpreter.allocate_tensors()
    for detail, values in zip(interpreter.get_input_details(), sample):
        interpreter.set_tensor(detail["index"], np.asarray(values, detail["dtype"], order="C"))
    interpreter.invoke()
    shapes = {}
    for detail in interpreter.get_tensor_details():
        shapes[detail["index"]] = [int(dim) for dim in detail["shape"]]
    for detail in interpreter.get_output_details():
        shapes[detail["index"]] = list(interpreter.get_tensor(detail["index"]).shape)
    return shapes


def shaped(net, reference=None):
    """Gives the computed tensors of nets the shapes that LiteRT gives them in the second one (by default the first), and returns the bytes of both."""
    reference = reference or net
    sample = [reference.data[flat.text(reference.graph.tensors[i].name)][0] for i in reference.graph.inputs]
    by_index = apart(_shapes, reference.bytes(), sample)
    by_name = {flat.text(tensor.name): by_index.get(i) for i, tensor in enumerate(reference.graph.tensors)}
    for each in (net, reference):
        for tensor in each.graph.tensors:
            if tensor.buffer == 0 and by_name.get(flat.text(tensor.name)) is not None:
                tensor.shape = np.array(by_name[flat.text(tensor.name)], np.int32)
    return net.bytes(), reference.bytes()
