"""Threads: how many, the same bits for any number, several callers at once, and fork."""

from __future__ import annotations

import os
import threading
from typing import Any

import numpy as np
import pytest
from fresh import printed, python
from harness import in_threads

import pyconv
import pyconv.functional as F
from pyconv import _core
from pyconv.testing import force

RNG = np.random.default_rng(0)
INPUT = RNG.standard_normal((8, 32, 28, 28)).astype(np.float32)
WEIGHT = RNG.standard_normal((48, 32, 3, 3)).astype(np.float32)


def convolve() -> list[np.ndarray]:
    """Forward and backward, large enough to be split."""
    x = pyconv.tensor(INPUT, requires_grad=True)
    w = pyconv.tensor(WEIGHT, requires_grad=True)
    b = pyconv.tensor(WEIGHT[:, 0, 0, 0], requires_grad=True)
    output = F.conv2d(x, w, b, padding=1)
    output.backward(np.sin(output.detach().numpy()))
    return [output.detach().numpy(), x.grad.numpy(), w.grad.numpy(), b.grad.numpy()]


def same_bits(left: list[np.ndarray], right: list[np.ndarray]) -> bool:
    return [array.tobytes() for array in left] == [array.tobytes() for array in right]


@pytest.mark.parametrize("threads", [2, 3, 7, 16])
def test_bits_are_those_of_one_thread(threads: int) -> None:
    with force(threads=1):
        alone = convolve()
    with force(threads=threads):
        assert same_bits(convolve(), alone)


def test_bits_are_the_same_again_and_again() -> None:
    with force(threads=7):
        first = convolve()
        assert all(same_bits(convolve(), first) for _ in range(10))


def test_python_threads_may_call_at_once() -> None:
    expected = convolve()
    results: dict[int, list[np.ndarray]] = {}

    def work(caller: int) -> None:
        for _ in range(5):
            results[caller] = convolve()
            if not same_bits(results[caller], expected):
                return

    in_threads(work, [(i,) for i in range(8)])
    assert len(results) == 8
    assert all(same_bits(result, expected) for result in results.values())


def test_kernels_release_the_gil() -> None:
    """Another Python thread gets on with its work while one long kernel runs."""
    a = np.ones((1500, 1500), np.float64)
    ticks, done = 0, threading.Event()
    with force(threads=1):
        worker = threading.Thread(target=lambda: (_core.matmul(a, a, None), done.set()))
        worker.start()
        while not done.wait(0.001):
            ticks += 1
        worker.join()
    assert ticks > 3


def test_the_process_ends_while_threads_compute() -> None:
    code = """
import threading, time, pyconv
model, x = pyconv.models.lenet(), pyconv.randn(4, 1, 28, 28)
def serve():
    while True:
        model(x).sum().backward()
for _ in range(3):
    threading.Thread(target=serve, daemon=True).start()
time.sleep(0.2)
"""
    assert python(code).returncode == 0


def test_two_threads_may_ask_one_graph_for_different_gradients() -> None:
    a, b = (pyconv.tensor(RNG.standard_normal((64, 64)), requires_grad=True) for _ in range(2))
    y = a @ b
    for _ in range(5):
        y = y @ b * 0.1
    loss = y.sum()

    def gradient(of: pyconv.Tensor) -> np.ndarray:
        return pyconv.autograd.grad(loss, [of], retain_graph=True)[0].numpy()

    expected = {id(of): gradient(of) for of in (a, b)}
    wrong: list[np.ndarray] = []

    def work(of: pyconv.Tensor) -> None:
        found = [gradient(of) for _ in range(40)]
        wrong.extend(g for g in found if not np.array_equal(g, expected[id(of)]))

    in_threads(work, [(a,), (b,), (a,), (b,)])
    assert not wrong


def test_threads_may_add_to_one_gradient() -> None:
    p = pyconv.tensor(np.zeros(300_000), requires_grad=True)

    def work() -> None:
        for _ in range(20):
            (p * 1.0).sum().backward()

    in_threads(work, [()] * 3)
    assert p.grad is not None
    np.testing.assert_array_equal(p.grad.numpy(), 60)


def test_threads_may_change_while_others_compute() -> None:
    expected = convolve()
    stop = threading.Event()

    def change() -> None:
        while not stop.is_set():
            for threads in (1, 2, 5):
                _core.set_num_threads(threads)

    with force(threads=2):
        changer = threading.Thread(target=change)
        changer.start()
        try:
            assert all(same_bits(convolve(), expected) for _ in range(10))
        finally:
            stop.set()
            changer.join()


