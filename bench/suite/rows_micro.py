# SPDX-License-Identifier: MIT
"""The HTTP codec and the JSON reader alone: bench/micro.c."""
import json
import subprocess

from suite.plan import out
from suite.tables import number, table


def micro():
    done = subprocess.run(["taskset", "-c", "0", str(out / "micro")], capture_output=True, text=True, check=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return {"micro": table(["", "bytes", "ns", "ns per byte", "cycles per byte", "MB/s"], [
        [r["name"], f"{r['bytes']:,}", f"{r['ns']:,.0f}", f"{r['ns_per_byte']:.3f}", number(r["cycles_per_byte"]),
         f"{1e3 / r['ns_per_byte']:,.0f}"] for r in rows])}
