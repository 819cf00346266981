'use strict';
// A gateway node: browsers read the tokens of their session here as server-sent events. Any gateway can serve any
// session: whoever subscribes last to the session's lite topic owns it, and says from which offset on. An event's id is
// the offset of its token, so a browser that connects again asks for what it has not seen, wherever it connects.
//
//   node gateway.js ENDPOINTS PORT

const http = require('node:http');
const { ConsumeResult, ConsumeResultSuspend, OffsetOption } = require('rocketmq-client-nodejs');
const events = require('../lib/events');
const { startConsumer } = require('../lib/sdk');

/** Sessions whose browser is connected here. */
const sessions = new Map();
let consumer;

class Session {
  constructor(response, next) {
    this.response = response;
    /** The offset of the token that the browser waits for. */
    this.next = next;
  }

  /** Gives a token to the browser if it is the next one; whether it is done with. */
  give(offset, token) {
    if (offset > this.next) return false;
    if (offset === this.next) {
      events.write(this.response, { id: offset, data: token });
      this.next += 1;
      if (token.isLast) this.response.end();
    }
    return true;
  }
}

/** What nobody here waits for goes back: it may have been fetched for a browser that has left. */
async function consume(message) {
  const session = sessions.get(message.liteTopic);
  const isDone = session?.give(message.offset, JSON.parse(message.body));
  return isDone ? ConsumeResult.SUCCESS : ConsumeResultSuspend.of(50);
}

/** One change of a session's subscription after another: a browser may be back before it has left. */
const changes = new Map();
function inTurn(name, change) {
  const turn = (changes.get(name) ?? Promise.resolve()).then(change).catch(console.error);
  changes.set(name, turn);
  turn.then(() => changes.get(name) === turn && changes.delete(name));
}

const server = http.createServer((request, response) => {
  const [ , name ] = request.url.match(/^\/sessions\/([\w-]+)\/tokens$/) ?? [];
  if (!name) return response.writeHead(404).end();
  events.begin(response);
  const session = new Session(response, Number(request.headers['last-event-id'] ?? -1) + 1);
  sessions.set(name, session);
  inTurn(name, async () => {
    // The SDK tells the broker nothing of a name that it has already.
    await consumer.unsubscribeLite(name);
    await consumer.subscribeLite(name, OffsetOption.ofOffset(session.next));
  });
  response.on('close', () => {
    if (sessions.get(name) !== session) return;
    sessions.delete(name);
    inTurn(name, () => sessions.has(name) || consumer.unsubscribeLite(name));
  });
});

async function main([ endpoints, port ]) {
  consumer = await startConsumer(endpoints, { group: 'gateways', topic: 'sessions', consume });
  server.listen(Number(port), '127.0.0.1', () => console.log('ready'));
}

main(process.argv.slice(2));
