# SPDX-License-Identifier: MIT
"""Memory of what waits, and allocations of what runs."""
from suite.plan import options, out, work
from suite.process import load, stop_all
from suite.servers import DEPTH, STREAMS, backend, gateway, mcp_echo, sim
from suite.tables import table


def memory():
    n = 1000 if options.quick else 10000
    rows = []

    def add(name, mode, port, pid, count, settle=1):
        r = load("idle_load", mode, port, pid, settle, count)
        rows.append([name, r["failed"], ""] if "failed" in r else
                    [name, f"{count:,}", f"{r['bytes'] / r['n']:,.0f}"])

    port, pid = mcp_echo()
    add("MCP connection, minimal server", "mcp", port, pid, n)
    port, pid = mcp_echo()
    add("MCP call that waits, minimal server", "calls:hold", port, pid, n)
    node = backend()
    _, mcp, pid = gateway(node)
    add("MCP connection, the gateway", "mcp", mcp, pid, n)
    http, _, pid = gateway(node)
    add("HTTP connection, the gateway", "http", http, pid, n)
    node = sim("5s")
    http, mcp, pid = gateway(node)
    add("MCP stream through the gateway, with its connection to the node", "calls:ollama.generate", mcp, pid, n // 2, 7)
    http, mcp, pid = gateway(node)
    add("HTTP stream through the gateway, with its connection to the node", "stream", http, pid, n // 2, 7)
    return {"memory": table(["", "number", "bytes each"], rows)}


def heap():
    counter = f"{work}/allocations"
    env = {"BENCH_ALLOCATIONS": counter}
    preload = {**env, "LD_PRELOAD": str(out / "count_alloc.so")}
    rows = []

    def add(name, *args):
        r = load(*args, env=env)
        rows.append([name, r["failed"], ""] if "failed" in r else
                    [name, f"{r['allocations']:,} in {r['n']:,}", f"{r['allocations'] / r['n']:.3f}"])
        stop_all()

    port, pid = mcp_echo(preload)
    add("echo over MCP, minimal server", "echo_load", "mcp", port, pid, 1, DEPTH)
    _, mcp, pid = gateway(backend(), preload)
    add("echo over MCP, the gateway", "echo_load", "mcp", mcp, pid, 1, DEPTH)
    http, _, pid = gateway(backend(), preload)
    add("`/api/generate` over HTTP, 64 connections", "http_load", http, pid, 1, 64)
    http, mcp, pid = gateway(sim("2ms"), preload)
    add("token over MCP (Protobuf)", "stream_load", "protobuf", mcp, pid, 1, STREAMS)
    http, mcp, pid = gateway(sim("2ms"), preload)
    add("token over HTTP", "stream_load", "http", http, pid, 1, STREAMS)
    return {"heap": table(["", "allocations", "each"], rows)}
