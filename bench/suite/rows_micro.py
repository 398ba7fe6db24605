# SPDX-License-Identifier: MIT
"""Codecs alone: of HTTP and JSON, bench/micro.c; of messages, bench/codecs.c."""
import json
import subprocess

from suite.plan import out
from suite.tables import number, table


def measure(program):
    done = subprocess.run(["taskset", "-c", "0", str(out / program)], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def micro():
    rows = measure("micro")
    return {"micro": table(["", "bytes", "ns", "ns per byte", "cycles per byte", "MB/s"], [
        [r["name"], f"{r['bytes']:,}", f"{r['ns']:,.0f}", f"{r['ns_per_byte']:.3f}", number(r["cycles_per_byte"]),
         f"{1e3 / r['ns_per_byte']:,.0f}"] for r in rows])}


def codecs():
    return {"codecs": table(["", "compression", "bytes", "ns to make", "ns to read"], [
        [f"{r['message']}, {r['codec']}", r["compression"], f"{r['bytes']:,}", f"{r['make_ns']:,.0f}", f"{r['read_ns']:,.0f}"]
        for r in measure("codecs")])}
