'use strict';
// The official SDK; what it logs (lost connections above all) is not part of the story.

const { LitePushConsumerBuilder, Producer } = require('rocketmq-client-nodejs');

const nothing = () => {};
const logger = { debug: nothing, info: nothing, warn: nothing, error: nothing };

const configurationOf = endpoints => ({ endpoints, namespace: '', logger });

async function startProducer(endpoints, topics) {
  const producer = new Producer({ ...configurationOf(endpoints), topics });
  await producer.startup();
  return producer;
}

function startConsumer(endpoints, { group, topic, consume }) {
  return new LitePushConsumerBuilder()
    .setClientConfiguration(configurationOf(endpoints))
    .setConsumerGroup(group)
    .bindTopic(topic)
    .setMessageListener({ consume })
    .build();
}

module.exports = { startProducer, startConsumer };
