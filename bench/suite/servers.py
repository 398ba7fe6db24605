# SPDX-License-Identifier: MIT
"""What is measured, and the nodes behind it. Each function starts one and returns (port, pids) unless it says otherwise."""
import pathlib
import socket
import sys
import time

from suite.plan import chasqui, out, root, work
from suite.process import children, free_port, start

DEPTH = 32  # messages of an echo in flight
STREAMS = 200


def epoll_echo():
    port, process = start(0, [str(out / "epoll_echo")])
    return port, str(process.pid)


def mcp_echo(env=None):
    port, process = start(0, [str(out / "mcp_echo")], env=env)
    return port, str(process.pid)


def grpc_echo():
    port, process = start(0, [str(out / "grpc_echo")])
    return port, str(process.pid)


def nng_echo():
    port = free_port()
    _, process = start(0, [str(out / "nng_echo"), str(port)], port)
    return port, str(process.pid)


def sim(interval, core=1):
    port = free_port()
    start(core, [chasqui, "sim", "--listen", f"127.0.0.1:{port}", "--models", "sim", "--slots", "1000000",
                 "--tokens", "1000000000000", "--token-interval", interval], port)
    return port


def backend():
    return start(1, [str(out / "backend")])[0]


def gateway(node, env=None, access="\"off\"", n_workers=1):
    """Return: HTTP port, MCP port, pid. One worker has core 0; more have both."""
    http, mcp, admin = free_port(), free_port(), free_port()
    config = pathlib.Path(work) / f"gateway-{http}.yaml"
    config.write_text(f"nodes: [http://127.0.0.1:{node}]\nworkers: {n_workers}\nlog: {{access: {access}}}\n"
                      f"listen: {{http: 127.0.0.1:{http}, mcp: 127.0.0.1:{mcp}, admin: 127.0.0.1:{admin}}}\n")
    _, process = start(0 if n_workers == 1 else "0,1", [chasqui, "serve", "--config", str(config)], http, env)
    for _ in range(100):
        with socket.create_connection(("127.0.0.1", admin)) as s:
            s.sendall(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            if b" 200 " in s.recv(4096):
                return http, mcp, str(process.pid)
        time.sleep(0.05)
    sys.exit("bench: the gateway has no node")


def configured(name, **values):
    text = (root / "bench/peers" / name).read_text()
    for key, value in {"work": work, **values}.items():
        text = text.replace(f"@{key.upper()}@", str(value))
    path = pathlib.Path(work) / f"{values['port']}-{name}"
    path.write_text(text)
    return str(path)


# HAProxy sends what is not the end of an answer with MSG_MORE, so the kernel holds a token back for up to 200 ms. For
# answers that trickle and are read at once its manual has this.
NO_DELAY = "option http-no-delay"


def haproxy(node, log="", option=""):
    port = free_port()
    _, process = start(0, ["haproxy", "-db", "-f", configured("haproxy.cfg", port=port, node=node, log=log, option=option)], port)
    return port, str(process.pid)


def nginx(node, buffering, log="off"):
    port = free_port()
    path = configured("nginx.conf", port=port, node=node, buffering=buffering, log=log)
    _, process = start(0, ["nginx", "-c", path], port)
    return port, children(process)
