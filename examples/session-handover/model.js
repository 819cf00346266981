'use strict';
// What answers the user: it writes the tokens of a session to the session's lite topic and knows no gateway.

const { setTimeout: sleep } = require('node:timers/promises');
const { startProducer } = require('../lib/sdk');

class Model {
  static async start(endpoints) {
    const model = new Model();
    model.producer = await startProducer(endpoints, [ 'sessions' ]);
    return model;
  }

  /** Writes so many tokens, one every `pauseMs`, each after the one before is stored. */
  async answer(session, tokens, pauseMs) {
    for (let number = 0; number < tokens; number++) {
      const token = { number, text: `word-${number}`, isLast: number === tokens - 1 };
      await this.producer.send({ topic: 'sessions', liteTopic: session, body: Buffer.from(JSON.stringify(token)) });
      await sleep(pauseMs);
    }
  }
}

module.exports = { Model };
