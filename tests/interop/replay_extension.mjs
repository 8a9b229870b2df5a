// A client's half of replay in Salesforce's format, for CometD's public `registerExtension`: it remembers the last id
// of each channel, and asks for what comes after it whenever it subscribes.

export class ReplayExtension {
  #isOffered = false;
  #lastIds = {};
  #idOf;
  #report;

  /** `where`: the ids are read from "ext", or from the "payload" as Salesforce's own extension reads them. */
  constructor(where, lastIds, report) {
    this.#idOf = where === 'payload' ? (event) => event.data.event?.replayId : (event) => event.ext?.replay?.id;
    this.#lastIds = { ...lastIds };
    this.#report = report;
  }

  incoming(message) {
    if (message.channel === '/meta/handshake') {
      this.#isOffered = message.ext?.replay === true;
    } else if (message.channel === '/meta/subscribe') {
      for (const channel of message.ext?.replay?.gap ?? []) this.#report({ gap: ['reply', channel] });
    } else if (message.data !== undefined) {
      if (message.ext?.replay?.gap) this.#report({ gap: ['event', message.channel] });
      const id = this.#idOf(message);
      if (id !== undefined) this.#lastIds[message.channel] = id;
    }
    return message;
  }

  outgoing(message) {
    if (message.channel === '/meta/subscribe' && this.#isOffered) {
      const lastId = this.#lastIds[message.subscription] ?? -1;
      message.ext = { ...message.ext, replay: { [message.subscription]: lastId } };
    }
    return message;
  }
}
