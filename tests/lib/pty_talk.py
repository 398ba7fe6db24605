# SPDX-License-Identifier: MIT
"""Runs a program in a pseudo-terminal and types. usage: pty_talk.py STEPS PROGRAM [ARG]...

STEPS is a JSON list of [text to wait for, keys to type then]; each text is looked for behind the one before. Prints
{"screen": all that was written, "code": exit code}, or {"missing": text} beside the screen when a text did not come.
"""
import json
import os
import pty
import select
import sys
import time

PATIENCE = 8

steps = json.loads(sys.argv[1])
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[2], sys.argv[2:])

screen = b""
deadline = time.monotonic() + PATIENCE


def read_more():
    """Whether something came; False at the end."""
    global screen
    if not select.select([fd], [], [], max(0, deadline - time.monotonic()))[0]:
        return False
    try:
        piece = os.read(fd, 65536)
    except OSError:  # all of its descriptors are closed
        return False
    screen += piece
    return piece != b""


def talk():
    at = 0
    for text, keys in steps:
        while screen.find(text.encode(), at) < 0:
            if not read_more():
                return text
        at = screen.find(text.encode(), at) + len(text.encode())
        os.write(fd, keys.encode())
    while read_more():
        pass
    return None


missing = talk()
if missing is not None or time.monotonic() >= deadline:
    os.kill(pid, 9)
result = {"code": os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), "screen": screen.decode(errors="replace")}
if missing is not None:
    result["missing"] = missing
print(json.dumps(result))
