"use strict";
const $ = (selector, root = document) => root.querySelector(selector);
const data = (id) => { const node = document.getElementById(id); return node ? JSON.parse(node.textContent) : null; };
const samples = (n) => Math.round(n).toLocaleString("en-US");

// ---- the film of samples

(() => {
  const frames = data("frames"), picture = $("#film"), slider = $("#film-slider"), play = $("#film-play");
  if (!frames || !picture) return;
  let timer = null;
  const show = (i) => {
    slider.value = i;
    picture.src = frames[i].src;
    $("#film-at").textContent = `${samples(frames[i].samples)} samples seen`;
  };
  const stop = () => { clearInterval(timer); timer = null; play.textContent = "Play"; };
  slider.addEventListener("input", () => { stop(); show(+slider.value); });
  play.addEventListener("click", () => {
    if (timer) return stop();
    if (+slider.value === frames.length - 1) show(0);
    play.textContent = "Pause";
    timer = setInterval(() => { if (+slider.value >= frames.length - 1) return stop(); show(+slider.value + 1); }, 350);
  });
  show(frames.length - 1);
})();

// ---- numbers under the pointer

document.querySelectorAll("svg[data-chart]").forEach((svg) => {
  const chart = JSON.parse(svg.dataset.chart), cross = $(".cross", svg), tip = document.createElement("div");
  tip.className = "tip"; tip.hidden = true; svg.parentNode.append(tip);
  const hide = () => { tip.hidden = true; cross.toggleAttribute("hidden", true); };
  svg.addEventListener("pointerleave", hide);
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect(), scale = chart.width / box.width;
    const inner = chart.width - chart.left - chart.right;
    const wanted = ((event.clientX - box.left) * scale - chart.left) / inner * chart.most;
    const xs = chart.series[0].x;
    const i = xs.reduce((best, x, at) => Math.abs(x - wanted) < Math.abs(xs[best] - wanted) ? at : best, 0);
    const at = chart.left + xs[i] / chart.most * inner;
    cross.setAttribute("x1", at); cross.setAttribute("x2", at); cross.toggleAttribute("hidden", false);
    tip.textContent = "";
    const lines = chart.series.map((s) => { const j = s.x.indexOf(xs[i]); return j < 0 ? null : `${s.label} ${Number(s.y[j].toPrecision(4))}`; });
    [`${samples(xs[i])} samples`, ...lines.filter(Boolean)].forEach((line) => { const row = document.createElement("div"); row.textContent = line; tip.append(row); });
    tip.hidden = false;
    const parent = svg.parentNode.getBoundingClientRect(), half = tip.offsetWidth / 2 + 4;
    tip.style.left = `${Math.min(parent.width - half, Math.max(half, box.left - parent.left + at / scale))}px`;
    tip.style.top = `${box.top - parent.top + 6}px`;
  });
});

// ---- copy

document.querySelectorAll("button[data-copy]").forEach((button) => button.addEventListener("click", async () => {
  const text = document.getElementById(button.dataset.copy).textContent;
  try { await navigator.clipboard.writeText(text); } catch {
    const area = document.createElement("textarea");  // pages opened from disk may not have the clipboard
    area.value = text; document.body.append(area); area.select(); document.execCommand("copy"); area.remove();
  }
  button.textContent = "Copied"; setTimeout(() => { button.textContent = "Copy"; }, 1200);
}));

// ---- the blind test: the same score as gan_zoo.evaluation.blind.score

