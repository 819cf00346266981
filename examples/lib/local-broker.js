'use strict';
// A broker of the example's own: free ports, a folder that goes with it, and the command line to administer it.

const { execFile, spawn } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { promisify } = require('node:util');

const READY_WITHIN_MS = 30_000;

class LocalBroker {
  static async start() {
    const broker = new LocalBroker();
    broker.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'litemq-example-'));
    const [ grpc, http ] = [ await freePort(), await freePort() ];
    broker.endpoints = `127.0.0.1:${grpc}`;
    broker.admin = `http://127.0.0.1:${http}`;
    const log = fs.openSync(path.join(broker.folder, 'broker.log'), 'a');
    broker.process = spawn(process.env.LITEMQ_BIN, [
      'serve', '--data', path.join(broker.folder, 'data'), '--listen', broker.endpoints, '--http', `127.0.0.1:${http}`,
    ], { stdio: [ 'ignore', log, log ] });
    await broker.ready();
    return broker;
  }

  async ready() {
    const deadline = Date.now() + READY_WITHIN_MS;
    for (;;) {
      const answer = await fetch(`${this.admin}/readyz`).catch(() => undefined);
      if (answer?.ok) return;
      if (this.process.exitCode !== null || Date.now() > deadline) {
        throw new Error(`the broker did not start; see ${this.folder}/broker.log`);
      }
      await new Promise(resolve => setTimeout(resolve, 50));
    }
  }

  /** Runs the command line: `await broker.litemq('topic', 'create', 'chat', '--type', 'lite')`. */
  async litemq(...words) {
    const { stdout } = await promisify(execFile)(process.env.LITEMQ_BIN, [ '--server', this.admin, ...words ]);
    return stdout;
  }

  async stop() {
    if (this.process.exitCode === null) {
      const ended = new Promise(resolve => this.process.once('exit', resolve));
      this.process.kill('SIGKILL');
      await ended;
    }
    fs.rmSync(this.folder, { recursive: true });
  }
}

/** A port that is free now. */
function freePort() {
  return new Promise((resolve, reject) => {
    const server = net.createServer().once('error', reject).listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

module.exports = { LocalBroker, freePort };
