// Two clips on one clock, below each the learned reward of every step, and a scrubber that moves both.

import { Player } from "./player.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 300;
const HEIGHT = 90;

export function mount(root, data) {
  const page = new RewardPage(root, data);
  page.begin();
  return () => page.close();
}

class RewardPage {
  constructor(root, { run, sides }) {
    Object.assign(this, { root, run, sides });
    this.slider = root.querySelector("input");
    this.places = [...root.querySelectorAll(".clip")];
    this.player = new Player(this.places.map((place) => place.querySelector("canvas")), (frame) => this.at(frame));
    this.length = Math.max(1, ...sides.map((side) => side.rewards.length));
    this.slider.max = String(this.length - 1);
    this.still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  }

  async begin() {
    const all = this.sides.flatMap((side) => side.rewards);
    const range = [Math.min(0, ...all), Math.max(0, ...all)];
    this.markers = this.places.map((place, i) => drawCurve(place.querySelector("svg"), this.sides[i].rewards, range));
    this.slider.oninput = () => this.scrub(Number(this.slider.value));
    this.button("pause").onclick = () => this.pause(!this.player.paused);
    this.button("overlay").onclick = () => this.overlay(!this.player.asNetwork);
    this.at(0);
    const drawn = this.sides.every((side) => side.note);
    for (const place of this.places) place.querySelector("canvas").style.display = drawn ? "" : "none";
    if (!drawn) return;
    const clips = await Promise.all(this.sides.map((side) => this.load(side)));
    this.button("overlay").hidden = !clips.every((clip) => clip.network);
    this.player.show(clips);
    this.pause(this.still);
  }

  // The overlay takes the place that the network's view has on the labelling page.
  async load({ note, overlay }) {
    const people = await this.sheet(note.sheet.file);
    const network = overlay ? await this.sheet(overlay.file) : null;
    return { note: { ...note, network: overlay }, people, network };
  }

  async sheet(file) {
    const answer = await fetch(`/prefrl/clips/${file}?run=${encodeURIComponent(this.run)}`);
    if (!answer.ok) throw new Error(`the clip cannot be fetched (${answer.status})`);
    return createImageBitmap(await answer.blob());
  }

  at(frame) {
    this.slider.value = String(frame);
    this.root.querySelector(".frame").textContent = `${frame + 1} / ${this.length}`;
    this.sides.forEach(({ rewards }, i) => {
      const step = Math.min(frame, rewards.length - 1);
      const x = String(rewards.length > 1 ? (step / (rewards.length - 1)) * WIDTH : 0);
      this.markers[i].setAttribute("x1", x);
      this.markers[i].setAttribute("x2", x);
      const total = rewards.reduce((sum, one) => sum + one, 0);
      this.places[i].querySelector(".now").textContent =
        `learned reward ${rewards[step].toFixed(2)}, over the clip ${total.toFixed(2)}`;
    });
  }

  scrub(frame) {
    this.pause(true);
    if (this.player.clips.length) {
      this.player.seconds = frame / this.player.rate + 1e-6;
      this.player.draw();
    }
    this.at(frame);
  }

  pause(paused) {
    this.player.pause(paused);
    this.button("pause").textContent = paused ? "Play" : "Pause";
  }

  overlay(on) {
    this.player.asNetwork = on;
    this.button("overlay").setAttribute("aria-pressed", String(on));
    this.player.draw(true);
  }

  button(action) {
    return this.root.querySelector(`[data-action=${action}]`);
  }

  close() {
    this.player.close();
  }
}

// A line of rewards on a scale that both clips share; returns the mark that moves along it.
function drawCurve(svg, rewards, [low, high]) {
  const span = high - low || 1;
  const y = (value) => HEIGHT - ((value - low) / span) * HEIGHT;
  const x = (step) => (rewards.length > 1 ? (step / (rewards.length - 1)) * WIDTH : 0);
  const points = rewards.map((value, step) => `${x(step).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
  const part = (name, attributes) => {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    svg.append(element);
    return element;
  };
  svg.replaceChildren();
  part("line", { class: "zero", x1: 0, x2: WIDTH, y1: y(0), y2: y(0) });
  part("polyline", { class: "line", points });
  svg.setAttribute(
    "aria-label",
    `learned reward of ${rewards.length} steps, from ${Math.min(...rewards).toFixed(2)} to ${Math.max(...rewards).toFixed(2)}`,
  );
  return part("line", { class: "here", x1: 0, x2: 0, y1: 0, y2: HEIGHT });
}
