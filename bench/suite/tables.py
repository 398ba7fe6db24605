# SPDX-License-Identifier: MIT
"""Contestants that take turns, and the tables of their medians."""
import statistics

from suite.plan import RUNS


def number(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


def take_turns(contestants):
    """contestants: name -> function that runs a load. Return: name -> results of all runs."""
    results = {name: [] for name in contestants}
    for _ in range(RUNS):
        for name, run in contestants.items():
            results[name].append(run())
    return results


def compare(contestants, unit, reference, same_hash=False):
    """A table of CPU per operation. reference: whose median the ratios are of, one column each."""
    results = take_turns(contestants)
    costs, rows, hashes = {}, [], set()
    reference = [name for name in reference if name in contestants]
    for name, runs in results.items():
        good = [r for r in runs if "failed" not in r]
        if good:
            costs[name] = statistics.median(r["cpu_ns"] / r["n"] / 1e3 for r in good)
            hashes |= {r["hash"] for r in good}
    for name, runs in results.items():
        failed = [r["failed"] for r in runs if "failed" in r]
        good = [r for r in runs if "failed" not in r]
        if not good:
            rows.append([name, f"failed: {failed[0]}", *[""] * (3 + len(reference))])
            continue
        each = sorted(r["cpu_ns"] / r["n"] / 1e3 for r in good)
        bad = sum(r["bad"] for r in good)
        rows.append([name + (f" ({len(failed)} of {len(runs)} runs failed: {failed[0]})" if failed else ""),
                     number(costs[name]), f"{number(each[0])} to {number(each[-1])}",
                     f"{statistics.median(r['n'] / r['wall_ns'] for r in good) * 1e9:,.0f}",
                     f"{statistics.median(r['cpu_ns'] / r['wall_ns'] for r in good) * 100:.0f} %",
                     *[number(costs[name] / costs[ref]) if ref in costs else "" for ref in reference]])
        if bad:
            rows[-1][0] += f" **{bad} wrong answers**"
    if same_hash and len(hashes) > 1:
        rows.append([f"**answers differ: {', '.join(sorted(hashes))}**", *[""] * (4 + len(reference))])
    ratios = [f"of {name}" for name in reference]
    return table(["", f"CPU µs per {unit}", "range", f"{unit}s/s", "server's core", *ratios], rows)
