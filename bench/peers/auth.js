// A peer to measure against, no part of entitle: the small service people put
// behind auth_request. It verifies a signed cookie and asks Redis.
//
//   node auth.js PORT REDIS-PORT
'use strict';
const crypto = require('crypto');
const http = require('http');
const redis = require('./redis.js').connect(Number(process.argv[3]));

const key = '0123456789abcdef0123456789abcdef';

function session(request) {
  const cookie = /(?:^|; )session=([^;]*)/.exec(request.headers.cookie || '');
  const parts = cookie && /^(([^.]+)\.(\d+)\.(\d+))\.(.+)$/.exec(cookie[1]);
  if (!parts || Number(parts[4]) <= Date.now() / 1000) return null;
  const mac = crypto.createHmac('sha256', key).update(parts[1]).digest();
  const claimed = Buffer.from(parts[5], 'base64');
  if (claimed.length !== 32 || !crypto.timingSafeEqual(mac, claimed)) return null;
  return { user: parts[2], version: parts[3] };
}

async function decide(request) {
  const who = session(request);
  if (!who) return 401;
  const [version, until] = await redis('HMGET', `peer:${who.user}`, 'version', 'until');
  if (version !== who.version) return 401;
  return Number(until) > Date.now() / 1000 ? 204 : 403;
}

http.createServer(async (request, response) => {
  response.writeHead(await decide(request)).end();
}).listen(Number(process.argv[2]), '127.0.0.1');
