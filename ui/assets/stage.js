// The clips of a query beside each other, each with what it is called.

// Fills `.clips` below `root` for a kind of query; returns the canvases, from left to right.
export function makeStage(root, kind) {
  const place = root.querySelector(".clips");
  place.dataset.count = String(kind.clips);
  place.replaceChildren();
  return kind.captions.map((caption) => {
    const figure = document.createElement("figure");
    figure.className = "clip";
    const words = document.createElement("figcaption");
    const name = document.createElement("span");
    name.textContent = caption;
    words.append(name);
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width: 160, height: 210 });
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", called(caption));
    figure.append(words, canvas);
    place.append(figure);
    return canvas;
  });
}

function called(caption) {
  if (!caption) return "the clip";
  return /\d/.test(caption) ? `clip ${caption}` : `the ${caption.toLowerCase()} clip`;
}
