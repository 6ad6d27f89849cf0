// The queries that are next: fetched before they are needed, their clips decoded and ready to paint.

const READY = 6;
const POLL = 1000;
const SLOW_POLL = 3000;

export class Deck {
  // fetchDeck() resolves to {pairs, status}; fetchSheet(file) to a bitmap; changed(status | null, error | null);
  // while resting() nothing is fetched, so that leases end and others get the pairs.
  constructor({ fetchDeck, fetchSheet, skip, resting, changed }) {
    Object.assign(this, { fetchDeck, fetchSheet, skip, resting, changed });
    this.listed = [];
    this.ready = [];
    this.gone = new Set();
    this.closed = false;
    this.loading = false;
    this.poll();
  }

  // The next query with its clips, or undefined; it will not come again unless it is put back.
  next() {
    const query = this.ready.shift();
    if (query) {
      this.gone.add(query.query);
      this.load();
      if (this.listed.length + this.ready.length < READY) this.refill();
    }
    return query;
  }

  // Tickets of everything in the page that nobody has answered.
  tickets() {
    return [...this.listed, ...this.ready].map((query) => query.ticket);
  }

  async poll() {
    if (this.closed) return;
    if (this.resting()) this.changed(null, null);
    else await this.refill();
    const hungry = this.listed.length + this.ready.length < READY;
    this.timer = setTimeout(() => this.poll(), hungry ? POLL : SLOW_POLL);
  }

  async refill() {
    if (this.refilling) return;
    this.refilling = true;
    try {
      const { pairs, status } = await this.fetchDeck();
      const known = new Set([...this.listed, ...this.ready].map((query) => query.query));
      const fresh = pairs.filter((pair) => !known.has(pair.query) && !this.gone.has(pair.query) && !this.skip(pair));
      this.listed.push(...fresh);
      this.changed(status, null);
      await this.load();
    } catch (error) {
      this.changed(null, error);
    } finally {
      this.refilling = false;
    }
  }

  // Decodes sheets, one query after the other, until enough are ready.
  async load() {
    if (this.loading) return;
    this.loading = true;
    try {
      while (this.listed.length && this.ready.length < READY && !this.closed) {
        const query = this.listed[0];
        try {
          query.decoded = await Promise.all(query.clips.map((note) => this.decode(note)));
          this.ready.push(query);
        } catch (error) {
          this.gone.add(query.query);
          this.changed(null, new Error(`a clip could not be shown (${error.message}); its pair goes back`), query);
        }
        this.listed.shift();
        this.changed(null, null);
      }
    } finally {
      this.loading = false;
    }
  }

  async decode(note) {
    const [people, network] = await Promise.all([
      this.fetchSheet(note.sheet.file),
      note.network ? this.fetchSheet(note.network.file) : null,
    ]);
    return { note, people, network };
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
  }
}

// Frees the memory of a query's sheets.
export function discard(query) {
  for (const clip of query.decoded ?? []) {
    clip.people.close();
    clip.network?.close();
  }
  query.decoded = undefined;
}
