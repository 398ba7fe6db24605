# SPDX-License-Identifier: MIT
"""Processes of a run: servers on core 0, loads and nodes on core 1, all of them ended by stop_all()."""
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

from suite.plan import out, work

running = []
skipped = []


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for_port(port, process):
    for _ in range(200):
        if process.poll() is not None:
            sys.exit(f"bench: {process.args[3]} ended with {process.returncode}")
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    sys.exit(f"bench: nothing listens at {port}")


def start(core, command, port=None, env=None):
    """A process on a core. Without a port, it prints the one it took."""
    log = open(f"{work}/{pathlib.Path(command[0]).name}.log", "ab")
    process = subprocess.Popen(["taskset", "-c", str(core), *command], stdout=subprocess.PIPE if port is None else log,
                               stderr=log, env={**os.environ, **(env or {})}, text=port is None)
    running.append(process)
    if port is None:
        port = int(process.stdout.readline())
    wait_for_port(port, process)
    return port, process


def stop_all():
    for process in running:
        process.send_signal(signal.SIGKILL if "sim" in process.args else signal.SIGTERM)
    for process in running:
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    running.clear()


def children(process):
    found = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()
    return ",".join([str(process.pid), *found])


def have(name, *programs):
    missing = [p for p in programs if not (shutil.which(p) or (out / p).exists())]
    if missing:
        print(f"bench: SKIPPED {name}: there is no {', '.join(missing)}", file=sys.stderr)
        skipped.append(name)
    return not missing


def load(program, *args, env=None):
    """Runs a load; its line of JSON, or what it died of."""
    done = subprocess.run(["taskset", "-c", "1", str(out / program), *map(str, args)], capture_output=True, text=True,
                          env={**os.environ, **(env or {})})
    if done.stdout.strip():
        result = json.loads(done.stdout)
        return result if result.get("n") != 0 else {"failed": "no answer came"}
    return {"failed": " ".join(done.stderr.split("bench: ")[0].split()) or done.stderr.strip()}
