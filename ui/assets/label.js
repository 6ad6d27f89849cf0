// The labelling page: two clips, one key press, the next two clips.

import { Deck, discard } from "./deck.js";
import { Keys } from "./keys.js";
import { Outbox } from "./outbox.js";
import { Player } from "./player.js";
import { Client } from "./client.js";
import { Dialogs } from "./dialogs.js";

const VALUES = { left: 1, "slightly-left": 0.75, equal: 0.5, "slightly-right": 0.25, right: 0, skip: null };
const SAID = {
  1: "left is better",
  0.75: "left is slightly better",
  0.5: "both are equal",
  0.25: "right is slightly better",
  0: "right is better",
  null: "cannot tell",
};
const REMEMBERED = 10;

const mounted = new WeakMap();

// Mounts the page below `root`, or gives the page that is there new settings: {run, labeller, lockout (ms), game,
// instructions}. Returns how to leave.
export function mount(root, settings) {
  const page = mounted.get(root);
  if (page && !page.closed && page.settings.run === settings.run && page.settings.labeller === settings.labeller) {
    page.settings = settings;
  } else {
    page?.close();
    mounted.set(root, new LabelPage(root, settings));
  }
  return () => mounted.get(root).close();
}

class LabelPage {
  constructor(root, settings) {
    this.root = root;
    this.settings = settings;
    this.current = null;
    this.past = [];
    this.place = 0; // how many answers back we are looking
    this.answered = new Set();
    this.saved = 0;
    this.late = 0;
    this.times = [];
    this.shownAt = 0;
    this.lockedUntil = 0;
    this.client = new Client(settings.run, settings.labeller);
    this.keys = new Keys(localStorage);
    this.player = new Player([...root.querySelectorAll(".clip canvas")], (frame, frames) => this.showFrame(frame, frames));
    this.outbox = new Outbox({
      storage: localStorage,
      prefix: `prefrl:answer:${settings.run}:${settings.labeller}:`,
      post: (answers) => this.client.post(answers),
      told: (entry, receipt) => this.told(entry, receipt),
      failed: (error) => this.say("connection", error ? `Not saved yet, trying again: ${error.message}` : ""),
    });
    for (const [, entry] of this.outbox.waiting()) this.answered.add(entry.query);
    this.deck = new Deck({
      fetchDeck: () => this.client.deck(),
      fetchSheet: (file) => this.client.sheet(file),
      skip: (pair) => this.answered.has(pair.query),
      changed: (status, error, broken) => this.deckChanged(status, error, broken),
    });
    this.dialogs = new Dialogs(root, this.keys, settings);
    this.listen();
    this.outbox.flush();
    this.calm();
    this.dialogs.welcome();
    this.render();
  }

  listen() {
    this.onKey = (event) => this.pressed(event);
    this.onLeave = () => this.client.giveBack([...this.deck.tickets(), ...(this.current && !this.place ? [this.current.ticket] : [])]);
    window.addEventListener("keydown", this.onKey);
    window.addEventListener("pagehide", this.onLeave);
    window.addEventListener("online", () => this.outbox.flush());
    this.onClick = (event) => {
      const button = event.composedPath().find((node) => node.dataset?.action);
      if (button) this.act(button.dataset.action, event);
    };
    this.root.addEventListener("click", this.onClick);
  }

