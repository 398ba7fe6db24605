# SPDX-License-Identifier: MIT
"""What HAProxy and nginx can do as well: small requests and token streams."""
from suite.plan import SECONDS, work
from suite.process import have, load, stop_all
from suite.servers import NO_DELAY, STREAMS, backend, gateway, haproxy, nginx, sim
from suite.tables import compare


def streams_at(interval):
    node = sim(interval)
    http, mcp, pid = gateway(node)
    contestants = {}

    def add(name, mode, port, pids):
        contestants[name] = lambda: load("stream_load", mode, port, pids, SECONDS, STREAMS)

    if have("HAProxy", "haproxy"):
        add("HAProxy", "http", *haproxy(node, option=NO_DELAY))
        add("HAProxy, holding tokens back", "http", *haproxy(node))
    if have("nginx", "nginx"):
        add("nginx", "http", *nginx(node, "off"))
    add("gateway, HTTP", "http", http, pid)
    add("gateway, MCP with JSON", "json", mcp, pid)
    add("gateway, MCP with Protobuf", "protobuf", mcp, pid)
    text = compare(contestants, "token", ["HAProxy"], same_hash=True)
    stop_all()
    return text


def streams():
    return {"streams_50": streams_at("20ms"), "streams_500": streams_at("2ms"), "streams_full": streams_at("0s")}


# Each writes its access log to a file; nginx through a buffer, as its manual has it.
HAPROXY_LOG = "log stdout format raw daemon\n    option httplog"
NGINX_LOG = f"{work}/nginx-access.log combined buffer=32k flush=1s"


def small_requests(is_logged):
    node = backend()
    contestants = {}

    def add(name, port, pids):
        contestants[name] = lambda: load("http_load", port, pids, SECONDS, 64)

    if have("HAProxy", "haproxy"):
        add("HAProxy", *haproxy(node, HAPROXY_LOG if is_logged else ""))
    if have("nginx", "nginx"):
        add("nginx", *nginx(node, "on", NGINX_LOG if is_logged else "off"))
    port, _, pid = gateway(node, access="stdout" if is_logged else "\"off\"")
    add("gateway", port, pid)
    text = compare(contestants, "request", ["HAProxy", "nginx"], same_hash=True)
    stop_all()
    return text


def http():
    return {"http": small_requests(False), "http_logged": small_requests(True)}
