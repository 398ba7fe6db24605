# SPDX-License-Identifier: MIT
"""Make every call of the Python ollama client to a server and print what its user sees, as one JSON object.

usage: python_calls.py URL MODEL
"""
import json
import sys

import ollama

URL, MODEL = sys.argv[1:]
OPTIONS = {"num_predict": 12, "temperature": 0, "seed": 7}
MESSAGES = [{"role": "user", "content": "why is the sky blue"}]

client = ollama.Client(host=URL)

CALLS = {
    "generate": lambda: client.generate(MODEL, "hello there", options=OPTIONS),
    "generate, streamed": lambda: list(client.generate(MODEL, "hello", stream=True, options=OPTIONS)),
    "chat": lambda: client.chat(MODEL, MESSAGES, options=OPTIONS),
    "chat, streamed": lambda: list(client.chat(MODEL, MESSAGES, stream=True, options=OPTIONS)),
    "embed": lambda: client.embed(MODEL, ["one", "two"]),
    "embeddings": lambda: client.embeddings(MODEL, "one"),
    "list": client.list,
    "show": lambda: client.show(MODEL),
    "ps": client.ps,
    "generate with an unknown model": lambda: client.generate("nope", "x"),
    "chat with an unknown model": lambda: client.chat("nope", MESSAGES),
    "embed with an unknown model": lambda: client.embed("nope", "x"),
    "show of an unknown model": lambda: client.show("nope"),
    "streamed chat with an unknown model": lambda: list(client.chat("nope", MESSAGES, stream=True)),
    "a wrong type of an option": lambda: client.generate(MODEL, "x", options={"num_predict": "many"}),
}


def plain(value):
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value.model_dump(mode="json")


def outcome(call):
    try:
        return {"value": plain(call())}
    except ollama.ResponseError as error:
        return {"thrown": "ResponseError", "status": error.status_code, "error": error.error}


json.dump({name: outcome(call) for name, call in CALLS.items()}, sys.stdout)
