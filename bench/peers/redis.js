// Part of the peers: the least of a Redis client, pipelined on one connection.
// It reads what the peers ask for: integers, and arrays of bulk strings.
'use strict';
const net = require('net');

exports.connect = function connect(port) {
  const socket = net.connect(port, '127.0.0.1').setNoDelay(true);
  const waiting = [];
  let text = '';

  function bulk(at) {  // [value, end], or nothing while it is incomplete
    const line = text.indexOf('\r\n', at);
    if (line < 0) return undefined;
    const size = Number(text.slice(at + 1, line));
    if (size < 0) return [null, line + 2];
    const end = line + 2 + size + 2;
    return text.length < end ? undefined : [text.slice(line + 2, end - 2), end];
  }

  function reply() {
    const line = text.indexOf('\r\n');
    if (line < 0) return undefined;
    if (text[0] !== '*') return [text.slice(1, line), line + 2];
    const values = [];
    let end = line + 2;
    for (let left = Number(text.slice(1, line)); left > 0; left--) {
      const one = bulk(end);
      if (one === undefined) return undefined;
      values.push(one[0]);
      end = one[1];
    }
    return [values, end];
  }

  socket.setEncoding('latin1').on('data', (chunk) => {
    text += chunk;
    for (let one; (one = reply()) !== undefined;) {
      text = text.slice(one[1]);
      waiting.shift()(one[0]);
    }
  });

  return (...words) => new Promise((resolve) => {
    waiting.push(resolve);
    socket.write(`*${words.length}\r\n` +
      words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join(''));
  });
};