  // Where the system asks for less motion, clips stand still until somebody plays them.
  calm() {
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
      this.player.pause(true);
      this.say("notice", "Clips stand still because your system asks for less motion: press Space to play.");
    }
  }

  pressed(event) {
    if (this.dialogs.open) return;
    const action = this.keys.action(event);
    if (!action) return;
    event.preventDefault();
    this.act(action, event);
  }

  act(action, event) {
    if (action in VALUES) this.answer(VALUES[action], event);
    else if (action === "back") this.look(this.place + 1);
    else if (action === "keep") this.look(0);
    else if (action === "withdraw") this.withdraw();
    else if (action === "pause") this.player.pause();
    else if (action === "earlier") this.player.step(-1);
    else if (action === "later") this.player.step(1);
    else if (action === "slow") this.player.speed = this.player.speed === 1 ? 0.25 : 1;
    else if (action === "network") this.toggleNetwork();
    else if (action === "flag") this.flag();
    else if (action === "help") this.dialogs.help();
    else if (action === "keys") this.dialogs.editKeys();
    this.render();
  }

  answer(value, event) {
    const now = performance.now();
    if (!this.current || now < this.lockedUntil) return;
    const query = this.current;
    const seconds = (now - this.shownAt) / 1000;
    this.send(query, { value, seconds });
    if (this.place) {
      query.value = value;
      this.look(0);
      return;
    }
    query.value = value;
    this.past.unshift(query);
    for (const forgotten of this.past.splice(REMEMBERED)) discard(forgotten);
    this.times.push(Date.now());
    this.current = null;
    this.nextQuery(event?.timeStamp ?? now);
  }

  send(query, words) {
    this.answered.add(query.query);
    this.outbox.add({ ticket: query.ticket, query: query.query, revision: query.revision, ...words });
    query.revision += 1;
  }

  withdraw() {
    if (!this.place || !this.current) return;
    const [query] = this.past.splice(this.place - 1, 1);
    this.send(query, { withdrawn: true });
    this.answered.delete(query.query); // it may come again
    this.deck.gone.delete(query.query);
    discard(query);
    this.place = 0;
    this.nextQuery(performance.now());
  }

  // Shows the answer so many places back; 0 is the query that is open.
  look(place) {
    if (place > this.past.length) return;
    if (!this.place && this.current) this.open = this.current;
    this.place = place;
    this.lockedUntil = 0; // whoever looks back has not pressed too early
    this.current = place ? this.past[place - 1] : this.open;
    if (!place) this.open = null;
    if (this.current) this.show(this.current);
    else this.nextQuery(performance.now());
  }

  nextQuery(since) {
    if (this.current || this.place) return;
    this.current = this.open ?? this.deck.next() ?? null;
    this.open = null;
    if (!this.current) {
      this.player.clear();
      return;
    }
    this.show(this.current, since);
    if (this.settings.lockout) this.lockedUntil = performance.now() + this.settings.lockout;
  }

  show(query, since) {
    this.player.show(query.decoded);
    this.shownAt = performance.now();
    if (since !== undefined) {
      const announce = (painted) =>
        notice("prefrl:shown", { query: query.query, latency: painted - since });
      requestAnimationFrame(() => requestAnimationFrame(announce));
    }
    this.render();
  }

  async flag() {
    if (!this.current || this.place) return;
    const note = await this.dialogs.ask("What is wrong with these clips?");
    if (note === null || !this.current) return;
    const query = this.current;
    try {
      await this.client.flag(query.ticket, note || "broken");
      this.say("notice", "Reported; the pair went back.");
    } catch (error) {
      this.say("notice", `Could not be reported: ${error.message}`);
    }
    discard(query);
    this.current = null;
    this.nextQuery(performance.now());
    this.render();
  }

  toggleNetwork() {
    const pictures = this.current?.decoded.some((clip) => clip.network);
    if (!pictures) this.say("notice", "Here the reward network sees numbers (positions, speeds, actions), not pictures.");
    this.player.asNetwork = Boolean(pictures) && !this.player.asNetwork;
    this.player.draw(true);
  }

  told(entry, receipt) {
    if (receipt.status === "kept" && !receipt.known) this.saved += 1;
    if (receipt.status === "late") this.late += 1;
    if (receipt.status === "refused") this.say("notice", `Not stored: ${receipt.reason}`);
    notice("prefrl:receipt", { entry, receipt });
    this.render();
  }

  deckChanged(status, error, broken) {
    if (broken) this.client.flag(broken.ticket, `broken: ${error.message}`).catch(() => {});
    if (status) {
      this.status = status;
      this.say("connection", "");
    } else if (error) this.say("connection", broken ? error.message : `No connection: ${error.message}`);
    if (!this.current && !this.place) this.nextQuery();
    this.render();
  }

  say(place, words) {
    this.root.querySelector(`[data-place=${place}]`).textContent = words;
  }

  showFrame(frame, frames) {
    this.root.querySelector("[data-place=frame]").textContent = `${frame + 1}/${frames}`;
  }

  render() {
    const view = { ...this, waiting: this.outbox.size };
    this.root.querySelector(".label-page").classList.toggle("empty", !this.current);
    this.root.querySelector(".label-page").classList.toggle("looking-back", this.place > 0);
    this.say("state", this.sentence());
    this.say("mine", mineSentence(view));
    this.say("past", this.place ? `You said: ${SAID[this.current.value]}. Answer again to change it.` : "");
    this.renderProgress();
    this.renderButtons();
  }

  renderProgress() {
    const { labels = 0, budget = 1 } = this.status ?? {};
    const bar = this.root.querySelector("progress");
    bar.max = Math.max(1, budget);
    bar.value = labels;
    this.say("progress", this.status ? `${labels} of ${budget} labels` : "");
    this.say("rate", rate(this.times));
  }

  renderButtons() {
    for (const button of this.root.querySelectorAll("button[data-action]")) {
      const hint = button.querySelector("kbd");
      if (hint) hint.textContent = this.keys.on ? this.keys.label(button.dataset.action) : "";
      if (button.dataset.action in VALUES) {
        button.disabled = !this.current;
        button.setAttribute("aria-pressed", String(this.place > 0 && this.current?.value === VALUES[button.dataset.action]));
      }
    }
    this.root.querySelector("[data-action=pause] span").textContent = this.player.paused ? "Play" : "Pause";
    this.root.querySelector("[data-action=slow]").setAttribute("aria-pressed", String(this.player.speed < 1));
    this.root.querySelector("[data-action=network]").setAttribute("aria-pressed", String(this.player.asNetwork));
    this.root.querySelector("[data-action=back]").disabled = this.place >= this.past.length;
    for (const name of ["withdraw", "keep"]) this.root.querySelector(`[data-action=${name}]`).hidden = !this.place;
  }

  sentence() {
    const status = this.status;
    if (!status) return "Looking for the run …";
    if (this.current) return status.sentence;
    if (status.labels >= status.budget) return `All ${status.budget} labels are given. Thank you! ${status.sentence}`;
    if (status.undrawn > 0) return `Drawing ${status.undrawn} pairs for you … ${status.sentence}`;
    if (status.state === "finished") return status.sentence;
    return `No pair is open for you now: the agent makes new ones while it trains, or others have them. ${status.sentence}`;
  }

  close() {
    if (this.closed) return;
    this.closed = true;
    window.removeEventListener("keydown", this.onKey);
    window.removeEventListener("pagehide", this.onLeave);
    this.root.removeEventListener("click", this.onClick);
    this.onLeave();
    this.player.close();
    this.deck.close();
    this.outbox.close();
  }
}

function mineSentence({ saved, late, waiting }) {
  const parts = [`${saved} saved`];
  if (waiting) parts.push(`${waiting} on the way`);
  if (late) parts.push(`${late} came late (kept, not used)`);
  return parts.join(" · ");
}

// Labels per minute over the last five minutes.
function rate(times) {
  const recent = times.filter((time) => time > Date.now() - 300_000);
  if (recent.length < 3) return "";
  const minutes = (Date.now() - recent[0]) / 60_000;
  return `${Math.round(recent.length / Math.max(minutes, 0.05))} per minute`;
}

// Told to whoever measures or tests the page.
function notice(name, detail) {
  window.dispatchEvent(new CustomEvent(name, { detail }));
}
