'use strict';
// Sends three messages to a lite topic and receives them, with the official SDK and nothing else.

const { ConsumeResult, LitePushConsumerBuilder, Producer } = require('rocketmq-client-nodejs');

const quiet = { debug() {}, info() {}, warn: console.error, error: console.error };
const configuration = { endpoints: process.env.LITEMQ_ENDPOINTS ?? '127.0.0.1:8081', namespace: '', logger: quiet };

async function main() {
  const producer = new Producer({ ...configuration, topics: [ 'chat' ] });
  await producer.startup();
  for (const word of [ 'one', 'two', 'three' ]) {
    const { messageId } = await producer.send({ topic: 'chat', liteTopic: 'session-1', body: Buffer.from(word) });
    console.log(`sent      ${word} as ${messageId}`);
  }

  let done;
  const finished = new Promise(resolve => { done = resolve; });
  const consumer = await new LitePushConsumerBuilder()
    .setClientConfiguration(configuration)
    .setConsumerGroup('bots')
    .bindTopic('chat')
    .setMessageListener({
      async consume(message) {
        console.log(`received  ${message.body} from ${message.liteTopic}, attempt ${message.deliveryAttempt}`);
        if (String(message.body) === 'three') done();
        return ConsumeResult.SUCCESS;
      },
    })
    .build();
  await consumer.subscribeLite('session-1');
  await finished;
  // The acks are sent, the long poll is answered within 20 s, and the clients say goodbye.
  await consumer.close();
  await producer.shutdown();
  process.exit(0);
}

main();
