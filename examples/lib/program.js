'use strict';
// Another program of the example, in a process of its own.

const { spawn } = require('node:child_process');

class Program {
  constructor(file, ...words) {
    this.command = [ file, ...words.map(String) ];
  }

  /** Starts it; done when it says that it is ready. */
  async start() {
    this.process = spawn(process.execPath, this.command, { stdio: [ 'ignore', 'pipe', 'inherit' ] });
    await new Promise((resolve, reject) => {
      this.process.stdout.once('data', resolve);
      this.process.once('exit', () => reject(new Error(`${this.command.join(' ')} ended before it was ready`)));
    });
    return this;
  }

  async kill() {
    const ended = new Promise(resolve => this.process.once('exit', resolve));
    this.process.kill('SIGKILL');
    await ended;
  }
}

module.exports = { Program };
