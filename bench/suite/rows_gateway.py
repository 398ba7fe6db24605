# SPDX-License-Identifier: MIT
"""What a process of the gateway costs: large bodies, its start, a second worker."""
import os
import pathlib
import socket
import statistics
import subprocess
import time

from suite.plan import RUNS, SECONDS, chasqui, work
from suite.process import free_port, have, load
from suite.servers import backend, gateway, haproxy, nginx
from suite.tables import compare, number, table

BODY = 400_000


def body():
    node = backend()
    contestants = {}

    def add(name, port, pids):
        contestants[name] = lambda: load("http_load", port, pids, SECONDS, 4, BODY)

    if have("HAProxy", "haproxy"):
        add("HAProxy", *haproxy(node))
    if have("nginx", "nginx"):
        add("nginx", *nginx(node, "on"))
    port, _, pid = gateway(node)
    add("gateway", port, pid)
    return {"body": compare(contestants, "request", ["HAProxy", "nginx"], same_hash=True)}


def start_once(n_workers):
    """Return: ms until a connection is taken, KiB resident then, shared libraries counted."""
    port = free_port()
    config = pathlib.Path(work) / f"start-{port}.yaml"
    config.write_text(f"nodes: [http://127.0.0.1:9]\nlog: {{access: \"off\"}}\n"
                      f"listen: {{http: 127.0.0.1:{port}, admin: 127.0.0.1:{free_port()}}}\n")
    begun = time.monotonic()
    process = subprocess.Popen([chasqui, "serve", "--config", str(config), "--workers", str(n_workers)],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while True:
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.0005)
        took = (time.monotonic() - begun) * 1e3
        time.sleep(0.5)  # the first round of probes
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        return took, int(status.split("VmRSS:")[1].split()[0])
    finally:
        process.terminate()
        process.wait()


def start():
    rows = []
    for n in sorted({1, os.cpu_count()}):
        runs = [start_once(n) for _ in range(2 * RUNS)]
        rows.append([f"{n} worker{'s' if n > 1 else ''}", f"{number(statistics.median(ms for ms, _ in runs))} ms",
                     f"{number(statistics.median(kib for _, kib in runs) / 1024)} MiB"])
    return {"start": table(["", "until it takes connections", "resident then, shared libraries counted"], rows)}


def workers():
    node = backend()
    contestants = {}
    for n in (1, 2):
        port, _, pid = gateway(node, n_workers=n)
        contestants[f"{n} worker{'s' if n > 1 else ''}"] = lambda port=port, pid=pid: load("http_load", port, pid, SECONDS, 64)
    return {"workers": compare(contestants, "request", ["1 worker"], same_hash=True)}
