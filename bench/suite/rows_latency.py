# SPDX-License-Identifier: MIT
"""How long a request takes: at half of what the slowest can do, and the first byte of a stream through an idle gateway."""
import json
import statistics
import subprocess

from suite.plan import SECONDS, chasqui
from suite.process import have, stop_all
from suite.servers import NO_DELAY, backend, gateway, haproxy, nginx, sim
from suite.tables import number, table, take_turns

CONNECTIONS = 64
LATE_MS = 1  # a p50 above: the load itself did not keep up, and the row says nothing of the server
PARTS_MOST = 16
IDLE_RATE = 50  # requests a second that an idle gateway does not feel


def load(port, *args):
    """A run of `chasqui bench` on core 1. Return: its report, or what it died of."""
    done = subprocess.run(["taskset", "-c", "1", chasqui, "bench", "--host", f"http://127.0.0.1:{port}", "-o", "json",
                           *map(str, args)], capture_output=True, text=True)
    if done.returncode != 0:
        return {"failed": (done.stderr or done.stdout).strip()}
    report = json.loads(done.stdout)
    n_failed = report.pop("failed")
    return report if n_failed == 0 else {"failed": f"{n_failed} requests: {report['failures']}"}


def contestants_of(node, buffering, option=""):
    """name -> port. option: of HAProxy."""
    ports = {}
    if have("HAProxy", "haproxy"):
        ports["HAProxy"] = haproxy(node, option=option)[0]
    if have("nginx", "nginx"):
        ports["nginx"] = nginx(node, buffering)[0]
    ports["gateway"] = gateway(node)[0]
    return ports


def median(runs, key, at):
    good = [r[key][at] for r in runs if "failed" not in r]
    return statistics.median(good) if good else None


def micros(value):
    return "failed" if value is None else number(value * 1000)


def is_late(report):
    return "failed" in report or report["latency_ms"]["p50"] > LATE_MS


def p99():
    ports = contestants_of(backend(), "on")
    small = ["--model", "tiny", "--no-stream", "--tokens", 20]
    most = take_turns({name: lambda port=port: load(port, *small, "--connections", CONNECTIONS, "--duration", f"{SECONDS}s",
                                                    "--warmup", "500ms") for name, port in ports.items()})
    for name, runs in most.items():
        if all("failed" in r for r in runs):
            stop_all()
            return {"p99": f"{name} failed: {runs[0]['failed']}"}
    limits = {name: statistics.median(r["requests_per_s"] for r in runs if "failed" not in r) for name, runs in most.items()}

    def runs_at(rate):
        return {name: lambda port=port: load(port, *small, "--rate", rate, "--connections", 1024, "--warmup", "500ms",
                                             "--duration", f"{2 * SECONDS}s") for name, port in ports.items()}

    rate, parts = int(min(limits.values()) / 2), 2
    while parts < PARTS_MOST and any(is_late(run()) for run in runs_at(rate).values()):
        rate, parts = rate // 2, parts * 2
    found = take_turns(runs_at(rate))
    stop_all()
    rows = [[name, f"{limits[name]:,.0f}", *(micros(median(runs, "latency_ms", at)) for at in ("p50", "p99", "p99_9"))]
            for name, runs in found.items()]
    return {"p99": f"At {rate:,} requests/s, 1/{parts} of the slowest one's most:\n\n"
                   + table(["", "most requests/s", "p50 µs", "p99 µs", "p99.9 µs"], rows)}


def first_byte():
    node = sim("0s")
    ports = {"the node itself": node} | contestants_of(node, "off", NO_DELAY)
    found = take_turns({name: lambda port=port: load(port, "--model", "sim", "--tokens", 8, "--rate", IDLE_RATE,
                                                     "--connections", 8, "--duration", f"{2 * SECONDS}s",
                                                     "--warmup", "500ms") for name, port in ports.items()})
    stop_all()
    direct = median(found["the node itself"], "first_token_ms", "p50")
    rows = []
    for name, runs in found.items():
        p50 = median(runs, "first_token_ms", "p50")
        rows.append([name, micros(p50), micros(median(runs, "first_token_ms", "p99")),
                     "" if p50 is None or name == "the node itself" else number((p50 - direct) * 1000)])
    return {"first_byte": table(["", "p50 µs", "p99 µs", "added to the node's p50, µs"], rows)}


def latency():
    return p99() | first_byte()
