// What each mark of a figure says: point at it, or move a slider from mark to mark.
for (const figure of document.querySelectorAll("figure[data-marks]")) {
  const drawing = figure.firstElementChild, image = drawing.firstElementChild;
  const { words, at } = JSON.parse(figure.dataset.marks), near = 40;
  if (!words.length) continue;
  const add = (to, tag, more) => Object.assign(to.appendChild(document.createElement(tag)), more);
  const slider = add(figure, "input", { type: "range", min: 0, max: words.length - 1, value: 0 });
  const said = add(figure, "p", { className: "quiet", textContent: "What is it? Point at a mark, or move the slider." });
  const most = Math.max(...at.map((places) => places.length / 2));
  const dots = Array.from({ length: most }, () => add(drawing, "span", { className: "dot", hidden: true }));
  slider.setAttribute("aria-label", `Marks of the figure: ${image.alt}`);
  slider.setAttribute("aria-valuetext", said.textContent);
  const show = (mark) => {
    slider.value = mark;
    slider.setAttribute("aria-valuetext", words[mark]);
    said.textContent = words[mark];
    dots.forEach((dot, i) => {
      dot.hidden = at[mark].length <= 2 * i;
      dot.style.left = `${at[mark][2 * i] / 100}%`;
      dot.style.top = `${at[mark][2 * i + 1] / 100}%`;
    });
  };
  const point = (event) => {
    const box = image.getBoundingClientRect();
    let best = -1, least = near ** 2;
    at.forEach((places, mark) => {
      for (let i = 0; i < places.length; i += 2) {
        const x = box.left + (places[i] / 1e4) * box.width - event.clientX;
        const y = box.top + (places[i + 1] / 1e4) * box.height - event.clientY;
        if (x * x + y * y < least) [best, least] = [mark, x * x + y * y];
      }
    });
    if (best >= 0) show(best);
  };
  // A slider of one mark has nowhere to move to, so that focus says it.
  for (const event of ["focus", "input"]) slider.addEventListener(event, () => show(Number(slider.value)));
  drawing.addEventListener("pointermove", point);
  drawing.addEventListener("pointerdown", point);
}
