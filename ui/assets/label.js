// The labelling page: clips or texts, a key press, the next ones.

import { Answers } from "./answers.js";
import { Client } from "./client.js";
import { Deck } from "./deck.js";
import { Dialogs } from "./dialogs.js";
import { makeForm } from "./forms.js";
import { Keys } from "./keys.js";
import { kindOf } from "./kinds.js";
import { Outbox } from "./outbox.js";
import { Past } from "./past.js";
import { Player } from "./player.js";
import { Practice } from "./practice.js";
import { makeStage } from "./stage.js";
import { TextView } from "./text_view.js";
import { notice, Turns } from "./turns.js";
import { View } from "./view.js";

const IDLE = 300_000; // milliseconds after which queries are no longer kept for somebody who has gone

const STILL = "Clips stand still because your system asks for less motion: press Space to play.";
const NO_PICTURES = "Here the reward network sees numbers (positions, speeds, actions), not pictures.";

const mounted = new WeakMap();

// Mounts the page below `root`, or gives the page that is there new settings: {run, labeller, lockout (ms), game,
// text, kind, clips, task, instructions, version}. Returns how to leave.
export function mount(root, settings) {
  const page = mounted.get(root);
  if (page && !page.closed && page.settings.run === settings.run && page.settings.labeller === settings.labeller) {
    page.settings = settings;
    page.dialogs.renew(settings);
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
    this.kind = kindOf(settings.kind, settings.clips);
    this.view = new View(root, this.kind);
    this.active = Date.now();
    this.saved = 0;
    this.late = 0;
    this.client = new Client(settings.run, settings.labeller);
    this.keys = new Keys(localStorage, this.kind);
    this.player = this.makePlayer();
    this.form = makeForm(root, this.kind);
    this.outbox = this.makeOutbox();
    this.practice = new Practice(root, settings, (note) => this.deck.decode(note));
    this.past = new Past(this.client, (note) => this.deck.decode(note));
    this.deck = this.makeDeck();
    const { deck, form, player, outbox, past, practice } = this;
    this.turns = new Turns({
      deck, form, player, outbox, past, practice,
      settings: () => this.settings,
      say: (words) => this.view.say("notice", words),
      changed: () => this.render(),
    });
    for (const [, entry] of this.outbox.waiting()) this.turns.answered.add(entry.query);
    this.dialogs = new Dialogs(root, this.keys, this.kind, settings);
    this.answers = new Answers(this.dialogs, this.client);
    this.tools = this.makeTools();
    this.listen();
    this.outbox.flush();
    if (this.player.moves && this.player.calm()) this.view.say("notice", STILL);
    this.dialogs.welcome();
    this.remember();
    this.render();
  }

  makePlayer() {
    const canvases = makeStage(this.root, this.kind);
    if (this.settings.text) return new TextView(this.root);
    return new Player(canvases, (frame, frames) => this.view.say("frame", `${frame + 1}/${frames}`));
  }

  makeOutbox() {
    return new Outbox({
      storage: localStorage,
      prefix: `prefrl:answer:${this.settings.run}:${this.settings.labeller}:`,
      post: (answers) => this.client.post(answers),
      told: (entry, receipt) => this.told(entry, receipt),
      failed: (error) => this.view.say("connection", error ? `Not saved yet, trying again: ${error.message}` : ""),
    });
  }

  makeDeck() {
    return new Deck({
      fetchDeck: async () => {
        const deck = await this.client.deck();
        await this.practice.offer(deck.practice);
        return deck;
      },
      fetchSheet: (file) => this.client.sheet(file),
      skip: (query) => this.turns.answered.has(query.query),
      resting: () => this.idle,
      changed: (status, error, broken) => this.deckChanged(status, error, broken),
    });
  }

  // What can be done beside answering, by the names of actions.
  makeTools() {
    const { turns } = this;
    return {
      back: () => turns.look(this.past.place + 1),
      onward: () => turns.onward(),
      keep: () => turns.keep(),
      "skip-practice": () => turns.endPractice(),
      withdraw: () => turns.withdraw(),
      pause: () => this.player.pause(),
      earlier: () => this.player.step(-1),
      later: () => this.player.step(1),
      slow: () => this.player.moves && (this.player.speed = this.player.speed === 1 ? 0.25 : 1),
      network: () => this.player.moves && !this.player.toggleNetwork() && this.view.say("notice", NO_PICTURES),
      flag: () => this.flag(),
      help: () => this.dialogs.help(),
      keys: () => this.dialogs.editKeys(),
      answers: () => this.revisit(),
    };
  }

  // The newest answers of earlier visits, so that they can be changed, too.
  async remember() {
    const { answered } = this.turns;
    const told = (query) => {
      answered.add(query.query);
      this.render();
    };
    await this.past.remember(answered, told).catch((error) => this.unloaded(error));
  }

  // An answer of any time, looked at again among the last ones, where it can be changed or taken back.
  async revisit() {
    try {
      const query = await this.answers.choose();
      if (!query) return;
      this.turns.answered.add(query.query);
      this.turns.look(await this.past.find(query));
      this.render();
    } catch (error) {
      this.unloaded(error);
    }
  }

  unloaded(error) {
    this.view.say("notice", `Your answers could not be loaded: ${error.message}`);
  }

  listen() {
    this.listening = new AbortController();
    const { signal } = this.listening;
    window.addEventListener("keydown", (event) => this.pressed(event), { signal });
    window.addEventListener("pagehide", () => this.leave(), { signal });
    window.addEventListener("online", () => this.outbox.flush(), { signal });
    this.root.addEventListener("click", (event) => this.clicked(event), { signal });
  }

  // What nobody will answer here goes back.
  leave() {
    this.client.giveBack(this.turns.tickets());
  }

  pressed(event) {
    this.active = Date.now();
    const action = this.dialogs.open ? undefined : this.keys.action(event);
    if (!action) return;
    event.preventDefault();
    this.act(action, event);
  }

  clicked(event) {
    this.active = Date.now();
    const button = event.composedPath().find((node) => node.dataset?.action);
    if (!button) return;
    if (event.detail) button.blur(); // after a click by mouse, Enter and Space are the page's again
    this.act(button.dataset.action, event);
  }

  // The form may take an action, except for an answer that is pressed too early; what it leaves is a tool's.
  act(action, event) {
    const early = this.turns.locked && !(action in this.tools);
    const said = early ? {} : this.form.act(action);
    if (said === undefined) this.tools[action]?.();
    else if ("value" in said) this.turns.answer(said.value, event);
    else if (said.say) this.view.say("notice", said.say);
    this.render();
  }

  async flag() {
    if (!this.turns.current || this.past.place) return;
    const note = await this.dialogs.ask(`What is wrong with ${this.settings.text ? "these texts" : this.kind.these}?`);
    if (note === null || !this.turns.current) return;
    const query = this.turns.current;
    try {
      await this.client.flag(query.ticket, note || "broken");
      this.view.say("notice", `Reported; the ${this.kind.noun} went back.`);
    } catch (error) {
      this.view.say("notice", `Could not be reported: ${error.message}`);
    }
    this.turns.leave(query);
    this.render();
  }

  told(entry, receipt) {
    if ("expected" in receipt) {
      const { current } = this.turns;
      if (current?.query === entry.query) this.practice.judge(current, receipt.expected);
    } else if (receipt.status === "kept" && !receipt.known) this.saved += 1;
    if (receipt.status === "late") this.late += 1;
    if (receipt.status === "refused") this.view.say("notice", `Not stored: ${receipt.reason}`);
    notice("prefrl:receipt", { entry, receipt });
    this.render();
  }

  deckChanged(status, error, broken) {
    if (broken) this.client.flag(broken.ticket, `broken: ${error.message}`).catch(() => {});
    if (status) {
      this.status = status;
      this.view.say("connection", "");
    } else if (error) this.view.say("connection", broken ? error.message : `No connection: ${error.message}`);
    if (!this.turns.current && !this.past.place) this.turns.next();
    this.render();
  }

  render() {
    const { current, times } = this.turns;
    this.form.render(current, this.past.place > 0);
    this.view.render({ ...this, current, times, waiting: this.outbox.size, idle: this.idle });
    this.practice.render(current, this.keys);
  }

  get idle() {
    return Date.now() - this.active > IDLE;
  }

  close() {
    if (this.closed) return;
    this.closed = true;
    this.listening.abort();
    this.leave();
    this.player.close();
    this.deck.close();
    this.outbox.close();
  }
}
