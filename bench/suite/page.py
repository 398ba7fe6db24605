# SPDX-License-Identifier: MIT
"""The page docs/performance.md."""
import datetime
import os
import pathlib
import re
import subprocess
import time

from suite.plan import options, root
from suite.process import skipped


def first_line(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return ""
    return (done.stdout + done.stderr).strip().split("\n")[0]


def package(name):
    return first_line("dpkg-query", "-W", "-f", "${Version}", name)


def busy():
    """Share of both cores that others use right now, in percent."""
    def read():
        fields = list(map(int, pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:9]))
        return sum(fields), fields[3] + fields[4]
    total, idle = read()
    time.sleep(2)
    total_now, idle_now = read()
    return 100 - 100 * (idle_now - idle) / max(1, total_now - total)


def facts(busy_before, began):
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    is_virtual = first_line("systemd-detect-virt") not in ("", "none") or "hypervisor" in pathlib.Path("/proc/cpuinfo").read_text()
    return "\n".join([
        f"* **When**: {datetime.date.today()}, {(time.time() - began) / 60:.0f} minutes, commit"
        f" {first_line('git', '-C', str(root), 'describe', '--always', '--dirty')}.",
        f"* **Load by others**: {busy_before:.0f} % of the machine before the first run; load average at the end"
        f" {os.getloadavg()[1]:.1f}, of which server, node and load make up to 2.",
        f"* **Machine**: {os.cpu_count()} cores{' of a virtual machine' if is_virtual else ''}, {cpu.group(1) if cpu else 'unknown'},"
        f" Linux {os.uname().release}, {first_line('gcc', '--version')}.",
        f"* **Versions**: HAProxy {package('haproxy')}, nginx {package('nginx')}, gRPC {package('libgrpc++-dev')},"
        f" nng {package('libnng-dev')}, libuv {package('libuv1')}.",
        f"* **Left out**: {', '.join(sorted(set(skipped))) or 'nothing'}.",
    ])


def write(tables, facts_text):
    """docs/performance.md out of its template. A template's {{name}} without a table stays, to be seen."""
    text = (root / "bench/performance.md.in").read_text().replace("{{facts}}", facts_text)
    for title, rows in tables.items():
        text = text.replace("{{" + title + "}}", rows)
    if options.quick:
        text = text.replace("# Performance\n", "# Performance\n\n**One short run each: this shows that it works, not how fast.**\n", 1)
    (root / "docs/performance.md").write_text(text)
    print("\nbench: wrote docs/performance.md")
