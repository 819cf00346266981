'use strict';
// Server-sent events: writing them, and reading them as a browser does.

/** Begins a response that events are written to. */
function begin(response) {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  response.flushHeaders();
}

function write(response, { id, event, data }) {
  response.write(`${event ? `event: ${event}\n` : ''}id: ${id}\ndata: ${JSON.stringify(data)}\n\n`);
}

/**
 * Reads events from a URL until the server ends the response or the signal is raised; `lastEventId` is what a browser
 * sends when it connects again.
 */
async function* read(url, { lastEventId, signal } = {}) {
  const headers = lastEventId === undefined ? {} : { 'last-event-id': String(lastEventId) };
  const response = await fetch(url, { headers, signal });
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  let text = '';
  for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
    text += piece;
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      yield parse(text.slice(0, end));
      text = text.slice(end + 2);
    }
  }
}

function parse(block) {
  const fields = Object.fromEntries(block.split('\n').map(line => {
    const colon = line.indexOf(': ');
    return [ line.slice(0, colon), line.slice(colon + 2) ];
  }));
  return { id: fields.id, event: fields.event, data: JSON.parse(fields.data) };
}

module.exports = { begin, write, read };
