'use strict';
// Two gateways, some sessions, and browsers that move between the gateways while tokens flow; in the middle one gateway
// is killed. Each browser must have each token of its session once and in order.
//
//   run.js [SESSIONS] [TOKENS]

const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');
const events = require('../lib/events');
const { LocalBroker, freePort } = require('../lib/local-broker');
const { Program } = require('../lib/program');
const { Model } = require('./model');

const [ SESSIONS, TOKENS ] = [ Number(process.argv[2] ?? 20), Number(process.argv[3] ?? 200) ];
const TOKEN_PAUSE_MS = 20;
/** How long a browser stays at a gateway. */
const STAY_MS = [ 300, 1500 ];

class Gateway extends Program {
  constructor(broker, port) {
    super(path.join(__dirname, 'gateway.js'), broker.endpoints, port);
    this.port = port;
  }

  tokensOf(session) {
    return `http://127.0.0.1:${this.port}/sessions/${session}/tokens`;
  }
}

/** Reads a session to its end, moving on after a while, and notes what it saw. */
class Browser {
  constructor(session) {
    this.session = session;
    this.numbers = [];
    this.moves = 0;
    this.isDone = false;
  }

  async readAll(gateways) {
    for (let turn = 0; !this.isDone; turn++) {
      await this.readFrom(gateways[(turn + this.session.length) % gateways.length]);
      this.moves += 1;
    }
  }

  async readFrom(gateway) {
    const stay = Math.round(STAY_MS[0] + Math.random() * (STAY_MS[1] - STAY_MS[0]));
    try {
      for await (const { id, data } of events.read(gateway.tokensOf(this.session), { lastEventId: this.lastEventId, signal: AbortSignal.timeout(stay) })) {
        this.lastEventId = id;
        this.numbers.push(data.number);
        this.isDone = data.isLast;
      }
    } catch (error) {
      const isGone = error instanceof TypeError;
      if (!isGone && error.name !== 'TimeoutError') throw error;
      // Time to move, or the gateway is gone: the next one goes on.
      await sleep(20);
    }
  }

  /** What is wrong with what it saw. */
  fault() {
    const wrong = this.numbers.findIndex((number, at) => number !== at);
    if (wrong >= 0) return `${this.session}: token ${this.numbers[wrong]} came as number ${wrong}`;
    return this.numbers.length === TOKENS ? undefined : `${this.session}: ${this.numbers.length} of ${TOKENS} tokens`;
  }
}

async function main() {
  const broker = await LocalBroker.start();
  await broker.litemq('topic', 'create', 'sessions', '--type', 'lite', '--ttl', '30m');
  await broker.litemq('group', 'create', 'gateways', '--bind', 'sessions', '--mode', 'exclusive');
  const gateways = [ new Gateway(broker, await freePort()), new Gateway(broker, await freePort()) ];
  await Promise.all(gateways.map(gateway => gateway.start()));
  const model = await Model.start(broker.endpoints);

  const names = Array.from({ length: SESSIONS }, (_, number) => `session-${number}`);
  const browsers = names.map(name => new Browser(name));
  const answers = names.map(name => model.answer(name, TOKENS, TOKEN_PAUSE_MS));
  const reads = browsers.map(browser => browser.readAll(gateways));
  await sleep((TOKENS * TOKEN_PAUSE_MS) / 2);
  console.log('one gateway is killed');
  await gateways[0].kill();
  await gateways[0].start();
  await Promise.all([ ...answers, ...reads ]);

  const faults = browsers.map(browser => browser.fault()).filter(Boolean);
  const moves = browsers.reduce((sum, browser) => sum + browser.moves, 0);
  faults.forEach(fault => console.log(fault));
  console.log(`${SESSIONS} sessions of ${TOKENS} tokens moved ${moves} times between two gateways: ${faults.length} with a token lost, repeated or out of order`);
  for (const gateway of gateways) await gateway.kill();
  await broker.stop();
  process.exit(faults.length ? 1 : 0);
}

main();
