# SPDX-License-Identifier: MIT
"""What this run was asked for, and where its things are."""
import argparse
import pathlib
import tempfile

root = pathlib.Path(__file__).resolve().parent.parent.parent
parser = argparse.ArgumentParser(prog="bench/run")
parser.add_argument("--quick", action="store_true", help="one short run each: whether it works, not how fast")
parser.add_argument("--build", default=str(root / "build"))
parser.add_argument("--out", help="where the programs of bench/Makefile are; default BUILD/bench")
parser.add_argument("--no-page", action="store_true")
parser.add_argument("rows", nargs="*", help="a name in ROWS of bench/run; default all, and the page")
options = parser.parse_args()

RUNS = 1 if options.quick else 5
SECONDS = 1 if options.quick else 2
build = pathlib.Path(options.build).resolve()
out = pathlib.Path(options.out or build / "bench").resolve()
chasqui = str(build / "src/cli/chasqui")
work = tempfile.mkdtemp(prefix="bench-")
