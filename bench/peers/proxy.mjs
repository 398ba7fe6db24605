// SPDX-License-Identifier: MIT
/*
 * A proxy as one writes it with Node.js's own http module. usage: node proxy.mjs PORT NODE_PORT
 */
import http from 'node:http';

const [port, nodePort] = process.argv.slice(2).map(Number);
const agent = new http.Agent({ keepAlive: true });
const HOP_BY_HOP = ['host', 'connection', 'keep-alive', 'te', 'trailer', 'upgrade', 'proxy-connection', 'proxy-authorization', 'http2-settings'];

const server = http.createServer((req, res) => {
    const headers = Object.fromEntries(Object.entries(req.headers).filter(([name]) => !HOP_BY_HOP.includes(name)));
    const up = http.request({ agent, host: '127.0.0.1', port: nodePort, method: req.method, path: req.url, headers }, (answer) => {
        const { connection, 'transfer-encoding': coding, ...fields } = answer.headers;
        res.writeHead(answer.statusCode, fields);
        answer.on('aborted', () => res.destroy());
        answer.pipe(res);
    });
    up.on('error', () => (res.headersSent ? res.destroy() : res.writeHead(502).end()));
    req.pipe(up);
});
server.listen(port, '127.0.0.1');
