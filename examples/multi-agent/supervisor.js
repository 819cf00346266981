'use strict';
// The supervisor: a small web server. A question becomes a task with a lite topic of its own for the answers; every kind
// of sub-agent gets a request, and the browser reads what they write as server-sent events.
//
//   POST /tasks            {"question": "..."} -> {"task": "..."}
//   GET  /tasks/ID/events  what the agents write, until all are done
//
//   node supervisor.js ENDPOINTS PORT

const http = require('node:http');
const { randomUUID } = require('node:crypto');
const { text } = require('node:stream/consumers');
const { ConsumeResult } = require('rocketmq-client-nodejs');
const events = require('../lib/events');
const { startConsumer, startProducer } = require('../lib/sdk');

const KINDS = [ 'researcher', 'writer', 'critic' ];

/** Tasks under way, by their lite topic. */
const tasks = new Map();
let consumer;
let producer;

class Task {
  constructor(name) {
    this.name = name;
    this.working = new Set(KINDS);
    /** What came before the browser asked for it. */
    this.pieces = [];
  }

  take(piece) {
    this.pieces.push(piece);
    if (piece.isDone) this.working.delete(piece.kind);
    if (this.response) this.show(this.pieces.length - 1);
    if (this.working.size === 0) this.end();
  }

  /** The browser reads from here on. */
  watch(response) {
    events.begin(response);
    this.response = response;
    this.pieces.forEach((_, at) => this.show(at));
    if (this.working.size === 0) response.end();
  }

  show(at) {
    events.write(this.response, { id: at, data: this.pieces[at] });
  }

  /** The lite topic goes by itself, some time after its last message. */
  end() {
    this.response?.end();
    consumer.unsubscribeLite(this.name).catch(console.error);
  }
}

async function begin(question) {
  const task = new Task(`task-${randomUUID()}`);
  tasks.set(task.name, task);
  await consumer.subscribeLite(task.name);
  for (const kind of KINDS) {
    const body = Buffer.from(JSON.stringify({ task: task.name, question }));
    await producer.send({ topic: 'requests', liteTopic: kind, body });
  }
  return task.name;
}

const server = http.createServer(async (request, response) => {
  const [ , name ] = request.url.match(/^\/tasks\/([\w-]+)\/events$/) ?? [];
  if (request.method === 'POST' && request.url === '/tasks') {
    const { question } = JSON.parse(await text(request));
    response.end(JSON.stringify({ task: await begin(question) }));
  } else if (tasks.has(name)) {
    tasks.get(name).watch(response);
  } else {
    response.writeHead(404).end();
  }
});

async function main([ endpoints, port ]) {
  producer = await startProducer(endpoints, [ 'requests' ]);
  consumer = await startConsumer(endpoints, {
    group: 'supervisors',
    topic: 'results',
    async consume(message) {
      tasks.get(message.liteTopic)?.take(JSON.parse(message.body));
      return ConsumeResult.SUCCESS;
    },
  });
  server.listen(Number(port), '127.0.0.1', () => console.log('ready'));
}

main(process.argv.slice(2));
