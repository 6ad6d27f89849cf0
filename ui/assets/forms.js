// Where answers are given: by one press, or clip by clip for a ranking.

const ORDINALS = ["best", "2nd", "3rd", "4th", "5th"];

export function makeForm(root, kind) {
  return kind.name === "ranking" ? new RankingForm(root, kind) : new ChoiceForm(root, kind);
}

// One button per answer. A form says of an action {value}, {} where it has only changed itself, {say} where
// something is missing, or nothing where the action is none of its.
class ChoiceForm {
  constructor(root, kind) {
    this.values = Object.fromEntries(kind.actions.map(({ name, value }) => [name, value]));
    const row = root.querySelector(".answers");
    row.classList.add(kind.name);
    this.buttons = kind.actions.map((action) => button(action.name, action.button ?? action.words, action));
    row.replaceChildren(...this.buttons);
    if (kind.name !== "rating") return;
    const scale = element("div", "scale");
    scale.append(element("span", "end", "worst"), ...this.buttons.slice(0, -1), element("span", "end", "best"));
    row.prepend(scale);
  }

  show() {}

  act(action) {
    return action in this.values ? { value: this.values[action] } : undefined;
  }

  render(current, looking) {
    for (const one of this.buttons) {
      one.disabled = !current;
      press(one, looking && current?.value === this.values[one.dataset.action]);
    }
  }
}

// Clips are placed best first, each by its number; the last one is where nothing else is left.
class RankingForm {
  constructor(root, kind) {
    this.size = kind.clips;
    this.placed = [];
    this.figures = [...root.querySelectorAll(".clip")].map((figure, place) => {
      figure.dataset.action = `place-${place + 1}`; // a click on a clip places it, too
      const badge = element("strong", "badge");
      const next = button(`place-${place + 1}`, "Next", { words: `Clip ${place + 1} comes next` });
      figure.querySelector("figcaption").append(badge, next);
      return { figure, badge, next };
    });
    const row = root.querySelector(".answers");
    row.classList.add("ranking");
    this.order = element("span", "order");
    this.order.setAttribute("role", "status");
    this.send = button("send", "Send ranking", { key: "keep" });
    this.take = button("take", "Take back", { key: "back" });
    this.skip = button("skip", "Cannot tell", {});
    row.replaceChildren(this.order, this.send, this.take, this.skip);
  }

  // A query, perhaps with an answer that stands until another one is begun.
  show(query) {
    this.placed = [];
    this.before = Array.isArray(query.value) ? query.value : null;
  }

  // `back` and `keep` are the page's, too: while nothing is placed.
  act(action) {
    if (action.startsWith("place-")) return this.toggle(Number(action.slice("place-".length)) - 1);
    if (action === "skip") return { value: null };
    if (action === "take" || action === "back") return this.placed.length ? this.toggle(this.placed.at(-1)) : undefined;
    if (action === "send" || action === "keep") return this.finish();
    return undefined;
  }

  toggle(place) {
    const at = this.placed.indexOf(place);
    if (at >= 0) this.placed.splice(at, 1);
    else if (this.placed.length < this.size - 1) this.placed.push(place);
    return {};
  }

  finish() {
    const order = this.complete();
    if (order) return { value: order };
    if (!this.placed.length && this.before) return undefined;
    const missing = this.size - 1 - this.placed.length;
    return { say: `Place ${missing === 1 ? "one more clip" : `${missing} more clips`}, best first; the last one follows.` };
  }

  // The whole order, once only one clip is left; null before.
  complete() {
    if (this.placed.length < this.size - 1) return null;
    const rest = [...Array(this.size).keys()].filter((place) => !this.placed.includes(place));
    return [...this.placed, ...rest];
  }

  render(current) {
    const order = this.complete() ?? (this.placed.length ? this.placed : (this.before ?? []));
    this.figures.forEach(({ figure, badge, next }, place) => {
      const at = current ? order.indexOf(place) : -1;
      badge.textContent = at < 0 ? "" : at === this.size - 1 ? "worst" : ORDINALS[at];
      figure.classList.toggle("placed", at >= 0);
      const placed = this.placed.includes(place);
      next.disabled = !current;
      next.querySelector("span").textContent = placed ? "Take out" : "Next";
      next.setAttribute("aria-label", placed ? `Take clip ${place + 1} out` : `Clip ${place + 1} comes next`);
      press(next, placed);
    });
    this.order.textContent = order.length ? `Best first: ${order.map((place) => place + 1).join(", ")}` : "Best first: none placed yet";
    this.send.disabled = !current || !this.complete();
    this.take.disabled = !current || !this.placed.length;
    this.skip.disabled = !current;
  }
}

// A button with a hint of its key: that of its own action, or of the one named by `key`.
function button(action, text, { words, key }) {
  const made = element("button", "");
  made.type = "button";
  made.dataset.action = action;
  if (key && !words) made.dataset.key = key;
  made.append(element("span", "", text), document.createElement("kbd"));
  if (words && words !== text) made.setAttribute("aria-label", words);
  return made;
}

function element(name, className, words = "") {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.textContent = words;
  return made;
}

function press(one, pressed) {
  one.setAttribute("aria-pressed", String(Boolean(pressed)));
}
