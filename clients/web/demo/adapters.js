// The two stock libraries behind one face, so that the page need not know which it uses.
// Each adapter: connect(), disconnect(), subscribe(pattern, onEvent) -> unsubscribe(), publish(channel, data).

// They come from npm, and a server that was set up without it has neither.
const cometd = await import("cometd").catch(() => null);

export const TRANSPORTS = {
  ...(cometd && { cometd: ["websocket", "long-polling", "callback-polling"] }),
  // In the order Faye prefers them. It has a fifth, cross-origin-long-polling, which only pages on other origins use.
  ...(window.Faye && { faye: ["websocket", "eventsource", "long-polling", "callback-polling"] }),
};

export function adapterFor(library, options) {
  return library === "faye" ? new FayeAdapter(options) : new CometdAdapter(options);
}

class CometdAdapter {
  constructor({ url, transport, token, onState, onWire }) {
    this.cometd = new cometd.CometD();
    for (const type of this.cometd.getTransportTypes()) {
      if (type !== transport) this.cometd.unregisterTransport(type);
    }
    this.cometd.configure({ url, logLevel: "warn" });
    this.cometd.registerExtension("wire", {
      outgoing: (message) => void onWire("sent", message),
      incoming: (message) => void onWire("received", message),
    });
    this.cometd.addListener("/meta/connect", (reply) => {
      if (this.cometd.isDisconnected()) return;
      onState(reply.successful ? "connected" : "broken");
    });
    this.token = token;
    this.onState = onState;
  }

  connect() {
    const props = this.token ? { ext: { auth: { token: this.token } } } : {};
    this.cometd.handshake(props, (reply) => {
      if (!reply.successful) this.onState("broken", reply.error ?? "the handshake failed");
    });
  }

  disconnect() {
    this.cometd.disconnect();
    this.onState("disconnected");
  }

  subscribe(pattern, onEvent, onRefused) {
    const subscription = this.cometd.subscribe(pattern, onEvent, (reply) => {
      if (!reply.successful) onRefused(reply.error);
    });
    return () => this.cometd.unsubscribe(subscription);
  }

  publish(channel, data, onRefused) {
    this.cometd.publish(channel, data, (reply) => {
      if (!reply.successful) onRefused(reply.error ?? "the server did not get it");
    });
  }
}

class FayeAdapter {
  constructor({ url, transport, token, onState, onWire }) {
    this.client = new window.Faye.Client(url);
    // Faye shakes hands by polling whatever comes after; so only what it would prefer to the choice is disabled.
    for (const type of TRANSPORTS.faye.slice(0, TRANSPORTS.faye.indexOf(transport))) this.client.disable(type);
    this.client.addExtension({
      outgoing: (message, callback) => {
        if (token && message.channel === "/meta/handshake") message.ext = { auth: { token } };
        onWire("sent", message);
        callback(message);
      },
      incoming: (message, callback) => {
        onWire("received", message);
        if (message.channel === "/meta/handshake" && !message.successful) onState("broken", message.error);
        callback(message);
      },
    });
    this.client.on("transport:up", () => onState("connected"));
    this.client.on("transport:down", () => onState("broken"));
    this.onState = onState;
  }

  connect() {
    this.client.connect();
  }

  disconnect() {
    this.client.disconnect();
    this.onState("disconnected");
  }

  subscribe(pattern, onEvent, onRefused) {
    const subscription = this.client.subscribe(pattern).withChannel((channel, data) => onEvent({ channel, data }));
    subscription.then(null, (error) => onRefused(error.message));
    return () => subscription.cancel();
  }

  publish(channel, data, onRefused) {
    this.client.publish(channel, data).then(null, (error) => onRefused(error.message));
  }
}
