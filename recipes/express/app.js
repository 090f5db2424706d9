// An Express app: node app.js [PORT]. What entitle needs of it is `whoami`, and
// `needs`, the lock behind the door. Its sessions are a few lines here, in the cookie
// that express-session has, so that Debian's node-express is all it takes; with
// express-session those go, and `req.session.user` is yours.
'use strict';
const crypto = require('crypto');
const express = require('express');

const app = express();
app.use(express.urlencoded({ extended: false }));

const sessions = new Map();
const start = (res, session) => {
  const id = crypto.randomBytes(16).toString('hex');
  sessions.set(id, session);
  res.cookie('connect.sid', id, { httpOnly: true, sameSite: 'lax' });
};
app.use((req, res, next) => {
  const [, id] = /(?:^|; )connect\.sid=(\w+)/.exec(req.headers.cookie || '') || [];
  req.sessionId = id;
  req.user = (sessions.get(id) || {}).user;
  next();
});

app.get('/whoami', (req, res) => {
  if (!req.user) return res.sendStatus(401);
  res.set('X-User', String(req.user.id)).sendStatus(204);
});

// The lock behind the door: nginx says who has paid, and no client can.
const needs = (name) => (req, res, next) =>
  (req.get('X-Entitle-Entitlements') || '').split(',').includes(name)
    ? next() : res.sendStatus(404);
app.get('/members/lesson', needs('pro'), (req, res) =>
  res.send(`The lesson, for ${req.get('X-Entitle-User')}.`));

// Stands for your login.
const users = { ada: { id: 1 }, bob: { id: 2 } };
app.get('/login', (req, res) =>
  res.send('<form method="post"><input name="user"><input name="password" type="password"><button>Log in</button></form>'));
app.post('/login', (req, res) => {
  if (!Object.hasOwn(users, req.body.user) || req.body.password !== 'secret') return res.sendStatus(403);
  sessions.delete(req.sessionId);  // never the id from before
  start(res, { user: users[req.body.user] });
  const next = String(req.query.next || '/');
  res.redirect(303, /^\/(?![/\\])/.test(next) ? next : '/');
});
app.get('/logout', (req, res) => {
  sessions.delete(req.sessionId);
  res.clearCookie('connect.sid').redirect(303, '/login');
});

app.listen(Number(process.argv[2] || 3000), '127.0.0.1');
