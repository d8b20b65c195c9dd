"""A process per library, stopped while others are timed.

Two thread pools in one process disturb each other, and a pool that spins while it waits would take
the cores from the next library. So each library has its own process, which the system has stopped
(SIGSTOP) except while it answers a request.
"""

from __future__ import annotations

import ctypes
import importlib
import multiprocessing
import os
import signal
import statistics
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from time import perf_counter
from typing import Any

from .peers import Prepared
from .problems import Problem

# What the libraries read when they are loaded; a forced kernel or block size would hinder OpenBLAS.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "PYCONV_NUM_THREADS")
REMOVED = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "OMP_WAIT_POLICY")
PR_SET_PDEATHSIG = 1  # of linux/prctl.h


class Worker:
    """The process of one library.

    Parameters
    ----------
    peer : str
        A module of `peers`.
    threads : int
    settings : further arguments of the module's ``configure``, if it has one
    """

    def __init__(self, peer: str, threads: int, *settings: Any) -> None:
        self.peer = peer
        _open_streams()
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        arguments = (theirs, peer, threads, settings)
        self._process = context.Process(target=serve, args=arguments, daemon=True)
        try:
            with _inherited(threads):
                self._process.start()
            theirs.close()
            self.variants: tuple[str, ...] = self._receive()
        except Exception as error:
            self.close()
            raise RuntimeError(f"{peer} does not start: {error}") from None
        except BaseException:  # Ctrl-C
            self.close()
            raise

    def prepare(self, problem: Problem, direction: str, variant: str) -> tuple[Any, float, str]:
        """Compute the problem once: its arrays, the seconds it took, and the algorithm.

        Raises
        ------
        NotImplementedError
            If the library cannot compute it.
        """
        result: tuple[Any, float, str] = self._ask("prepare", problem, direction, variant)
        return result

    def time(self, variant: str, seconds: float) -> float:
        """Return the median time of the calls that fit into `seconds`, of one at least."""
        result: float = self._ask("time", variant, seconds)
        return result

    def call(self, function: str, *args: Any) -> Any:
        """Call a function of pyconv._core in the process."""
        return self._ask("call", function, *args)

    def close(self) -> None:
        if self._process.pid:  # it was started
            self._process.kill()  # stopped, it would not see a gentler signal
            self._process.join()

    def _ask(self, *request: Any) -> Any:
        assert self._process.pid
        if not self._process.is_alive():
            raise RuntimeError(f"the process of {self.peer} died before")
        os.kill(self._process.pid, signal.SIGCONT)
        self._pipe.send(request)
        return self._receive()

    def _receive(self) -> Any:
        try:
            status, value = self._pipe.recv()
        except EOFError:
            self._process.join()
            code = self._process.exitcode
            raise RuntimeError(f"the process of {self.peer} died, exit code {code}") from None
        assert self._process.pid
        os.kill(self._process.pid, signal.SIGSTOP)
        if status == "done":
            return value
        raise (NotImplementedError if status == "refused" else RuntimeError)(value)


def _open_streams() -> None:
    """Open those of stdin, stdout and stderr that are closed, lest a pipe takes their place."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)
    os.close(number)


@contextmanager
def _inherited(threads: int) -> Iterator[None]:
    """Set what a child process inherits: the environment, and that it does not see Ctrl-C."""
    before = dict(os.environ)
    os.environ.update(dict.fromkeys(THREADS, str(threads)))
    for name in REMOVED:
        os.environ.pop(name, None)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


# ---- in the process of the library -------------------------------------------------------------


def serve(pipe: Connection, peer: str, threads: int, settings: tuple[Any, ...]) -> None:
    """Answer requests until the other end goes away."""
    if sys.platform == "linux":  # a stopped process would outlive a parent that was killed
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.dup2(2, 1)  # the table alone goes to stdout
    timed: dict[str, Callable[[], Any]] = {}
    took: dict[str, float] = {}  # seconds of a call, as far as known
    module: Any = None

    def start() -> tuple[str, ...]:
        nonlocal module
        module = importlib.import_module(f"{__package__}.peers.{peer}")
        module.setup(threads)
        if settings:
            module.configure(*settings)
        variants: tuple[str, ...] = module.VARIANTS
        return variants

    def prepare(problem: Problem, direction: str, variant: str) -> tuple[Any, float, str]:
        timed.pop(variant, None)
        case = module.prepare(problem, problem.make_arrays(direction), direction, variant)
        begin = perf_counter()
        result = case.run()
        took[variant] = perf_counter() - begin
        # Plain: NumPy's arrays are what is wanted, so to make them is part of the time.
        timed[variant] = case.run if problem.mode == "carried" else partial(_run_and_fetch, case)
        return case.fetch(result), took[variant], case.algorithm

    def time(variant: str, seconds: float) -> float:
        # The process was stopped: its data and threads come back in a call that does not count,
        # unless a call is so long that this makes no difference.
        if took[variant] < seconds:
            timed[variant]()
        took[variant] = _time(timed[variant], seconds)
        return took[variant]

    def call(function: str, *args: Any) -> Any:
        return getattr(importlib.import_module("pyconv._core"), function)(*args)

    answers = {"prepare": prepare, "time": time, "call": call}
    _answer(pipe, start)
    while True:
        try:
            name, *args = pipe.recv()
        except EOFError:
            return
        _answer(pipe, answers[name], *args)


def _answer(pipe: Connection, function: Any, *args: Any) -> None:
    try:
        pipe.send(("done", function(*args)))
    except (NotImplementedError, ValueError, MemoryError) as error:
        pipe.send(("refused", str(error) or "not enough memory"))
    except Exception as error:  # whatever else a library raises ends the run, in one line
        pipe.send(("failed", f"{type(error).__name__}: {error}"))


def _run_and_fetch(case: Prepared) -> list[Any]:
    return case.fetch(case.run())


def _time(run: Callable[[], Any], seconds: float) -> float:
    times: list[float] = []
    end = perf_counter() + seconds
    while not times or perf_counter() < end:
        begin = perf_counter()
        run()
        times.append(perf_counter() - begin)
    return statistics.median(times)