FORK = """
import multiprocessing, sys, threading, warnings
import numpy as np
import pyconv, pyconv.functional as F

warnings.simplefilter("ignore", DeprecationWarning)  # fork with threads: that is the point
x = np.random.default_rng(0).standard_normal((8, 16, 28, 28)).astype(np.float32)
w = np.random.default_rng(1).standard_normal((32, 16, 3, 3)).astype(np.float32)
pyconv.set_num_threads(4)
work = lambda: F.conv2d(x, w, padding=1).numpy().tobytes()
expected = work()

def child(queue):
    queue.put(work() == expected and pyconv.get_num_threads() == 4)
    inner = context.Process(target=lambda: sys.exit(work() != expected))
    inner.start()
    inner.join(30)
    queue.put(inner.exitcode == 0)

context = multiprocessing.get_context("fork")
for busy in (False, True):
    stop = threading.Event()
    caller = threading.Thread(target=lambda: [work() for _ in iter(stop.is_set, True)])
    if busy:
        caller.start()
    queue = context.Queue()
    children = [context.Process(target=child, args=(queue,)) for _ in range(3)]
    [c.start() for c in children]
    results = [queue.get(timeout=60) for _ in range(6)]
    [c.join(30) for c in children]
    assert all(results) and all(c.exitcode == 0 for c in children), results
    assert work() == expected
    stop.set()
    if busy:
        caller.join()
print("done")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_fork_after_use() -> None:
    """Children and grandchildren compute the same, also when forked while a kernel runs."""
    assert printed(FORK) == "done"


LIMITED = """
import resource
import numpy as np
import pyconv, pyconv.functional as F

x, w = np.ones((8, 16, 28, 28), np.float32), np.ones((32, 16, 3, 3), np.float32)
pyconv.set_num_threads(1)
expected = F.conv2d(x, w).numpy()
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, used + 2**28))
pyconv.set_num_threads(1024)
print(all((F.conv2d(x, w).numpy() == expected).all() for _ in range(3)))
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs /proc")
@pytest.mark.skipif("asan" in os.environ.get("LD_PRELOAD", ""), reason="it reserves all memory")
def test_fewer_threads_start_than_asked_for() -> None:
    """Memory for the stacks of 1024 threads is refused; those that start do the work."""
    assert printed(LIMITED) == "True"


def test_set_and_get() -> None:
    with force(threads=3):
        assert pyconv.get_num_threads() == 3
        pyconv.set_num_threads(1)
        assert pyconv.get_num_threads() == 1


@pytest.mark.parametrize("value", [0, -1, 2**31, 2**63, 2**100, 1.5, None, "2", float("nan")])
def test_bad_number_of_threads(value: Any) -> None:
    before = pyconv.get_num_threads()
    with pytest.raises((ValueError, TypeError)) as caught:
        pyconv.set_num_threads(value)
    assert str(value) in str(caught.value)
    assert pyconv.get_num_threads() == before


COUNT = "import pyconv; print(pyconv.get_num_threads())"


@pytest.mark.parametrize("count", ["1", "2", "5"])
def test_environment_sets_the_number(count: str) -> None:
    assert printed(COUNT, PYCONV_NUM_THREADS=count) == count


@pytest.mark.parametrize("value", ["0", "-2", "two", "1.5", " 4", "4 ", "9" * 20])
def test_bad_number_in_the_environment(value: str) -> None:
    code = f"""
try:
    {COUNT}
except (ValueError, ImportError) as error:
    print(error)
"""
    code = code.replace("; ", "\n    ")
    message = printed(code, PYCONV_NUM_THREADS=value)
    assert "PYCONV_NUM_THREADS" in message
    assert value in message


@pytest.mark.parametrize("value", ["abc", " ", "1e3", "-1"])
def test_bad_spin_in_the_environment(value: str) -> None:
    code = """
import numpy as np, pyconv
pyconv.set_num_threads(2)
try:
    pyconv.tensor(np.ones((2, 2**20))).sum()
except ValueError as error:
    print(error)
"""
    assert printed(code, PYCONV_SPIN_MICROSECONDS=value) == (
        f"PYCONV_SPIN_MICROSECONDS is '{value}', expected a whole number from 0 to 1000000"
    )


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_default_respects_affinity() -> None:
    core = min(os.sched_getaffinity(0))
    pin = f"import os; os.sched_setaffinity(0, {{{core}}})"
    assert printed(f"{pin}; {COUNT}", PYCONV_NUM_THREADS="") == "1"
    free = int(printed(COUNT, PYCONV_NUM_THREADS=""))
    assert 1 <= free <= len(os.sched_getaffinity(0))


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="needs /proc")
def test_import_starts_no_threads() -> None:
    code = "import os, numpy; f = lambda: len(os.listdir('/proc/self/task')); n = f()"
    assert printed(f"{code}; import pyconv; print(f() - n)") == "0"
