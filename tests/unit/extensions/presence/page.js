// A page of the design: opens a task with a stock client, prints every event as a line of JSON, obeys lines of JSON.
// node page.js <modules> <faye|cometd> <url> <token>
const [modules, kind, url, token] = process.argv.slice(2);
const readline = require('readline');

const print = (line) => console.log(JSON.stringify(line));
const channel = '/task/task_1';

async function faye() {
  const { Client } = require(`${modules}/faye`);
  const client = new Client(url);
  client.addExtension({
    outgoing(message, send) {
      if (message.channel === '/meta/handshake') message.ext = { auth: { token } };
      send(message);
    },
  });
  await client.subscribe(channel, print);
  return (data) => client.publish('/service/presence', data);
}

async function cometd() {
  require(`${modules}/cometd-nodejs-client`).adapt();
  const { CometD } = await import(`${modules}/cometd/cometd.js`);
  const client = new CometD();
  client.configure({ url, logLevel: 'warn' });
  await new Promise((done) => client.handshake({ ext: { auth: { token } } }, done));
  await new Promise((done) => client.subscribe(channel, (message) => print(message.data), {}, done));
  return (data) => client.remoteCall('presence', data, 5000, (answer) => print({ answer: answer.data }));
}

(kind === 'faye' ? faye() : cometd()).then((send) => {
  print({ ready: true });
  readline.createInterface({ input: process.stdin }).on('line', (line) => send(JSON.parse(line)));
});
