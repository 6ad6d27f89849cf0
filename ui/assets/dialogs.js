// What opens above the page: instructions, the flashing warning, the keys, a note on a broken clip.

import { keyOf } from "./keys.js";

const WARNED = "prefrl:warned";
const READ = "prefrl:instructions:";

export class Dialogs {
  constructor(root, keys, kind, settings) {
    this.kind = kind;
    this.dialog = root.querySelector("dialog");
    this.keys = keys;
    this.settings = settings;
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close("");
    });
  }

  get open() {
    return this.dialog.open;
  }

  // The first time: the warning where clips may flash, then the instructions of this version.
  async welcome() {
    if (this.settings.game && !localStorage.getItem(WARNED)) {
      await this.show("Clips may flash", [
        paragraph("Some games flash quickly, which can be harmful to people with photosensitive epilepsy."),
        paragraph("Turn on “reduce motion” in your system, and clips stand still until you play them."),
      ]);
      localStorage.setItem(WARNED, "1");
    }
    const { task, labeller, version } = this.settings;
    const stamp = `${READ}${task}${this.kind.name === "pair" ? "" : `/${this.kind.name}`}:${labeller}`;
    if (Number(localStorage.getItem(stamp)) < version) {
      await this.help();
      localStorage.setItem(stamp, String(version));
    }
  }

  // New settings: a higher version of the instructions is shown at once.
  renew(settings) {
    const risen = settings.version > this.settings.version;
    this.settings = settings;
    if (risen && !this.open) this.welcome();
  }

  // What keys do here, where clips or texts are compared.
  actions() {
    if (!this.settings.text) return this.keys.actions;
    return this.keys.actions.map((action) => ({ ...action, words: action.inTexts ?? action.words })).filter(({ words }) => words);
  }

  help() {
    const lines = this.settings.instructions.split("\n").filter(Boolean).map(paragraph);
    const list = document.createElement("dl");
    for (const { name, words, also } of this.actions()) {
      const term = document.createElement("dt");
      const key = document.createElement("kbd");
      key.textContent = also ? `${this.keys.label(name)} or ${also.toUpperCase()}` : this.keys.label(name);
      term.append(key);
      const meaning = document.createElement("dd");
      meaning.textContent = words;
      list.append(term, meaning);
    }
    return this.show(this.settings.text ? "Which response is better?" : this.kind.question, [...lines, list]);
  }

  // Resolves to a text, or null where the labeller thought better of it.
  async ask(question) {
    const field = document.createElement("textarea");
    field.rows = 3;
    field.maxLength = 1000;
    field.setAttribute("aria-label", question);
    const said = await this.show(question, [field], [["Cancel", ""], ["Send", "send"]]);
    return said === "send" ? field.value.trim() : null;
  }

  async editKeys() {
    const list = document.createElement("dl");
    for (const { name, words } of this.actions()) {
      const term = document.createElement("dt");
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = this.keys.label(name);
      button.setAttribute("aria-label", `Key for: ${words}`);
      button.addEventListener("click", () => {
        button.textContent = "press a key";
        button.addEventListener("keydown", (event) => {
          if (["Shift", "Control", "Alt", "Meta", "Tab", "Escape"].includes(event.key)) return;
          event.preventDefault();
          event.stopPropagation(); // the page must not take it for an answer
          this.keys.set(name, keyOf(event));
          this.dialog.close("again");
        });
      });
      term.append(button);
      const meaning = document.createElement("dd");
      meaning.textContent = words;
      list.append(term, meaning);
    }
    const off = this.keys.on ? ["Turn keys off", "turn"] : ["Turn keys on", "turn"];
    const said = await this.show("Keys", [list], [["As in the paper", "reset"], off, ["Done", "done"]]);
    if (said === "reset") this.keys.reset();
    if (said === "turn") this.keys.turn(!this.keys.on);
    if (said === "again" || said === "reset" || said === "turn") await this.editKeys();
  }

  show(title, content, buttons = [["Continue", "done"]]) {
    const heading = document.createElement("h2");
    heading.textContent = title;
    const row = document.createElement("div");
    row.className = "row";
    for (const [words, value] of buttons) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = words;
      button.addEventListener("click", () => this.dialog.close(value));
      row.append(button);
    }
    this.dialog.replaceChildren(heading, ...content, row);
    this.dialog.setAttribute("aria-label", title);
    this.dialog.returnValue = "";
    this.dialog.showModal();
    row.lastElementChild.focus();
    return new Promise((resolve) => {
      const closed = () => {
        if (this.dialog.open) return; // the event of the dialog before this one comes late
        this.dialog.removeEventListener("close", closed);
        resolve(this.dialog.returnValue);
      };
      this.dialog.addEventListener("close", closed);
    });
  }
}

function paragraph(words) {
  const element = document.createElement("p");
  element.textContent = words;
  return element;
}
