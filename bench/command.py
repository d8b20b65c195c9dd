"""`pyconv bench`: which problems, which libraries, how long; then row after row."""

from __future__ import annotations

import argparse
import re
import shlex
from contextlib import ExitStack
from importlib.util import find_spec
from typing import Any

from pyconv import _core
from pyconv.cli import Progress, above, check_outputs

from . import files, report
from .measure import Peaks, Row, measure
from .peers.pyconv import ops_with
from .problems import MODES, Problem, load
from .worker import Worker

# The modules that each library needs; NumPy and pyconv are always there.
PEERS = {
    "torch": ("torch",),
    "onnxruntime": ("onnxruntime", "onnx"),
    "openvino": ("openvino",),
    "jax": ("jax",),
}
MODE_HELP = "images in C order in and out (plain, the default), or as inside a network (carried)"
ROUNDS = 7
SECONDS, QUICK_SECONDS = 0.5, 0.25  # per row and library
PEAK_ROUNDS, PEAK_SECONDS = 8, 0.1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    add = parser.add_argument
    add("--quick", action="store_true", help="a selection of problems, for about a minute")
    add("--filter", metavar="REGEX", help="only problems whose line matches")
    add("--backward", action="store_true", help="add a row of forward and backward to each")
    add("--batch", type=batches, metavar="N,M", help="other batch sizes, a row for each")
    add("--mode", choices=[*MODES, "both"], default="plain", help=MODE_HELP)
    add("--threads", type=above(0, int), metavar="N", help="default: all cores of the process")
    add("--isa", metavar="NAME", help="an instruction set: " + ", ".join(_core.available_isas()))
    add("--algorithm", metavar="NAME", help="force it, and leave out ops without it")
    add("--peers", metavar="A,B", help=f"of {','.join(PEERS)}; default: those installed")
    add("--seconds", type=above(0, float), metavar="S", help="per row and library, default 0.5")
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
    peers = choose_peers(args.peers)
    check_outputs(args.json, args.csv, args.markdown, plot=args.plot)
    threads = args.threads or _core.get_num_threads()
    with ExitStack() as processes:
        workers = [Worker("numpy", threads), Worker("pyconv", threads, args.isa, args.algorithm)]
        workers += [Worker(peer, threads) for peer in peers]
        for worker in workers:
            processes.callback(worker.close)
        about = describe(workers[1], threads, peers)
        libraries = [v for worker in workers for v in worker.variants if v != "pyconv"]
        print(report.preamble(about, libraries))
        rows = measure_all(problems, args, workers, about, libraries)
    save(args, about, rows, libraries)
    return 1 if any(row.wrong for row in rows) else 0


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
    if args.isa and args.isa not in _core.available_isas():
        known = ", ".join(_core.available_isas())
        raise ValueError(f"--isa {args.isa}: this machine runs {known}")
    try:
        wanted = re.compile(args.filter or "")
    except re.error as error:
        raise ValueError(f"--filter {args.filter!r} is not a regular expression: {error}") from None
    problems = [p for p in load() if wanted.search(str(p)) and (p.quick or not args.quick)]
    if args.algorithm:
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
    return [(p, d) for p in problems for d in directions if d == "forward" or p.op != "sgd"]


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
    seconds = args.seconds or (QUICK_SECONDS if args.quick else SECONDS)
    peaks = Peaks(about["peak_gflops"], about["peak_gbytes_per_second"])
    names = [Row(problem, direction, 0, 0).name for problem, direction in problems]
    table = report.Table(names, libraries)
    rows = []
    with Progress(len(problems), "bench") as progress:
        progress.write(table.header())
        for (problem, direction), name in zip(problems, names):
            progress.advance(0, name)
            rows.append(measure(problem, direction, workers, peaks, seconds, ROUNDS))
            progress.write(table.line(rows[-1]))
            progress.advance()
    print(table.footer(rows))
    return rows
