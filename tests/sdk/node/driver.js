'use strict';
// The Node driver: hosts clients of the official SDK and does what the harness says.

const readline = require('node:readline');
const { ConsumeResult, LitePushConsumerBuilder, Producer } = require('rocketmq-client-nodejs');

const toStderr = (...words) => console.error(...words);
const logger = { debug: toStderr, info: toStderr, warn: toStderr, error: toStderr };
const { LITEMQ_SDK_ACCESS_KEY: accessKey, LITEMQ_SDK_SECRET: accessSecret } = process.env;
const sessionCredentials = accessKey ? { accessKey, accessSecret } : undefined;
const configuration = { endpoints: process.argv[2], namespace: '', logger, sessionCredentials };
const consumers = new Map();
let producer;

function say(...words) {
  process.stdout.write('@' + words.join('\t') + '\n');
}

function listenerOf(consumer, behaviour) {
  return {
    async consume(message) {
      say('message', consumer, message.liteTopic, message.body.toString(), message.deliveryAttempt, message.messageId);
      if (behaviour === 'hold') await new Promise(() => {});
      if (behaviour === 'fail' && message.deliveryAttempt === 1) return ConsumeResult.FAILURE;
      return ConsumeResult.SUCCESS;
    },
  };
}

const verbs = {
  async producer(topic) {
    producer = new Producer({ ...configuration, topics: [ topic ] });
    await producer.startup();
  },
  async send(topic, liteTopic, body) {
    const receipt = await producer.send({ topic, liteTopic, body: Buffer.from(body) });
    return [ receipt.messageId ];
  },
  async push(consumer, topic, group, behaviour) {
    consumers.set(consumer, await new LitePushConsumerBuilder()
      .setClientConfiguration(configuration)
      .setConsumerGroup(group)
      .bindTopic(topic)
      .setMessageListener(listenerOf(consumer, behaviour))
      .build());
  },
  subscribe: (consumer, lite) => consumers.get(consumer).subscribeLite(lite),
  unsubscribe: (consumer, lite) => consumers.get(consumer).unsubscribeLite(lite),
  subscriptions: async consumer => [ ...consumers.get(consumer).getLiteTopicSet() ],
  async close(consumer) {
    await consumers.get(consumer).close();
    consumers.delete(consumer);
  },
};

async function main() {
  say('ok', 'ready');
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [ sequence, verb, ...words ] = line.split('\t');
    try {
      const values = await verbs[verb](...words) ?? [];
      say('ok', sequence, ...values);
    } catch (error) {
      say('error', sequence, error.constructor.name, String(error.message).replace(/\s+/g, ' '));
    }
  }
  process.exit(0);
}

main();
