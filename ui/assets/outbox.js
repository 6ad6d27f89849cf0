// Answers on their way: each is kept in the browser until the server says that it is on disk.
//
// One entry of localStorage per answer, so two tabs never overwrite each other's; whichever tab sends an entry
// sends the same words under the same revision, and the server takes them as one answer.

const PAUSES = [250, 500, 1000, 2000, 5000];
const BATCH = 50;

export class Outbox {
  // post(answers) resolves to receipts, one per answer, or throws; told(entry, receipt) and failed(error | null).
  constructor({ storage, prefix, post, told, failed }) {
    Object.assign(this, { storage, prefix, post, told, failed });
    this.attempt = 0;
    this.sending = false;
    this.timer = null;
  }

  add(entry) {
    const stamp = `${Date.now().toString(36).padStart(10, "0")}-${crypto.getRandomValues(new Uint32Array(2)).join("")}`;
    this.storage.setItem(`${this.prefix}${stamp}`, JSON.stringify(entry));
    this.flush();
  }

  // [key, entry] in the order in which they were given.
  waiting() {
    const keys = [];
    for (let i = 0; i < this.storage.length; i += 1) {
      const key = this.storage.key(i);
      if (key.startsWith(this.prefix)) keys.push(key);
    }
    return keys.sort().map((key) => [key, JSON.parse(this.storage.getItem(key))]);
  }

  get size() {
    return this.waiting().length;
  }

  async flush() {
    if (this.sending) return;
    clearTimeout(this.timer);
    this.sending = true;
    try {
      for (let batch = this.waiting().slice(0, BATCH); batch.length; batch = this.waiting().slice(0, BATCH)) {
        const receipts = await this.post(batch.map(([, entry]) => entry));
        batch.forEach(([key, entry], place) => {
          this.storage.removeItem(key);
          this.told(entry, receipts[place]);
        });
        this.attempt = 0;
        this.failed(null);
      }
    } catch (error) {
      this.failed(error);
      this.timer = setTimeout(() => this.flush(), PAUSES[Math.min(this.attempt, PAUSES.length - 1)]);
      this.attempt += 1;
    } finally {
      this.sending = false;
    }
  }

  close() {
    clearTimeout(this.timer);
  }
}
