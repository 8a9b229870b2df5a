// Drives a stock client, in Node and in a page alike: commands in, reports out.
import { ReplayExtension } from './replay_extension.mjs';

/** All transports the stock faye client may choose before the wanted one; disabled so that it takes that one. */
const FAYE_BEFORE = {
  'websocket': [],
  'eventsource': ['websocket'],
  'long-polling': ['websocket', 'eventsource'],
  'cross-origin-long-polling': ['websocket', 'eventsource'],
  'callback-polling': ['websocket', 'eventsource', 'cross-origin-long-polling'],
};

/** Options: `token` says who it is. */
export function driveFaye(Faye, transport, url, report, { token }) {
  // Its own retry is 5 s; a test need not wait that long.
  const client = new Faye.Client(url, { retry: 0.2, timeout: 20 });
  for (const name of FAYE_BEFORE[transport]) client.disable(name);
  if (token) {
    client.addExtension({
      outgoing(message, send) {
        if (message.channel === '/meta/handshake') message.ext = { ...message.ext, auth: { token } };
        send(message);
      },
    });
  }
  client.on('transport:up', () => report({ up: true }));
  client.on('transport:down', () => report({ down: true }));
  return {
    connect: () => client.connect(() => report({ connected: true })),
    subscribe: (channel) => {
      const subscription = client.subscribe(channel).withChannel((name, data) => report({ event: { channel: name, data } }));
      subscription.then(() => report({ subscribed: channel }), (error) => report({ failed: channel, error: String(error.message) }));
    },
    publish: (channel, data) =>
      client.publish(channel, data).then(() => report({ published: channel }), (error) => report({ failed: channel, error: String(error.message) })),
    transport: () => report({ transport: client._dispatcher._transport.connectionType }),
    disconnect: () => client.disconnect().then(() => report({ disconnected: true })),
  };
}

/** Options: `ack` and `replay` ask for acknowledged and replayed delivery, `token` says who it is. */
export function driveCometd(library, transport, url, report, { ack, replay, lastIds, token, reload, channels = [] }) {
  const client = new library.CometD();
  for (const name of ['websocket', 'long-polling', 'callback-polling']) {
    if (name !== transport) client.unregisterTransport(name);
  }
  if (ack) client.registerExtension('ack', new library.AckExtension());
  if (replay) client.registerExtension('replay', new ReplayExtension(replay, lastIds, report));
  if (reload) client.registerExtension('reload', new library.ReloadExtension());
  client.configure({ url, backoffIncrement: 100, maxBackoff: 200, logLevel: 'warn', maxNetworkDelay: 20000 });
  const wanted = new Set(channels);
  const subscribe = (channel) => {
    client.subscribe(channel, (message) => report({ event: { channel: message.channel, data: message.data } }), (reply) =>
      report(reply.successful ? { subscribed: channel } : { failed: channel, error: reply.error }));
  };
  // As its documentation asks: subscriptions belong to a session, and a new one needs them again.
  client.addListener('/meta/handshake', (reply) => {
    if (!reply.successful) return;
    client.batch(() => wanted.forEach(subscribe));
  });
  let up = false;
  client.addListener('/meta/connect', (reply) => {
    if (reply.successful !== up) report(reply.successful ? { up: true } : { down: true });
    if (reply.successful && !up) report({ connected: true });
    up = reply.successful;
  });
  return {
    connect: () => client.handshake(token ? { ext: { auth: { token } } } : {}),
    subscribe: (channel) => { wanted.add(channel); subscribe(channel); },
    publish: (channel, data) =>
      client.publish(channel, data, (reply) => report(reply.successful ? { published: channel } : { failed: channel, error: reply.error })),
    transport: () => report({ transport: client.getTransport().type }),
    leave: () => { client.reload(); report({ left: true }); },
    disconnect: () => client.disconnect(() => report({ disconnected: true })),
  };
}
