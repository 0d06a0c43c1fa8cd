(() => {
  const faint = [], skipped = [], wide = [], headings = {};
  const parse = c => { const m = c.match(/[\d.]+/g).map(Number); return m.length > 3 ? m : [...m, 1]; };
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const backs = new Map();
  const behind = e => {
    if (!e) return [255, 255, 255, 1];
    if (!backs.has(e)) {
      const c = parse(getComputedStyle(e).backgroundColor);
      backs.set(e, c[3] > 0.99 ? c : behind(e.parentElement));
    }
    return backs.get(e);
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let n; (n = walker.nextNode());) {
    const e = n.parentElement;
    if (!n.textContent.trim() || !e.checkVisibility() || e.closest('title, desc, option')) continue;
    const svg = e.closest('svg');
    const a = light(parse(svg ? getComputedStyle(e).fill : getComputedStyle(e).color)), b = light(behind(e));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) faint.push(n.textContent.trim().slice(0, 40) + ' ' + ratio.toFixed(2));
  }
  let before = 0;
  for (const h of document.querySelectorAll('h1, h2, h3, h4, h5, h6')) {
    const level = Number(h.tagName[1]);
    headings[h.tagName.toLowerCase()] = (headings[h.tagName.toLowerCase()] || 0) + 1;
    if (level > before + 1) skipped.push(h.textContent);
    before = level;
  }
  const room = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > room) for (const e of document.querySelectorAll('body *')) {
    if (e.getBoundingClientRect().right > room + 1 && !e.closest('.scroll, svg') && e.checkVisibility()) wide.push(e.tagName + '.' + e.className);
  }
  return {
    width: document.documentElement.scrollWidth, wide, headings, skipped, faint: [...new Set(faint)], scripts: document.scripts.length,
    loaded: performance.getEntriesByType('resource').map(r => r.name).filter(n => !n.endsWith('/favicon.ico')),
    unstyled: getComputedStyle(document.querySelector('header')).display === 'flex' ? '' : 'header',
    dark: light(behind(document.body)) < 0.2,
  };
})()
