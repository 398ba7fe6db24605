# SPDX-License-Identifier: MIT
"""MCP: echoes, and a small call beside a large one."""
from suite.plan import SECONDS, options
from suite.process import have, load, stop_all
from suite.servers import DEPTH, backend, epoll_echo, gateway, grpc_echo, mcp_echo, nng_echo
from suite.tables import compare, number, table


def echoes(depth, with_peers):
    node = backend()
    contestants = {}

    def add(name, program, server, *args):
        port, pids = server
        contestants[name] = lambda: load(program, *args, port, pids, SECONDS, depth)

    add("raw epoll", "echo_load", epoll_echo(), "raw")
    add("MCP, minimal server", "echo_load", mcp_echo(), "mcp")
    _, mcp, pid = gateway(node)
    add("MCP, the gateway", "echo_load", (mcp, pid), "mcp")
    if with_peers and have("gRPC", "grpc_echo", "grpc_load"):
        add("gRPC C++", "grpc_load", grpc_echo())
    if with_peers and have("nng", "nng_echo", "nng_load"):
        add("nng rep0", "nng_load", nng_echo())
    text = compare(contestants, "message", ["raw epoll", "gRPC C++"])
    stop_all()
    return text


def echo():
    return {"echo": echoes(DEPTH, True), "echo_deep": echoes(256, False)}


def beside():
    _, mcp, _ = gateway(backend())
    rows = []
    for mib, speed, window in ((64, 100, 1024), (64, 100, 256), (15, 100, 1024), (15, 100, 256)):
        r = load("beside_load", mcp, 2 if options.quick else 8, mib, speed, window)
        if "failed" in r:
            rows.append([f"{mib} MiB", f"{window} KiB", r["failed"], "", "", "", ""])
            continue
        times = [r["down"]["p50_ns"], r["down"]["p99_ns"], r["down"]["max_ns"], r["up"]["p99_ns"]]
        rows.append([f"{mib} MiB", f"{window} KiB", *[f"{number(t / 1e6)} ms" for t in times],
                     f"{r['refused']} of {r['up']['n'] + r['down']['n']}"])
    return {"beside": table(["large call", "client's window", "p50", "p99", "longest", "p99 while the request is sent",
                             "refused"], rows)}
