// SPDX-License-Identifier: MIT
/*
 * A node of a few lines, in this process: it records what reaches it and answers as a test wants
 *
 * Probes (/api/version, /api/tags, /api/ps) are answered by themselves; every other request is recorded and given to
 * the handler. For behaviour no real node has; ordinary traffic goes to `chasqui sim`.
 */
import { createServer } from 'node:http';

const PROBES = {
    '/': 'Ollama is running',
    '/api/version': { version: '0.11.4' },
    '/api/ps': { models: [] },
};

const DIGEST = 'f'.repeat(64);

function tags(model) {
    return { models: [{ name: model, model, modified_at: '2025-01-01T00:00:00Z', size: 1, digest: DIGEST, details: {}, expires_at: '2099-01-01T00:00:00Z' }] };
}

export class FakeNode {
    /** @handler: (request with .text, response, nth) for everything but probes. */
    static async start(owner, handler = FakeNode.answerDone, { model = 'fake:latest', isLoaded = false, clockAheadMs = 0 } = {}) {
        const node = new FakeNode();
        node.model = model;
        node.isLoaded = isLoaded;
        node.clockAheadMs = clockAheadMs;
        node.requests = []; /* {method, url, headers, rawHeaders, text, socket} */
        node.server = createServer((req, res) => node.#serve(req, res, handler));
        node.server.keepAliveTimeout = 0;
        owner.after(() => {
            node.server.closeAllConnections();
            node.server.close();
        });
        await new Promise((resolve) => node.server.listen(0, '127.0.0.1', resolve));
        node.port = node.server.address().port;
        node.url = `http://127.0.0.1:${node.port}`;
        return node;
    }

    /** A complete streamed answer of one record. */
    static answerDone(_req, res) {
        res.setHeader('Content-Type', 'application/x-ndjson');
        res.end('{"model":"fake:latest","created_at":"2025-01-01T00:00:00Z","response":"","done":true,"done_reason":"stop"}\n');
    }

    get last() {
        return this.requests.at(-1);
    }

    async #serve(req, res, handler) {
        res.setHeader('Date', new Date(Date.now() + this.clockAheadMs).toUTCString());
        const isListing = req.url === '/api/tags' || (req.url === '/api/ps' && this.isLoaded);
        const probe = isListing ? tags(this.model) : PROBES[req.url];
        if (probe !== undefined) {
            res.setHeader('Content-Type', typeof probe === 'string' ? 'text/plain' : 'application/json; charset=utf-8');
            res.end(typeof probe === 'string' ? probe : JSON.stringify(probe));
            return;
        }
        req.text = '';
        for await (const piece of req)
            req.text += piece;
        this.requests.push(req);
        handler(req, res, this.requests.length);
    }
}
