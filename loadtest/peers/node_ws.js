// `node node_ws.js WS_MODULE PORT text|binary`: rooms as sets of clients (see relay_peer.py).
'use strict';

const [module_, port, form] = process.argv.slice(2);
const { WebSocketServer, WebSocket } = require(module_);

const binary = form === 'binary';
const rooms = new Map();

const server = new WebSocketServer({ host: '127.0.0.1', port: Number(port), perMessageDeflate: false, backlog: 4096 });

server.on('connection', (client) => {
  client.on('error', (error) => console.error(error));
  client.on('message', (data, isBinary) => {
    if (!isBinary) {
      for (const room of data.toString().split(' ')) {
        if (!rooms.has(room)) rooms.set(room, new Set());
        rooms.get(room).add(client);
      }
      client.send('ok');
      return;
    }
    const end = data.indexOf(10);
    const event = data.subarray(end + 1);
    for (const listener of rooms.get(data.toString('latin1', 0, end)) ?? []) {
      if (listener.readyState === WebSocket.OPEN) listener.send(event, { binary });
    }
  });
  client.on('close', () => {
    for (const listeners of rooms.values()) listeners.delete(client);
  });
});
