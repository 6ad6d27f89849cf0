// The last answers of this labeller, newest first, each with its clips, so that it can be seen again and changed.

import { discard } from "./deck.js";

const REMEMBERED = 10;

export class Past {
  // client: asks the server for answers; decode(note) resolves to a clip that can be painted.
  constructor(client, decode) {
    this.client = client;
    this.decode = decode;
    this.queries = [];
    this.place = 0; // how many answers back we are looking; 0 is the query that is open
  }

  get length() {
    return this.queries.length;
  }

  add(query) {
    this.queries.unshift(query);
    for (const forgotten of this.queries.splice(REMEMBERED)) discard(forgotten);
  }

  at(place) {
    return this.queries[place - 1];
  }

  // Removes what we are looking at, and looks no longer back.
  take() {
    const [query] = this.queries.splice(this.place - 1, 1);
    this.place = 0;
    return query;
  }

  // The newest answers of earlier visits; told(query) of each as it can be shown.
  async remember(known, told) {
    for (const query of (await this.client.mine()).pairs) {
      if (!query.ready || known.has(query.query) || this.length >= REMEMBERED) continue;
      await this.show(query);
      this.queries.push(query);
      told(query);
    }
  }

  // The place of an answer of any time among the last ones, where it is put if it is not there.
  async find(query) {
    const known = this.queries.findIndex((one) => one.query === query.query);
    if (known >= 0) return known + 1;
    await this.show(query);
    this.add(query);
    return 1;
  }

  async show(query) {
    query.decoded = await Promise.all(query.clips.map((note) => this.decode(note)));
  }
}
