// "My answers": everything this labeller has said, newest first, ten to a page; one is chosen to be seen again.

import { said } from "./kinds.js";

const STILL = 72; // pixels that a still is high

export class Answers {
  constructor(dialogs, client) {
    this.dialogs = dialogs;
    this.client = client;
  }

  // Resolves to the query that was chosen, or null.
  async choose() {
    const starts = [null]; // where each page begins that was seen
    for (;;) {
      const page = await this.client.mine(starts.at(-1));
      let chosen = null;
      const rows = page.pairs.map((pair) => this.row(pair, () => (chosen = pair)));
      const buttons = [["Close", ""]];
      if (starts.length > 1) buttons.unshift(["Newer", "newer"]);
      if (page.older !== null) buttons.unshift(["Older", "older"]);
      const said = await this.dialogs.show("My answers", [heading(page, starts.length), list(rows)], buttons);
      if (said === "older") starts.push(page.older);
      else if (said === "newer") starts.pop();
      else return chosen;
    }
  }

  row(pair, choose) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "answer";
    button.disabled = !pair.ready;
    const stills = document.createElement("span");
    stills.className = "stills";
    if (pair.ready) for (const note of pair.clips) stills.append(this.still(note));
    const words = document.createElement("span");
    words.textContent = said(pair.kind, pair.value);
    if (!pair.ready) words.textContent += " (its clips are being drawn again: look a little later)";
    const when = document.createElement("time");
    if (pair.answered_at) when.textContent = new Date(pair.answered_at * 1000).toLocaleString([], { dateStyle: "short", timeStyle: "short" });
    button.append(stills, words, when);
    button.addEventListener("click", () => {
      choose();
      this.dialogs.dialog.close("chosen");
    });
    return button;
  }

  // The middle frame of a clip, small.
  still(note) {
    const canvas = document.createElement("canvas");
    canvas.height = STILL;
    canvas.width = Math.round(STILL * note.aspect);
    const { file, width, height, columns } = note.sheet;
    const middle = Math.floor(note.frames / 2);
    const corner = [(middle % columns) * width, Math.floor(middle / columns) * height];
    this.client.sheet(file).then(
      (sheet) => {
        canvas.getContext("2d").drawImage(sheet, ...corner, width, height, 0, 0, canvas.width, canvas.height);
        sheet.close();
      },
      () => {}, // the pair says more once it is chosen
    );
    return canvas;
  }
}

function heading(page, number) {
  const paragraph = document.createElement("p");
  const pages = Math.max(1, Math.ceil(page.answers / 10));
  paragraph.textContent = page.answers
    ? `${page.answers} answers, newest first; page ${number} of ${pages}. Choose one to see it again and to change it.`
    : "You have not answered anything yet.";
  return paragraph;
}

function list(rows) {
  const element = document.createElement("ol");
  element.className = "answers-list";
  for (const row of rows) {
    const item = document.createElement("li");
    item.append(row);
    element.append(item);
  }
  return element;
}
