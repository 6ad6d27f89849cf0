// Pairs to learn on before the first answer: each is judged, none of them counts, all can be skipped.

import { said } from "./kinds.js";

const OVER = "prefrl:practised:";

export class Practice {
  // decode(note) resolves to a clip that can be painted.
  constructor(root, { run, labeller }, decode) {
    this.box = root.querySelector(".practice");
    this.stamp = `${OVER}${run}:${labeller}`;
    this.decode = decode;
    this.offered = new Set();
    this.ready = [];
    this.begun = 0;
  }

  // Takes in what the server offers; resolves when it can be shown, so that it comes before what counts.
  async offer(pairs) {
    if (localStorage.getItem(this.stamp)) return;
    for (const pair of pairs) {
      if (this.offered.has(pair.query)) continue;
      this.offered.add(pair.query);
      try {
        pair.decoded = await Promise.all(pair.clips.map((note) => this.decode(note)));
        this.ready.push(Object.assign(pair, { practice: true }));
      } catch {
        // a clip that cannot be shown is one to practise on less
      }
    }
  }

  next() {
    const query = this.ready.shift();
    if (query) this.begun += 1;
    return query;
  }

  // What was expected of the pair, as it comes back from the server with the receipt.
  judge(query, expected) {
    query.verdict = verdict(query.value, expected);
  }

  // Returns what is to be discarded.
  end() {
    localStorage.setItem(this.stamp, "1");
    return this.ready.splice(0);
  }

  render(query, keys) {
    this.box.hidden = !query?.practice;
    if (this.box.hidden) return;
    const answered = query.value !== undefined;
    const place = `Practice ${this.begun} of ${this.begun + this.ready.length}, which does not count.`;
    const words = answered ? (query.verdict ?? "Sending your answer …") : "Which clip is better?";
    this.box.querySelector("[data-place=practice]").textContent = `${place} ${words}`;
    const onward = this.box.querySelector("[data-action=onward]");
    onward.hidden = !answered;
    onward.textContent = keys.on ? `Next (${keys.label("keep")})` : "Next";
    this.box.querySelector("[data-action=skip-practice]").hidden = answered && !this.ready.length;
  }
}

// "Slightly" is as good as "clearly": the side is what matters.
function verdict(value, expected) {
  if (expected === null) return "Thank you.";
  if (value !== null && Math.sign(value - 0.5) === Math.sign(expected - 0.5)) return `As expected: ${said("pair", expected)}.`;
  return `Expected: ${said("pair", expected)}. You said: ${said("pair", value)}.`;
}
