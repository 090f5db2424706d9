// A peer to measure against, no part of entitle: the usual webhook handler. It
// keeps the raw body, verifies the signature as Stripe's library does, parses,
// and writes one hash. No order, no duplicates, no moving between users.
//
//   node webhook.js PORT REDIS-PORT SECRET
'use strict';
const crypto = require('crypto');
const http = require('http');
const redis = require('./redis.js').connect(Number(process.argv[3]));

const secret = process.argv[4];
const tolerance = 300;

function verified(body, header) {
  let time = '';
  const claimed = [];
  for (const part of (header || '').split(',')) {
    if (part.startsWith('t=')) time = part.slice(2);
    if (part.startsWith('v1=')) claimed.push(Buffer.from(part.slice(3), 'hex'));
  }
  if (Math.abs(Date.now() / 1000 - Number(time)) > tolerance) return false;
  const mac = crypto.createHmac('sha256', secret).update(`${time}.`).update(body).digest();
  return claimed.some((one) => one.length === 32 && crypto.timingSafeEqual(one, mac));
}

async function apply(event) {
  const object = event.data.object;
  await redis('HSET', `peer:${object.customer}`, 'type', event.type,
    'status', object.status || '', 'updated', String(event.created));
}

http.createServer((request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', async () => {
    const body = Buffer.concat(chunks);
    const good = verified(body, request.headers['stripe-signature']);
    if (good) await apply(JSON.parse(body));
    const text = good ? '{"received":true,"outcome":"applied"}' : '{"error":"signature"}';
    response.writeHead(good ? 200 : 400, {
      'Content-Type': 'application/json', 'Content-Length': text.length,
    }).end(text);
  });
}).listen(Number(process.argv[2]), '127.0.0.1');
