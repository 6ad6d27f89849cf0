// Clips on canvases, all on one clock: in lock step, looping without a gap, from the moment they appear.

export class Player {
  // canvases: one per clip, from left to right; report(frame, frames) is called when another frame is shown.
  constructor(canvases, report = () => {}) {
    this.canvases = canvases;
    this.report = report;
    this.clips = [];
    this.moves = true;
    this.speed = 1;
    this.paused = false;
    this.asNetwork = false;
    this.seconds = 0;
    this.last = null;
    this.frame = -1;
    this.tick = this.tick.bind(this);
    this.request = requestAnimationFrame(this.tick);
  }

  // clips: [{note, people, network}], bitmaps of whole sheets; starts at their first frame.
  show(clips) {
    this.clips = clips;
    this.seconds = 0;
    this.last = null;
    this.frame = -1;
    clips.forEach((clip, place) => {
      const canvas = this.canvases[place];
      canvas.style.aspectRatio = String(clip.note.aspect);
      canvas.style.imageRendering = clip.note.network ? "pixelated" : "auto";
    });
    this.draw();
  }

  clear() {
    this.clips = [];
    for (const canvas of this.canvases) canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
  }

  pause(paused = !this.paused) {
    this.paused = paused;
  }

  // Moves by whole frames; pauses, because somebody wants to look.
  step(frames) {
    if (!this.clips.length) return;
    this.paused = true;
    this.seconds = Math.max(0, (this.frame + frames + this.length) % this.length) / this.rate + 1e-6;
    this.draw();
  }

  // Shows what the reward network sees, or no longer; returns whether there are such pictures.
  toggleNetwork() {
    const pictures = this.clips.some((clip) => clip.network);
    this.asNetwork = pictures && !this.asNetwork;
    this.draw(true);
    return pictures;
  }

  get rate() {
    return this.clips[0].note.frames_per_second;
  }

  get length() {
    return Math.max(...this.clips.map((clip) => clip.note.frames));
  }

  tick(now) {
    if (this.clips.length) {
      if (this.last !== null && !this.paused) this.seconds += ((now - this.last) / 1000) * this.speed;
      this.last = now;
      this.draw();
    }
    this.request = requestAnimationFrame(this.tick);
  }

  draw(force = false) {
    if (!this.clips.length) return;
    const frame = Math.floor(this.seconds * this.rate) % this.length;
    if (frame === this.frame && !force) return;
    this.frame = frame;
    this.clips.forEach((clip, place) => this.paint(clip, this.canvases[place], frame));
    this.report(frame, this.length);
  }

  paint(clip, canvas, frame) {
    const network = this.asNetwork && clip.network;
    const [bitmap, sheet] = network ? [clip.network, clip.note.network] : [clip.people, clip.note.sheet];
    if (canvas.width !== sheet.width || canvas.height !== sheet.height) {
      canvas.width = sheet.width;
      canvas.height = sheet.height;
    }
    const shown = frame % clip.note.frames;
    const left = (shown % sheet.columns) * sheet.width;
    const top = Math.floor(shown / sheet.columns) * sheet.height;
    const context = canvas.getContext("2d");
    context.imageSmoothingEnabled = false;
    context.drawImage(bitmap, left, top, sheet.width, sheet.height, 0, 0, sheet.width, sheet.height);
  }

  close() {
    cancelAnimationFrame(this.request);
  }
}
