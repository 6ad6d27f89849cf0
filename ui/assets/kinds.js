// What is asked about clips and what can be said: the words, keys and values of each kind of query.

const SKIP = { name: "skip", words: "Cannot tell", key: "ArrowDown", value: null };

const PAIR = [
  { name: "left", words: "Left is better", key: "ArrowLeft", value: 1 },
  { name: "slightly-left", words: "Left is slightly better", button: "Slightly left", key: "Shift+ArrowLeft", value: 0.75 },
  { name: "equal", words: "Both are equal", button: "Equal", key: "ArrowUp", value: 0.5 },
  { name: "slightly-right", words: "Right is slightly better", button: "Slightly right", key: "Shift+ArrowRight", value: 0.25 },
  { name: "right", words: "Right is better", key: "ArrowRight", value: 0 },
  SKIP,
];

// Dislike stands left and like stands right, as their arrows do.
const LIKE = [
  { name: "dislike", words: "Dislike", key: "ArrowLeft", also: "d", value: false },
  { name: "like", words: "Like", key: "ArrowRight", also: "l", value: true },
  SKIP,
];

const RATING = [
  ...Array.from({ length: 10 }, (_, place) => ({
    name: `rate-${place + 1}`,
    words: `Rate ${place + 1} of 10`,
    button: String(place + 1),
    key: String((place + 1) % 10), // 0 is 10
    value: place + 1,
  })),
  SKIP,
];

const SAID = {
  pair: {
    1: "left is better",
    0.75: "left is slightly better",
    0.5: "both are equal",
    0.25: "right is slightly better",
    0: "right is better",
  },
  like: { true: "like", false: "dislike" },
};

// The kind by its name, for queries about so many clips: {name, clips, noun, question, captions, actions}.
export function kindOf(name, clips) {
  switch (name) {
    case "ranking":
      return {
        name,
        clips,
        noun: "set of clips",
        question: "Which clips are better, in which order?",
        captions: numbers(clips),
        actions: [
          ...numbers(clips).map((number) => ({ name: `place-${number}`, words: `Clip ${number} comes next`, key: number })),
          SKIP,
        ],
        toolWords: {
          back: "Take a clip back; where none is placed, back to the last answer",
          keep: "Send the ranking; where none is begun, keep the shown answer",
        },
      };
    case "like":
      return { name, clips: 1, noun: "clip", question: "Do you like what happens in this clip?", captions: [""], actions: LIKE };
    case "rating":
      return { name, clips: 1, noun: "clip", question: "How good is what happens in this clip?", captions: [""], actions: RATING };
    default:
      return { name: "pair", clips: 2, noun: "pair", question: "Which clip is better?", captions: ["Left", "Right"], actions: PAIR };
  }
}

// An answer in words: a side, an order of clips, a like, a rating; null where the labeller could not tell.
export function said(kind, value) {
  if (value === null || value === undefined) return "cannot tell";
  if (kind === "ranking") return `${value.map((place) => place + 1).join(" > ")}, best first`;
  if (kind === "rating") return `${value} of 10`;
  return SAID[kind][value] ?? String(value);
}

function numbers(count) {
  return Array.from({ length: count }, (_, place) => String(place + 1));
}
