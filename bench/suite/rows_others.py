# SPDX-License-Identifier: MIT
"""What a user would pick instead of this gateway: ollama-herd (PyPI) and Portkey's gateway (npm), pinned.

They are installed once, each in an environment of its own outside the tree: CHASQUI_BENCH_PEERS, else ~/.cache/chasqui-bench.
"""
import os
import pathlib
import statistics
import subprocess
import sys
import time
import urllib.request

from suite.plan import SECONDS, chasqui, work
from suite.process import free_port, skipped, start, stop_all
from suite.rows_latency import load, median, micros
from suite.servers import gateway
from suite.tables import number, table, take_turns

HERD, PORTKEY = "0.11.4", "1.15.2"
TOKENS = 20
peers = pathlib.Path(os.environ.get("CHASQUI_BENCH_PEERS") or pathlib.Path.home() / ".cache/chasqui-bench")


def install(name, path, *commands):
    """Return: whether it is there."""
    if not path.exists():
        print(f"bench: installing {name} into {peers}", file=sys.stderr)
        for command in commands:
            done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
            if done.returncode != 0:
                print(f"bench: SKIPPED {name}: {(done.stderr or done.stdout).strip()[-200:]}", file=sys.stderr)
                skipped.append(name)
                return False
    return True


def sim():
    port = free_port()
    start(1, [chasqui, "sim", "--listen", f"127.0.0.1:{port}", "--models", "sim", "--slots", "1000000", "--tokens", str(TOKENS),
              "--token-interval", "0s"], port)
    return port


def herd(node):
    """Return: port, pid, fields that requests need."""
    home = peers / f"herd-{HERD}"
    if not install("ollama-herd", home / "bin/herd", [sys.executable, "-m", "venv", home],
                   [home / "bin/pip", "install", "--quiet", f"ollama-herd=={HERD}"]):
        return None
    port = free_port()
    env = {"HOME": work, "FLEET_DATA_DIR": work, "FLEET_NODE_TELEMETRY": "false"}
    _, process = start(0, [str(home / "bin/herd"), "--host", "127.0.0.1", "--port", str(port), "--log-level", "WARNING"], port, env)
    start(1, [str(home / "bin/herd-node"), "--ollama-host", f"http://127.0.0.1:{node}", "--router-url",
              f"http://127.0.0.1:{port}"], port, env)
    for _ in range(60):
        if b"sim" in urllib.request.urlopen(f"http://127.0.0.1:{port}/api/tags", timeout=5).read():
            return port, process.pid, []
        time.sleep(0.5)
    sys.exit("bench: ollama-herd has no node")


def portkey(node):
    home = peers / f"portkey-{PORTKEY}"
    program = home / "node_modules/@portkey-ai/gateway/build/start-server.js"
    if not install("Portkey", program, ["mkdir", "-p", home],
                   ["npm", "install", "--prefix", home, "--no-audit", "--no-fund", "--silent", f"@portkey-ai/gateway@{PORTKEY}"]):
        return None
    port = free_port()
    _, process = start(0, ["node", str(program), f"--port={port}", "--headless"], port)
    return port, process.pid, ["--header", "x-portkey-provider: ollama", "--header",
                               f"x-portkey-custom-host: http://127.0.0.1:{node}"]


def cpu_ns(pid):
    """Of the whole process, all threads, as the kernel accounts it: clock_getcpuclockid()."""
    return time.clock_gettime_ns((~pid << 3) | 2)


def resident_mib(pid):
    return int(next(line for line in pathlib.Path(f"/proc/{pid}/status").read_text().split("\n")
                    if line.startswith("VmRSS:")).split()[1]) / 1024


def run(port, pid, fields, *args):
    before = cpu_ns(pid)
    report = load(port, "--model", "sim", "--api", "v1", "--no-stream", *fields, "--duration", f"{2 * SECONDS}s", *args)
    return report if "failed" in report else report | {"cpu": {"each": (cpu_ns(pid) - before) / 1000 / (report["good"] + 1)}}


def others():
    node = sim()
    port, _, pid = gateway(node)
    contestants = {"gateway": (port, int(pid), [])}
    for name, found in ((f"ollama-herd {HERD}", herd(node)), (f"Portkey gateway {PORTKEY}", portkey(node))):
        if found is not None:
            contestants[name] = found
    most = take_turns({name: lambda c=c: run(*c, "--connections", 16) for name, c in contestants.items()})
    limits = {name: statistics.median([r["requests_per_s"] for r in runs if "failed" not in r] or [0]) for name, runs in most.items()}
    rate = max(1, int(min(n for n in limits.values() if n > 0) / 2))
    calm = take_turns({name: lambda c=c: run(*c, "--rate", rate) for name, c in contestants.items()})
    rows = []
    for name, (_, pid, _) in contestants.items():
        cpu = median(most[name], "cpu", "each")
        rows.append([name, "failed: " + most[name][0]["failed"] if cpu is None else number(cpu), f"{limits[name]:,.0f}",
                     f"{resident_mib(pid):,.0f} MiB", micros(median(calm[name], "latency_ms", "p50")),
                     micros(median(calm[name], "latency_ms", "p99"))])
    stop_all()
    return {"others": table(["", "CPU µs per request", "most requests/s", "memory", f"p50 µs at {rate}/s", f"p99 µs at {rate}/s"], rows)}
