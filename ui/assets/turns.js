// Whose turn it is: the query that is open, the answers before it, and how one follows the other.

import { discard } from "./deck.js";

export class Turns {
  // settings() gives the page's; deck, form, player, outbox, past and practice are the page's parts; say(words)
  // tells the labeller something; changed() is called when another query is shown.
  constructor(parts) {
    Object.assign(this, parts);
    this.current = null;
    this.open = null; // what waits while the labeller looks back
    this.answered = new Set();
    this.times = [];
    this.shownAt = 0;
    this.lockedUntil = 0;
  }

  get locked() {
    return performance.now() < this.lockedUntil;
  }

  // Tickets of everything that the labeller leaves unanswered.
  tickets() {
    return [...this.deck.tickets(), ...(this.current && !this.past.place ? [this.current.ticket] : [])];
  }

  answer(value, event) {
    if (!this.current || this.locked) return;
    const query = this.current;
    if (query.practice && query.value !== undefined) return; // it waits to be left
    this.send(query, { value, seconds: (performance.now() - this.shownAt) / 1000 });
    query.value = value;
    if (query.practice) return;
    if (this.past.place) {
      this.look(0);
      return;
    }
    this.past.add(query);
    this.times.push(Date.now());
    this.current = null;
    this.next(event?.timeStamp ?? performance.now());
  }

  send(query, words) {
    this.answered.add(query.query);
    const { ticket, revision } = query;
    this.outbox.add({ ticket, query: query.query, revision, instructions: this.settings().version, ...words });
    query.revision += 1;
  }

  // Enter: leaves a practice pair that has been answered, or the answer that is looked at.
  keep() {
    if (this.current?.practice) this.onward();
    else this.look(0);
  }

  onward() {
    if (!this.current?.practice || this.current.value === undefined) return;
    if (!this.practice.ready.length) this.endPractice();
    else this.leave(this.current);
  }

  endPractice() {
    for (const query of this.practice.end()) discard(query);
    if (!this.current?.practice) return;
    this.say("From here on your answers count.");
    this.leave(this.current);
  }

  leave(query) {
    discard(query);
    this.current = null;
    this.next(performance.now());
  }

  // Takes the answer back that is looked at.
  withdraw() {
    if (!this.past.place || !this.current) return;
    const query = this.past.take();
    this.send(query, { withdrawn: true });
    this.answered.delete(query.query); // it may come again
    this.deck.gone.delete(query.query);
    this.leave(query);
  }

  // Shows the answer so many places back; 0 is the query that is open.
  look(place) {
    if (place > this.past.length) return;
    if (!this.past.place && this.current) this.open = this.current;
    this.past.place = place;
    this.lockedUntil = 0; // whoever looks back has not pressed too early
    this.current = place ? this.past.at(place) : this.open;
    if (!place) this.open = null;
    if (this.current) this.show(this.current);
    else this.next(performance.now());
  }

  // The query that waits, or the next one; `since` is when it was asked for.
  next(since) {
    if (this.current || this.past.place) return;
    this.current = this.open ?? this.practice.next() ?? this.deck.next() ?? null;
    this.open = null;
    if (!this.current) {
      this.player.clear();
      return;
    }
    this.show(this.current, since);
    const { lockout } = this.settings();
    if (lockout) this.lockedUntil = performance.now() + lockout;
  }

  show(query, since) {
    this.form.show(query);
    this.player.show(query.decoded, query);
    this.shownAt = performance.now();
    // The second frame from now begins when the first has been painted. Without a press there is no latency.
    const announce = (painted) =>
      notice("prefrl:shown", {
        query: query.query,
        pictures: query.clips?.map((note) => note.sheet.file) ?? [], // from left to right; texts have none
        latency: since === undefined ? null : painted - since,
      });
    requestAnimationFrame(() => requestAnimationFrame(announce));
    this.changed();
  }
}

// Told to whoever measures or tests the page.
export function notice(name, detail) {
  window.dispatchEvent(new CustomEvent(name, { detail }));
}
