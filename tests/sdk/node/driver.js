'use strict';
// The Node driver: hosts clients of the official SDK and does what the harness says.

const readline = require('node:readline');
const { ConsumeResult, ConsumeResultSuspend, LitePushConsumerBuilder, OffsetOption, Producer } = require('rocketmq-client-nodejs');

const toStderr = (...words) => console.error(...words);
const logger = { debug: toStderr, info: toStderr, warn: toStderr, error: toStderr };
const { LITEMQ_SDK_ACCESS_KEY: accessKey, LITEMQ_SDK_SECRET: accessSecret } = process.env;
const sessionCredentials = accessKey ? { accessKey, accessSecret } : undefined;
const configuration = { endpoints: process.argv[2], namespace: '', logger, sessionCredentials };
const consumers = new Map();
const SUSPEND_MS = 5000;
const starts = {
  last: () => OffsetOption.LAST_OFFSET,
  min: () => OffsetOption.MIN_OFFSET,
  max: () => OffsetOption.MAX_OFFSET,
  offset: number => OffsetOption.ofOffset(number),
  tail: number => OffsetOption.ofTailN(number),
  time: number => OffsetOption.ofTimestamp(number),
};
let producer;

function say(...words) {
  process.stdout.write('@' + words.join('\t') + '\n');
}

function listenerOf(consumer, listener) {
  const suspended = new Set();
  return {
    async consume(message) {
      // A listener that obeys does what the body of the message says.
      const behaviour = listener === 'obey' ? message.body.toString() : listener;
      say('message', consumer, message.liteTopic, message.body.toString(), message.deliveryAttempt, message.messageId);
      if (behaviour === 'hold') await new Promise(() => {});
      if (behaviour === 'fail') return ConsumeResult.FAILURE;
      if (behaviour === 'fail-first' && message.deliveryAttempt === 1) return ConsumeResult.FAILURE;
      if (behaviour === 'suspend' && !suspended.has(message.messageId)) {
        suspended.add(message.messageId);
        return ConsumeResultSuspend.of(SUSPEND_MS);
      }
      return ConsumeResult.SUCCESS;
    },
  };
}

const verbs = {
  async producer(topic) {
    producer = new Producer({ ...configuration, topics: [ topic ] });
    await producer.startup();
  },
  async send(topic, liteTopic, body, ...pairs) {
    const properties = new Map(pairs.map(pair => pair.split('=')));
    const receipt = await producer.send({ topic, liteTopic, body: Buffer.from(body), properties });
    return [ receipt.messageId ];
  },
  async push(consumer, topic, group, listener) {
    consumers.set(consumer, await new LitePushConsumerBuilder()
      .setClientConfiguration(configuration)
      .setConsumerGroup(group)
      .bindTopic(topic)
      .setMessageListener(listenerOf(consumer, listener))
      .build());
  },
  subscribe: (consumer, lite, start, number) =>
    consumers.get(consumer).subscribeLite(lite, start && starts[start](Number(number))),
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