(() => {
  const test = data("blind"), root = $("#judge-app");
  if (!test || !root) return;
  const key = `gan_zoo blind ${test.identity}`, stage = $("#judge-stage"), status = $("#judge-status"), result = $("#judge-result");
  let saved = null;
  try { saved = JSON.parse(localStorage.getItem(key)); } catch { /* storage may be forbidden for files */ }
  const fresh = () => ({ identity: test.identity, said: {}, ranked: [] });
  let answers = saved && saved.identity === test.identity ? saved : fresh();
  const keep = () => { try { localStorage.setItem(key, JSON.stringify(answers)); } catch { /* the file remains */ } };
  const picture = (i) => { const img = new Image(); img.src = `data:image/png;base64,${test.items[i].png}`; img.alt = `picture ${i + 1}`; return img; };
  const percent = (x) => `${(100 * x).toFixed(0)} %`;

  const choose = (n, k) => { let ways = 1; for (let i = 1; i <= k; i++) ways = ways * (n - k + i) / i; return ways; };
  const pValue = (right, n) => {
    const own = choose(n, right) * (1 + 1e-9);
    let sum = 0;
    for (let k = 0; k <= n; k++) if (choose(n, k) <= own) sum += choose(n, k);
    return Math.min(1, sum / 2 ** n);
  };
  const score = () => {
    const said = Object.entries(answers.said), real = (i) => test.items[i].real;
    const right = said.filter(([i, word]) => (word === "real") === real(+i)).length;
    const fakes = said.filter(([i]) => !real(+i));
    let pairs = 0, first = 0;
    for (const ranked of answers.ranked) ranked.forEach((a, at) => ranked.slice(at + 1).forEach((b) => {
      if (real(a) !== real(b)) { pairs += 1; first += real(a) ? 1 : 0; }
    }));
    return { n: said.length, right, fooled: fakes.length ? fakes.filter(([, word]) => word === "real").length / fakes.length : null, fakes: fakes.length, pairs, first };
  };
  const tell = () => {
    const found = score(), lines = [];
    if (found.n === test.items.length) {
      const p = pValue(found.right, found.n);
      lines.push(`Real or generated: ${found.right} of ${found.n} right (${percent(found.right / found.n)}; guessing gives 50 %, p ${p < 0.001 ? "< 0.001" : "= " + p.toFixed(3)}). ` +
        `${percent(found.fooled)} of the generated pictures passed for real.`);
    }
    if (answers.ranked.length === test.rounds.length && found.pairs) {
      lines.push(`Ranking: the real picture stood before the generated one in ${percent(found.first / found.pairs)} of ${found.pairs} pairs (50 %: no difference seen).`);
    }
    result.textContent = lines.join(" ");
    $("#judge-save").disabled = !found.n && !answers.ranked.length;
  };

  const begin = (text, action) => {
    const button = document.createElement("button");
    button.className = "main"; button.textContent = text; button.addEventListener("click", action);
    stage.replaceChildren(button);
  };
  const buttons = (on) => $("#judge-buttons").toggleAttribute("hidden", !on);
  let mode = null, current = null, order = [];

  const nextSingle = () => {
    mode = "single";
    current = test.items.findIndex((_, i) => !(i in answers.said));
    if (current < 0) { mode = null; buttons(false); status.textContent = `All ${test.items.length} pictures judged.`; stage.replaceChildren(); tell(); return menu(); }
    status.textContent = `Picture ${current + 1} of ${test.items.length}: real or generated?`;
    stage.replaceChildren(picture(current)); buttons(true);
  };
  const say = (word) => { if (mode !== "single") return; answers.said[current] = word; keep(); nextSingle(); };
  $("#say-real").addEventListener("click", () => say("real"));
  $("#say-fake").addEventListener("click", () => say("fake"));
  document.addEventListener("keydown", (event) => {
    if (mode !== "single" || event.metaKey || event.ctrlKey || event.altKey) return;
    if (event.key.toLowerCase() === "r") say("real");
    if (event.key.toLowerCase() === "g") say("fake");
  });

  const nextRound = () => {
    mode = "rank"; buttons(false); order = [];
    const at = answers.ranked.length;
    if (at >= test.rounds.length) { mode = null; status.textContent = `All ${test.rounds.length} rounds ranked.`; stage.replaceChildren(); tell(); return menu(); }
    status.textContent = `Round ${at + 1} of ${test.rounds.length}: click the pictures from most to least convincing.`;
    const box = document.createElement("div"); box.className = "rank";
    for (const i of test.rounds[at]) {
      const button = document.createElement("button"); button.append(picture(i));
      button.addEventListener("click", () => {
        if (order.includes(i)) return;
        order.push(i);
        const badge = document.createElement("i"); badge.textContent = order.length; button.append(badge);
        if (order.length === test.rounds[at].length) setTimeout(() => { answers.ranked.push(order); keep(); nextRound(); }, 350);
      });
      box.append(button);
    }
    stage.replaceChildren(box);
  };
  const menu = () => {
    const box = document.createElement("div"); box.className = "row";
    const left = test.items.length - Object.keys(answers.said).length, rounds = test.rounds.length - answers.ranked.length;
    const add = (text, action, off) => { const b = document.createElement("button"); b.textContent = text; b.className = off ? "" : "main"; b.disabled = off; b.addEventListener("click", action); box.append(b); };
    add(left ? `Real or generated? ${left} pictures` : "Real or generated: done", nextSingle, !left);
    add(rounds ? `Rank by eye: ${rounds} rounds of ${test.rounds[0].length}` : "Ranking: done", nextRound, !rounds);
    stage.replaceChildren(box); tell();
  };
  $("#judge-save").addEventListener("click", () => {
    const blob = new Blob([JSON.stringify({ ...answers, finished: new Date().toISOString() }, null, 1)], { type: "application/json" });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob); link.download = `answers-${test.identity.slice(0, 8)}.json`; link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
  $("#judge-again").addEventListener("click", () => { answers = fresh(); keep(); buttons(false); mode = null; status.textContent = ""; menu(); });
  menu();
})();
