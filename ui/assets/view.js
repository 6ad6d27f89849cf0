// What the labelling page shows around its clips: sentences, numbers, buttons.

import { said } from "./kinds.js";

export class View {
  constructor(root, kind) {
    this.root = root;
    this.kind = kind;
    this.page = root.querySelector(".label-page");
  }

  say(place, words) {
    this.root.querySelector(`[data-place=${place}]`).textContent = words;
  }

  // The page as its state is: see LabelPage for the names.
  render({ status, current, past, saved, late, waiting, times, keys, player, idle }) {
    const { place } = past;
    this.page.classList.toggle("empty", !current);
    this.page.classList.toggle("looking-back", place > 0);
    this.say("state", idle ? "Are you still there? Press a key to go on." : sentence(status, current, this.kind.noun));
    this.say("mine", mine(saved, waiting, late));
    this.say("past", place ? `You said: ${said(current.kind, current.value)}. Answer again to change it.` : "");
    this.renderProgress(status, times);
    this.renderKeys(keys);
    this.renderTools(past, player);
  }

  renderProgress(status, times) {
    const { labels = 0, budget = 1 } = status ?? {};
    const bar = this.root.querySelector("progress");
    bar.max = Math.max(1, budget);
    bar.value = labels;
    this.say("progress", status ? `${labels} of ${budget} labels` : "");
    this.say("rate", rate(times));
  }

  renderKeys(keys) {
    for (const button of this.root.querySelectorAll("button[data-action]")) {
      const hint = button.querySelector("kbd");
      if (!hint) continue;
      const key = keys.on ? keys.label(button.dataset.key ?? button.dataset.action) : "";
      hint.textContent = key === hint.previousElementSibling.textContent ? "" : key; // a rating is its own key
    }
  }

  renderTools(past, player) {
    if (player.moves) this.button("pause").querySelector("span").textContent = player.paused ? "Play" : "Pause";
    press(this.button("slow"), player.speed < 1);
    press(this.button("network"), player.asNetwork);
    this.button("back").disabled = past.place >= past.length;
    for (const name of ["withdraw", "keep"]) this.button(name).hidden = !past.place;
  }

  button(action) {
    return this.root.querySelector(`[data-action=${action}]`);
  }
}

function press(button, pressed) {
  button.setAttribute("aria-pressed", String(Boolean(pressed)));
}

// What the run is doing, and why there is nothing to look at where that is so.
function sentence(status, current, noun) {
  if (!status) return "Looking for the run …";
  if (current || status.state === "finished") return status.sentence;
  if (status.labels >= status.budget) return `All ${status.budget} labels are given. Thank you! ${status.sentence}`;
  if (status.state === "texts") return textSentence(status);
  if (status.problem) return `A clip cannot be drawn: ${status.problem} ${status.sentence}`;
  if (status.undrawn > 0) return `Drawing ${status.undrawn} more for you … ${status.sentence}`;
  return `No ${noun} is open for you now: the agent makes new ones while it trains, or others have them. ${status.sentence}`;
}

function textSentence(status) {
  if (status.undrawn > 0) return `${status.undrawn} pairs cannot be shown: their texts are not in responses.jsonl.`;
  return `No pair is open for you now: others have them, or their texts are still on the way. ${status.sentence}`;
}

function mine(saved, waiting, late) {
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
