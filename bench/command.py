"""`pyconv bench`: which problems, which libraries, how long; then row after row."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Callable
from contextlib import ExitStack
from importlib.util import find_spec
from typing import Any, TypeVar

from pyconv import _core
from pyconv.terminal import Progress, above, add_threads, check_outputs

from . import files, regret, report
from .measure import Peaks, Row, Truths, measure
from .peers.pyconv import TABLE_OF, ops_with
from .problems import MODES, STEPS, Problem, load
from .worker import Worker

# The modules that each library needs; NumPy and pyconv are always there.
PEERS = {
    "torch": ("torch",),
    "onnxruntime": ("onnxruntime", "onnx"),
    "openvino": ("openvino",),
    "jax": ("jax",),
    "ncnn": ("ncnn",),
    "mnn": ("MNN",),
}
MODE_HELP = "images in C order in and out (plain, the default), or as inside a network (carried)"
ROUNDS = 7
SECONDS, QUICK_SECONDS = 0.5, 0.03
SECONDS_HELP = f"per row and library; default {SECONDS}, with --quick {QUICK_SECONDS}"
PEAK_ROUNDS, PEAK_SECONDS = 8, 0.1

T = TypeVar("T")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    add = parser.add_argument
    add("--quick", action="store_true", help="a selection of problems, for about a minute")
    add("--filter", metavar="REGEX", help="only problems whose line matches")
    add("--backward", action="store_true", help="add a row of forward and backward to each")
    add("--batch", type=batches, metavar="N,M", help="other batch sizes, a row for each")
    add("--mode", choices=[*MODES, "both"], default="plain", help=MODE_HELP)
    add_threads(parser)
    add("--isa", metavar="NAME", help="an instruction set: " + ", ".join(_core.available_isas()))
    add("--algorithm", metavar="NAME", help="force it, and leave out ops without it")
    add("--regret", action="store_true", help="time every algorithm, and compare the one chosen")
    add("--peers", metavar="A,B", help=f"of {','.join(PEERS)}; default: those installed")
    add("--seconds", type=above(0, float), metavar="S", help=SECONDS_HELP)
    add("--json", metavar="FILE", help="save everything, with the raw rounds")
    add("--csv", metavar="FILE", help="save the table")
    add("--markdown", metavar="FILE", help="save the table for a page of docs")
    add("--plot", metavar="FILE", help="save a roofline plot (needs matplotlib)")


def batches(text: str) -> list[int]:
    """Read numbers with commas between them, for argparse."""
    read = above(0, int)
    return [read(number) for number in text.split(",")]


def run(args: argparse.Namespace) -> int:
    """Print the table; return 1 if a result was wrong.

    Raises
    ------
    ValueError
        If an option names something that does not exist.
    """
    problems = select(args)
    if args.regret:
        return run_regret(problems, args)
    peers = choose_peers(args.peers)
    check_outputs(args.json, args.csv, args.markdown, plot=args.plot)
    threads = args.threads or _core.get_num_threads()
    with ExitStack() as processes:
        settings = args.isa, args.algorithm
        workers = [start(processes, "numpy", threads)]
        workers += [start(processes, "pyconv", threads, *settings)]
        workers += [start(processes, peer, threads) for peer in peers]
        about = describe(workers[1], threads, peers)
        libraries = [v for worker in workers for v in worker.variants if v != "pyconv"]
        print(report.preamble(about, libraries))
        rows = measure_all(problems, args, workers, about, libraries)
    save(args, about, rows, libraries)
    return 1 if any(row.wrong for row in rows) else 0


def run_regret(problems: list[tuple[Problem, str]], args: argparse.Namespace) -> int:
    """Print the table of `--regret`."""
    if any(given is not None for given in (args.csv, args.markdown, args.plot, args.algorithm)):
        raise ValueError("--regret goes with neither --algorithm nor --csv, --markdown or --plot")
    check_outputs(args.json, plot=None)
    gradients = ["backward_input", "backward_weight"]
    split = [
        (problem, way)
        for problem, direction in problems
        for way in (["forward"] if direction == "forward" else gradients)
        if problem.op in TABLE_OF and (way == "forward" or TABLE_OF[problem.op] != "matmul")
    ]
    if not split:
        raise ValueError("no problem is left that has a choice of algorithms")
    threads = args.threads or _core.get_num_threads()
    names = [regret.Regret(problem, way).name for problem, way in split]
    with ExitStack() as processes:
        worker = start(processes, "algorithms", threads, args.isa, None)
        about = describe(worker, threads, [])
        table = regret.Table(names, worker.variants)

        def line(problem: Problem, way: str) -> tuple[regret.Regret, str]:
            row = regret.measure(problem, way, worker, seconds_of(args), ROUNDS)
            return row, table.line(row)

        rows = print_rows(split, names, table.header(), line)
    print(regret.footer(rows))
    if args.json:
        files.write_json(args.json, about, rows)
    return 0


def start(processes: ExitStack, peer: str, threads: int, *settings: Any) -> Worker:
    """Start the process of a library, which ends with the others."""
    worker = Worker(peer, threads, *settings)
    processes.callback(worker.close)
    return worker


def save(
    args: argparse.Namespace, about: dict[str, Any], rows: list[Row], libraries: list[str]
) -> None:
    """Write the files that were asked for."""
    if args.json:
        files.write_json(args.json, about, rows)
    if args.csv:
        files.write_csv(args.csv, rows, libraries)
    if args.markdown:
        files.write_markdown(args.markdown, about, rows, libraries, typed(args))
    if args.plot:
        files.plot_roofline(args.plot, about, rows)


def typed(args: argparse.Namespace) -> str:
    """Return the command of these options, but for the files it writes."""
    words = ["pyconv", "bench"]
    for name, value in vars(args).items():
        if name in ("json", "csv", "markdown", "plot", "run") or value in (None, False):
            continue
        text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
        words += [f"--{name}"] if value is True else [f"--{name}", shlex.quote(text)]
    return " ".join(words)


def select(args: argparse.Namespace) -> list[tuple[Problem, str]]:
    """Return the problems to measure, each with a direction."""
    if args.isa is not None and args.isa not in _core.available_isas():
        known = ", ".join(_core.available_isas())
        raise ValueError(f"--isa {args.isa!r}: this machine runs {known}")
    try:
        wanted = re.compile(args.filter or "")
    except re.error as error:
        raise ValueError(f"--filter {args.filter!r} is not a regular expression: {error}") from None
    problems = [p for p in load() if wanted.search(str(p)) and (p.quick or not args.quick)]
    if args.algorithm is not None:
        ops = ops_with(args.algorithm)
        problems = [p for p in problems if p.op in ops]
    if args.batch:  # those without a batch only once
        changed = [problem.with_batch(batch) for problem in problems for batch in args.batch]
        problems = list({problem.name: problem for problem in changed}.values())
    modes = MODES if args.mode == "both" else [args.mode]
    problems = [p.in_mode(m) for p in problems for m in modes if m == "plain" or p.rank > 0]
    if not problems:
        raise ValueError("no problem is left: see --filter, --quick, --algorithm and --mode")
    directions = ["forward", "backward"] if args.backward else ["forward"]
    return [(p, d) for p in problems for d in directions if d == "forward" or p.op not in STEPS]


def choose_peers(names: str | None) -> list[str]:
    """Return the libraries to compare with: those asked for, or all that are installed."""
    installed = [peer for peer, modules in PEERS.items() if all(map(find_spec, modules))]
    if names is None:
        return installed
    asked = [name for name in names.split(",") if name]
    for name in asked:
        if name not in PEERS:
            raise ValueError(f"--peers: unknown library {name!r}, known are {', '.join(PEERS)}")
        if name not in installed:
            raise ValueError(f"--peers: {name} needs {' and '.join(PEERS[name])} installed")
    return asked


def describe(worker: Worker, threads: int, peers: list[str]) -> dict[str, Any]:
    """Measure the peaks in the process that computes, and describe the machine."""
    peaks = dict.fromkeys(("float32_flops", "read_bandwidth", "copy_bandwidth"), 0.0)
    for _ in range(PEAK_ROUNDS):  # spread over a while: another process may take a core
        for kind, best in peaks.items():
            peaks[kind] = max(best, worker.call("measure_peak", kind, PEAK_SECONDS))
    gflops, *bandwidths = peaks.values()
    measured = Peaks(gflops, max(bandwidths))
    return files.environment(worker.call("isa"), threads, measured, peers)


def measure_all(
    problems: list[tuple[Problem, str]],
    args: argparse.Namespace,
    workers: list[Worker],
    about: dict[str, Any],
    libraries: list[str],
) -> list[Row]:
    """Measure row after row, and print each."""
    peaks = Peaks(about["peak_gflops"], about["peak_gbytes_per_second"])
    names = [Row(problem, direction, 0, 0).name for problem, direction in problems]
    table = report.Table(names, libraries)
    truths: Truths = {}

    def line(problem: Problem, direction: str) -> tuple[Row, str]:
        row = measure(problem, direction, workers, peaks, seconds_of(args), ROUNDS, truths)
        return row, table.line(row)

    rows = print_rows(problems, names, table.header(), line)
    print(table.footer(rows))
    return rows


def print_rows(
    problems: list[tuple[Problem, str]],
    names: list[str],
    header: str,
    line: Callable[[Problem, str], tuple[T, str]],
) -> list[T]:
    """Print the header and a line for each problem, as it is measured."""
    rows = []
    with Progress(len(problems), "bench") as progress:
        progress.write(header)
        for problem, name in zip(problems, names):
            progress.advance(0, name)
            row, text = line(*problem)
            rows.append(row)
            progress.write(text)
            progress.advance()
    return rows


def seconds_of(args: argparse.Namespace) -> float:
    """Return the time for each row and library."""
    return float(args.seconds or (QUICK_SECONDS if args.quick else SECONDS))
