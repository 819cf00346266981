'use strict';
// Sends and receives with the official Node SDK whatever happens to the broker. See README.md, "Endurance".

const readline = require('node:readline');
const { setTimeout: pause } = require('node:timers/promises');
const { ConsumeResult, LitePushConsumerBuilder, Producer } = require('rocketmq-client-nodejs');

const [ endpoints, topic, group, name, liteList, perSecond ] = process.argv.slice(2);
const lites = liteList.split(',');
const toStderr = (...words) => console.error(...words);
const logger = { debug: toStderr, info: toStderr, warn: toStderr, error: toStderr };
const configuration = { endpoints, namespace: '', logger };
let isQuiet = false;

function say(event, values = {}) {
  process.stdout.write(JSON.stringify({ event, at_ms: Date.now(), ...values }) + '\n');
}

const listener = {
  async consume(message) {
    const body = message.body.toString();
    const what = { id: body.split(' ')[0], lite: message.liteTopic, offset: Number(message.offset), attempt: message.deliveryAttempt };
    say('delivered', { body, ...what });
    say('acked', what);
    return ConsumeResult.SUCCESS;
  },
};

async function sendUntilQuiet(producer) {
  for (let number = 0; !isQuiet; number++) {
    const lite = lites[number % lites.length];
    const sequence = Math.floor(number / lites.length);
    const id = `${name}-${lite}-${sequence}`;
    const body = Buffer.from(Array(1 + sequence % 40).fill(id).join(' '));
    const sent = { id, lite, sequence, asked_ms: Date.now() };
    try {
      const receipt = await producer.send({ topic, liteTopic: lite, body });
      say('sent', { ...sent, offset: Number(receipt.offset) });
    } catch (error) {
      say('sent', { ...sent, error: String(error.message).replace(/\s+/g, ' ') });
    }
    await pause(1000 / perSecond);
  }
  say('quiet');
}

async function main() {
  const consumer = await new LitePushConsumerBuilder()
    .setClientConfiguration(configuration)
    .setConsumerGroup(group)
    .bindTopic(topic)
    .setMessageListener(listener)
    .build();
  for (const lite of lites) await consumer.subscribeLite(lite);
  const producer = new Producer({ ...configuration, topics: [ topic ] });
  await producer.startup();
  say('ready');
  sendUntilQuiet(producer);
  for await (const line of readline.createInterface({ input: process.stdin })) isQuiet = isQuiet || line !== '';
  process.exit(0);
}

// The SDK leaves some rejections of its background work to whoever listens.
process.on('unhandledRejection', toStderr);
main();
