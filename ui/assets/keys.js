// Which key does what: the paper's arrows by default, changeable, with an off switch.

// `inTexts` says what an action is where texts are compared; "" where it is nothing there.
const TOOLS = [
  { name: "back", words: "Back to the last answer", key: "Backspace" },
  { name: "withdraw", words: "Take the shown answer back", key: "Delete" },
  { name: "keep", words: "Keep the shown answer", key: "Enter" },
  { name: "pause", words: "Pause or play", inTexts: "Read on in both texts", key: " " },
  { name: "earlier", words: "One frame back", inTexts: "Back in both texts", key: "," },
  { name: "later", words: "One frame on", inTexts: "On in both texts", key: "." },
  { name: "slow", words: "Slow motion", inTexts: "", key: "s" },
  { name: "network", words: "What the reward network sees", inTexts: "", key: "n" },
  { name: "flag", words: "Report a broken clip", inTexts: "Report a broken text", key: "f" },
  { name: "help", words: "Instructions", key: "h" },
];

const STORED = "prefrl:keys";
const NAMES = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", " ": "Space" };

export class Keys {
  // kind: of what is asked; its answers come before what can be done on every page.
  constructor(storage, kind) {
    this.storage = storage;
    this.actions = [...kind.actions, ...TOOLS.map((tool) => ({ ...tool, words: kind.toolWords?.[tool.name] ?? tool.words }))];
    const saved = read(storage);
    this.on = saved.on ?? true;
    this.keys = Object.fromEntries(this.actions.map(({ name, key }) => [name, saved.keys?.[name] ?? key]));
  }

  // The action of a key press; undefined for none, for a repeat, and for keys meant for a field or the browser.
  action(event) {
    if (!this.on || event.repeat || event.ctrlKey || event.metaKey || event.altKey || isTyping(event)) return undefined;
    const pressed = keyOf(event);
    const action = this.actions.find(({ name }) => this.keys[name] === pressed) ?? this.actions.find(({ also }) => also === pressed);
    return action?.name;
  }

  // Gives an action a key; the action that had it gets the other's in exchange.
  set(name, key) {
    const other = this.actions.find((action) => this.keys[action.name] === key);
    if (other) this.keys[other.name] = this.keys[name];
    this.keys[name] = key;
    this.save();
  }

  reset() {
    this.keys = Object.fromEntries(this.actions.map(({ name, key }) => [name, key]));
    this.save();
  }

  turn(on) {
    this.on = on;
    this.save();
  }

  // The key of an action in words; "" where it has none.
  label(name) {
    const parts = (this.keys[name] ?? "").split("+");
    return parts.map((part) => NAMES[part] ?? (part.length === 1 ? part.toUpperCase() : part)).join("+");
  }

  save() {
    const keys = { ...read(this.storage).keys, ...this.keys }; // those of other kinds stay as they are
    this.storage.setItem(STORED, JSON.stringify({ on: this.on, keys }));
  }
}

export function keyOf(event) {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  return event.shiftKey && event.key.length > 1 ? `Shift+${key}` : key;
}

function isTyping(event) {
  const target = event.composedPath()[0];
  const field = target instanceof HTMLElement && target.closest("input, textarea, select, [contenteditable=true]");
  const button = target instanceof HTMLElement && target.closest("button, a, summary, label");
  return Boolean(field) || (Boolean(button) && (event.key === " " || event.key === "Enter"));
}

function read(storage) {
  try {
    return JSON.parse(storage.getItem(STORED)) ?? {};
  } catch {
    return {};
  }
}
