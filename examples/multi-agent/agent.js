'use strict';
// A sub-agent: takes requests of its kind from the lite topic of that name, and writes what it finds, piece by piece, to
// the lite topic of the task. Several processes of one kind share the work.
//
//   node agent.js ENDPOINTS KIND

const { setTimeout: sleep } = require('node:timers/promises');
const { ConsumeResult } = require('rocketmq-client-nodejs');
const { startConsumer, startProducer } = require('../lib/sdk');

/** What each kind of agent says of a question; a real one would ask a model. */
const KINDS = {
  researcher: question => [ `looked for "${question}"`, 'read three papers', 'found two answers' ],
  writer: question => [ `outlined "${question}"`, 'wrote a page' ],
  critic: question => [ `doubts "${question}"`, 'found one mistake', 'asks for a source' ],
};
const THINKING_MS = 20;

async function main([ endpoints, kind ]) {
  const producer = await startProducer(endpoints, [ 'results' ]);
  const report = (task, piece) =>
    producer.send({ topic: 'results', liteTopic: task, body: Buffer.from(JSON.stringify({ kind, ...piece })) });

  const consumer = await startConsumer(endpoints, {
    group: 'agents',
    topic: 'requests',
    // Acknowledged when all is written: a request whose agent dies goes to another one.
    async consume(message) {
      const { task, question } = JSON.parse(message.body);
      for (const text of KINDS[kind](question)) {
        await sleep(THINKING_MS);
        await report(task, { text });
      }
      await report(task, { isDone: true });
      return ConsumeResult.SUCCESS;
    },
  });
  await consumer.subscribeLite(kind);
  console.log('ready');
}

main(process.argv.slice(2));
