'use strict';
// A supervisor, two processes of each kind of sub-agent, and users who ask. Each user must see all that the agents of a
// task write, each agent's words in their order, and nothing of another task.
//
//   run.js [TASKS]

const path = require('node:path');
const events = require('../lib/events');
const { LocalBroker, freePort } = require('../lib/local-broker');
const { Program } = require('../lib/program');

const TASKS = Number(process.argv[2] ?? 50);
const AGENTS = [ 'researcher', 'researcher', 'writer', 'writer', 'critic', 'critic' ];
/** How many pieces each kind writes, the last word included. */
const PIECES = { researcher: 4, writer: 3, critic: 4 };

const here = name => path.join(__dirname, name);

async function ask(supervisor, question) {
  const answer = await fetch(`${supervisor}/tasks`, { method: 'POST', body: JSON.stringify({ question }) });
  const { task } = await answer.json();
  const pieces = [];
  for await (const { data } of events.read(`${supervisor}/tasks/${task}/events`)) pieces.push(data);
  return { question, pieces };
}

/** What is wrong with the answer to a question. */
function fault({ question, pieces }) {
  for (const [ kind, count ] of Object.entries(PIECES)) {
    const own = pieces.filter(piece => piece.kind === kind);
    if (own.length !== count) return `${question}: ${own.length} pieces of the ${kind}, not ${count}`;
    if (!own[0].text.includes(question)) return `${question}: the ${kind} answers "${own[0].text}"`;
    if (!own.at(-1).isDone) return `${question}: the ${kind} went on after its last word`;
  }
}

async function main() {
  const broker = await LocalBroker.start();
  await broker.litemq('topic', 'create', 'requests', '--type', 'lite');
  await broker.litemq('topic', 'create', 'results', '--type', 'lite', '--ttl', '30m');
  // Requests of one kind are worked on side by side; the pieces of a task come one after another.
  await broker.litemq('group', 'create', 'agents', '--bind', 'requests', '--ordered', 'false');
  await broker.litemq('group', 'create', 'supervisors', '--bind', 'results');
  const port = await freePort();
  const programs = [
    new Program(here('supervisor.js'), broker.endpoints, port),
    ...AGENTS.map(kind => new Program(here('agent.js'), broker.endpoints, kind)),
  ];
  await Promise.all(programs.map(program => program.start()));

  const questions = Array.from({ length: TASKS }, (_, number) => `question ${number}?`);
  const answers = await Promise.all(questions.map(question => ask(`http://127.0.0.1:${port}`, question)));
  for (const { kind, text } of answers[0].pieces) if (text) console.log(`${kind.padEnd(10)} ${text}`);

  const faults = answers.map(fault).filter(Boolean);
  faults.forEach(fault => console.log(fault));
  const pieces = answers.reduce((sum, { pieces }) => sum + pieces.length, 0);
  console.log(`${TASKS} tasks, ${AGENTS.length} agents, ${pieces} pieces: ${faults.length} tasks with something lost, out of order or of another task`);
  for (const program of programs) await program.kill();
  await broker.stop();
  process.exit(faults.length ? 1 : 0);
}

main();
