// SPDX-License-Identifier: MIT
/*
 * A node of sockets: it keeps the exact bytes of each request and answers with exact bytes
 *
 * Probes are answered by themselves. A connection is an object of its own, so that a test sees which one a request
 * came over.
 */
import { createServer } from 'node:net';

const MODEL = 'm:latest';

export const PROBES = {
    '/api/version': { version: '0.11.4' },
    '/api/tags': { models: [{ name: MODEL, model: MODEL, modified_at: '2025-01-01T00:00:00Z', size: 1, digest: 'f'.repeat(64), details: {} }] },
    '/api/ps': { models: [] },
};

/** A whole answer with a length. */
export function answerOf(json) {
    const body = JSON.stringify(json);
    return `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}

/* The first request in @bytes: {head, body, length}, or undefined while it is not whole. */
function cutRequest(bytes) {
    const end = bytes.indexOf('\r\n\r\n') + 4;
    if (end < 4)
        return undefined;
    const head = bytes.slice(0, end);
    const length = end + Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
    return bytes.length < length ? undefined : { head, body: bytes.slice(end, length), length };
}

export class RawNode {
    /** @handler: ({head, body}, connection) for everything but probes; answers with connection.socket.write(). */
    static async start(owner, handler) {
        const node = new RawNode();
        const sockets = new Set();
        node.requests = []; /* {head, body, connection} */
        node.server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
            const connection = { socket, bytes: '', nRequests: 0, isClosed: false };
            sockets.add(socket);
            socket.on('data', (data) => node.#read(connection, data.toString('latin1'), handler));
            socket.on('end', () => socket.end());
            socket.on('error', () => {});
            socket.on('close', () => {
                connection.isClosed = true;
                sockets.delete(socket);
            });
        });
        owner.after(() => {
            sockets.forEach((socket) => socket.destroy());
            node.server.close();
        });
        await new Promise((resolve) => node.server.listen(0, '127.0.0.1', resolve));
        node.url = `http://127.0.0.1:${node.server.address().port}`;
        return node;
    }

    #read(connection, text, handler) {
        let request;
        connection.bytes += text;
        while ((request = cutRequest(connection.bytes)) !== undefined) {
            connection.bytes = connection.bytes.slice(request.length);
            connection.nRequests++;
            const probe = PROBES[request.head.split(' ')[1]];
            if (probe !== undefined) {
                connection.socket.write(answerOf(probe), 'latin1');
                continue;
            }
            this.requests.push({ ...request, connection });
            handler(request, connection);
        }
    }
}
