// What is wrong with the page as it is shown now: cut, beside the window, one over the other, hard to read, without a name.
((within) => {
  const faults = []
  const shown = (e) => e.checkVisibility() && !e.closest(".unseen, .skip, dialog:not([open])")
  const name = (e) => `${e.tagName}.${e.className} '${e.textContent.slice(0, 40)}'`
  const colour = (text) => text.match(/[\d.]+/g).map(Number)
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const c = colour(getComputedStyle(e).backgroundColor)
      if (c.length < 4 || c[3] > 0.5) return c
    }
    return [255, 255, 255]
  }
  const boxes = []
  if (document.documentElement.scrollWidth > innerWidth) faults.push("the page is wider than the window")
  for (const e of document.querySelectorAll(`${within} *`)) {
    const words = [...e.childNodes].filter((node) => node.nodeType === 3 && node.textContent.trim())
    if (!words.length || !shown(e) || e.closest("svg")) continue
    const block = e.closest("p, li, h1, h2, button, td, th, label, .cut") || e, frame = block.getBoundingClientRect()
    if (frame.left < -1 || frame.right > innerWidth + 1) faults.push(`beside the window: ${name(e)}`)
    const card = (e.closest("article, #lower section, dialog, header") || document.body).getBoundingClientRect()
    if (frame.left < card.left || frame.right > card.right) faults.push(`beside its card: ${name(e)}`)
    const cut = e.closest(".cut"), scrolls = e.closest("#asking-about")
    if (cut && cut.scrollWidth > cut.clientWidth + 1 && !cut.closest("[title]:not([title=''])")) faults.push(`cut, and said nowhere: ${name(e)}`)
    for (const node of words) {
      const range = document.createRange()
      range.selectNodeContents(node)
      for (const r of range.getClientRects()) {
        if (!cut && !scrolls && (r.left < frame.left - 1 || r.right > frame.right + 1)) faults.push(`out of its box: ${name(e)}`)
        const limit = cut ? cut.getBoundingClientRect() : r
        boxes.push([e, Math.max(r.left, limit.left), r.top, Math.min(r.right, limit.right), r.bottom])
      }
    }
    const [most, least] = [light(colour(getComputedStyle(e).color)), light(ground(e))].sort((a, b) => b - a)
    const contrast = (most + 0.05) / (least + 0.05)
    if (contrast < 4.5) faults.push(`contrast ${contrast.toFixed(1)}: ${name(e)}`)
  }
  boxes.forEach(([a, al, at, ar, ab], i) => boxes.slice(i + 1).forEach(([b, bl, bt, br, bb]) => {
    const over = Math.min(ar, br) - Math.max(al, bl) >= 2 && Math.min(ab, bb) - Math.max(at, bt) > 6
    if (a !== b && over) faults.push(`one over the other: ${name(a)} and ${name(b)}`)
  }))
  for (const e of document.querySelectorAll("button, a"))
    if (shown(e) && !(e.textContent.trim() || e.getAttribute("aria-label"))) faults.push(`without a name: ${e.outerHTML}`)
  for (const landmark of ["header", "main", "nav", "h1", "[aria-live=polite]"])
    if (!document.querySelector(landmark)) faults.push(`no ${landmark}`)
  return faults
})
