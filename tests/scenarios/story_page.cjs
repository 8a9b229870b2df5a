// One person's stock client for the story: subscribes and publishes as JSON lines on stdin say, reports on stdout.
// node story_page.cjs <node_modules> <faye|cometd> <url> <token>
const readline = require('readline');

const [modules, library, url, token] = process.argv.slice(2);
const report = (line) => console.log(JSON.stringify(line));

function faye() {
  const { Client } = require(`${modules}/faye`);
  const client = new Client(url);
  client.addExtension({
    outgoing(message, send) {
      if (message.channel === '/meta/handshake') message.ext = { auth: { token } };
      send(message);
    },
  });
  return {
    subscribe: (channel, done) =>
      client.subscribe(channel, (event) => report({ channel, event })).then(() => done(), (error) => done(error.message || 'refused')),
    publish: (channel, data, done) => client.publish(channel, data).then(() => done(), (error) => done(error.message)),
  };
}

async function cometd() {
  require(`${modules}/cometd-nodejs-client`).adapt();
  const { CometD } = await import(`${modules}/cometd/cometd.js`);
  const client = new CometD();
  client.configure({ url, logLevel: 'warn' });
  await new Promise((done) => client.handshake({ ext: { auth: { token } } }, done));
  const ended = (done) => (reply) => done(reply.successful ? undefined : reply.error);
  return {
    subscribe: (channel, done) => client.subscribe(channel, ({ data }) => report({ channel, event: data }), {}, ended(done)),
    publish: (channel, data, done) => client.publish(channel, data, {}, ended(done)),
  };
}

(async () => {
  const client = library === 'faye' ? faye() : await cometd();
  report({ ready: true });
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { id, command, words } = JSON.parse(line);
    client[command](...words, (error) => report({ id, error: error === undefined ? null : String(error) }));
  }
  process.exit(0);
})();
