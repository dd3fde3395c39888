// What the laboratory has new, shown in place. Every word from it becomes a text node: nothing of it can act as markup.
"use strict";

const POLL_MS = 350, HIDDEN_MS = 5000, LONGEST_MS = 10000, FAR = 4, DOTS = 14;
const TONES = { measuring: "calm", stalled: "bad", suspended: "bad", interrupted: "bad", asks: "ask", paused: "ask", waiting: "ask", held: "calm", free: "still", over: "still" };
const MARKS = { measuring: "●", stalled: "▲", suspended: "◆", interrupted: "✕", asks: "?", paused: "‖", waiting: "…", held: "◐", free: "○", over: "■" };
const VERDICTS = { VERIFIED: ["good", "✓"], REFUTED: ["bad", "✗"], NOT_REACHABLE: ["ask", "∅"], INCONCLUSIVE: ["still", "~"], "": ["still", "·"] };
const SVG = "http://www.w3.org/2000/svg";

const state = { life: "", version: 0, serial: 0, board: null, lanes: new Map(), cards: new Map(), ahead: 0, heardAt: 0, fails: 0, token: "", person: "", alarms: "" };
const byId = (id) => document.getElementById(id);

// ---------------------------------------------------------------- elements

function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "click") made.addEventListener("click", value);
    else if (value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

function draw(tag, attributes = {}) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function say(element, words) { if (element.textContent !== words) element.textContent = words; }
function tone(element, name) { if (element.dataset.tone !== name) { element.classList.remove(element.dataset.tone || "none"); element.classList.add(name); element.dataset.tone = name; } }
function hint(element, words) { if (element.title !== words) element.title = words; }
function verdict(name) { return VERDICTS[name.replaceAll(" ", "_")] || VERDICTS[""]; }

// ---------------------------------------------------------------- words

function number(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  const plain = size >= 1000 && size < 1e6 ? value.toFixed(0) : size && (size >= 1e6 || size < 1e-3) ? value.toExponential(2) : String(Number(value.toPrecision(4)));
  return plain.replace("-", "−");
}

function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  for (const [name, size, least, of] of [["d", 86400, "h", 3600], ["h", 3600, "min", 60], ["min", 60, "s", 1]])
    if (whole >= size) {
      const rest = Math.floor((whole % size) / of);
      return `${Math.floor(whole / size)} ${name}` + (rest && name !== "min" ? ` ${rest} ${least}` : "");
    }
  return `${whole} s`;
}

const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const moment = (seconds) => {
  const day = new Date(seconds * 1000), same = day.toDateString() === new Date(now() * 1000).toDateString();
  return same ? clock(seconds) : `${day.toLocaleDateString([], { day: "numeric", month: "short" })} ${clock(seconds)}`;
};
const now = () => Date.now() / 1000 + state.ahead;

// ---------------------------------------------------------------- what is new

async function poll() {
  let wait = document.hidden ? HIDDEN_MS : POLL_MS;
  try {
    const asked = `/wall/api/news?life=${state.life}&board=${state.version}&reading=${state.serial}`;
    const answer = await fetch(asked, { cache: "no-store", signal: AbortSignal.timeout(15000) });
    if (!answer.ok) throw new Error(`${answer.status}`);
    take(await answer.json());
    state.heardAt = now(); state.fails = 0;
  } catch (error) {
    state.fails += 1;
    wait = Math.min(LONGEST_MS, POLL_MS * 2 ** state.fails);
  }
  tick();
  setTimeout(poll, wait);
}

function take(news) {
  state.ahead = news.now - Date.now() / 1000;
  state.fault = news.fault;
  if (news.life !== state.life) state.lanes.clear();
  Object.assign(state, { life: news.life, serial: news.serial });
  if (news.board) { state.board = news.board; state.version = news.version; }
  const changed = new Set();
  if (news.board)
    for (const [id, campaign] of Object.entries(news.board.campaigns)) {
      const names = JSON.stringify(campaign.channels.map((channel) => channel.name));
      if (!state.lanes.has(id) || state.lanes.get(id).names !== names) state.lanes.set(id, { names, readings: [], references: [] });
      changed.add(id);
    }
  for (const [row, id, at, reference, values] of news.readings) {
    const lane = state.lanes.get(id);
    if (!lane) continue;
    const line = reference ? lane.references : lane.readings;
    if (!line.some((reading) => reading.row === row)) line.push({ row, at, values });
    changed.add(id);
  }
  for (const id of changed) {
    const lane = state.lanes.get(id);
    for (const line of [lane.readings, lane.references]) { line.sort((a, b) => a.row - b.row); line.splice(0, line.length - 120); }
  }
  if (news.board) showBoard();
  for (const card of state.cards.values()) if (changed.has(card.campaign)) showReadings(card);
}

// ---------------------------------------------------------------- the board

function showBoard() {
  const board = state.board, present = new Set(), place = byId("cards");
  board.instruments.forEach((instrument, index) => {
    const key = instrument.identity || instrument.name;
    present.add(key);
    if (!state.cards.has(key)) state.cards.set(key, makeCard());
    const card = state.cards.get(key);
    if (place.children[index] !== card.root) place.insertBefore(card.root, place.children[index] || null);
    showCard(card, instrument, board.campaigns[instrument.campaign]);
  });
  for (const [key, card] of state.cards) if (!present.has(key)) { card.root.remove(); state.cards.delete(key); }
  place.toggleAttribute("data-few", board.instruments.length < 3);
  const atWork = board.instruments.filter((instrument) => instrument.kind === "measuring").length;
  say(byId("sum"), board.instruments.length ? `${count(board.instruments.length, "instrument")}, ${atWork} measuring` : "No instrument yet: 'sdl up lab.toml' names some, 'sdl run' brings one.");
  if (!state.led && location.hash) byId(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
  state.led = true;
  hint(byId("sum"), byId("sum").textContent);
  showAlarms(board.alarms);
  showLists(board);
}

const count = (n, noun) => `${n} ${noun}${n === 1 ? "" : "s"}`;

function showAlarms(alarms) {
  const items = alarms.slice(0, 3).map((alarm) => make("li", { class: alarm.kind === "asks" ? "ask" : "bad" },
    make("b", {}, `${MARKS[alarm.kind]} ${alarm.state}`), make("span", { class: "cut", title: alarm.words }, `${alarm.campaign}: ${alarm.words}`)));
  if (alarms.length > 3) items.push(make("li", { class: "more bad" }, make("b", {}, `and ${alarms.length - 3} more`)));
  if (!alarms.length) items.push(make("li", { class: "none" }, "✓ No alarm, and no approval is waited for"));
  byId("alarms").querySelector("ul").replaceChildren(...items);
  const heard = alarms.map((alarm) => `${alarm.state}: ${alarm.campaign}`).join("; ");
  if (heard !== state.alarms) { state.alarms = heard; say(byId("heard"), heard || "No alarm"); }
}

function makeCard() {
  const part = {};
  const keep = (name, element) => (part[name] = element);
  const root = make("article", { class: "card" },
    make("header", {}, keep("name", make("h2", { class: "cut" })), make("p", { class: "pill" }, keep("mark", make("span", { "aria-hidden": "true" })), keep("word", make("span")))),
    make("p", { class: "title" }, keep("title", make("a", { class: "cut" })), keep("sent", make("span", { class: "small quiet" }))),
    make("div", { class: "bar", "aria-hidden": "true" }, keep("bar", draw("svg"))),
    keep("about", make("p", { class: "small quiet cut" })),
    keep("held", make("p", { class: "small quiet cut" })),
    keep("channels", make("div", { class: "channels" })),
    keep("waits", make("p", { class: "waits cut" })),
    make("footer", {}, keep("chips", make("ul", { class: "chips", "aria-label": "Verdicts" })), keep("run", make("a", { class: "small", target: "_blank", rel: "noopener" }, "Prefect run")), keep("buttons", make("span"))));
  part.fill = part.bar.appendChild(draw("rect", { height: "100%", width: "0%" }));
  return { root, part, campaign: null, channels: [], shape: "", actions: "" };
}

function showCard(card, instrument, campaign) {
  const { part } = card;
  tone(card.root, TONES[instrument.kind]);
  say(part.name, instrument.name); hint(part.name, instrument.identity || instrument.name);
  say(part.mark, MARKS[instrument.kind]); say(part.word, instrument.state);
  say(part.held, instrument.holder ? `held by ${instrument.holder} since ${moment(instrument.since)} (${instrument.process})` : "nobody holds it");
  hint(part.held, part.held.textContent);
  card.campaign = instrument.campaign; card.kind = instrument.kind;
  if (!campaign) { say(part.title, "no campaign yet"); part.title.removeAttribute("href"); part.run.hidden = true; return; }
  card.root.id = campaign.name;
  const over = campaign.kind === "over";
  say(part.title, campaign.title); hint(part.title, `${campaign.name}: its report`);
  part.title.setAttribute("href", `/wall/report/${encodeURIComponent(campaign.name)}`);
  say(part.sent, campaign.budget ? `${campaign.sent} of ${campaign.budget}` : count(campaign.sent, "request"));
  part.fill.setAttribute("width", `${campaign.budget ? Math.min(100, 100 * campaign.sent / campaign.budget) : 0}%`);
  say(part.about, over ? `${campaign.state.toLowerCase()} ${moment(campaign.updated)}` : campaign.about || "before its first round");
  const words = campaign.kind === "measuring" ? campaign.last : campaign.waits ? `waits for ${campaign.waits}` : campaign.reason || campaign.last;
  say(part.waits, words); hint(part.waits, words);
  part.run.hidden = !campaign.run;
  if (campaign.run) part.run.setAttribute("href", `/runs/flow-run/${encodeURIComponent(campaign.run)}`);
  showChips(part.chips, campaign);
  showButtons(card, campaign);
  const shape = JSON.stringify([campaign.target, campaign.channels, campaign.more]);
  if (shape !== card.shape) { card.shape = shape; makeChannels(card, campaign); }
}

function showChips(list, campaign) {
  const chips = campaign.tally ? [make("li", {}, campaign.tally)] : campaign.verdicts.map((found) => {
    const [colour, mark] = verdict(found.verdict);
    return make("li", { class: `${colour} cut`, title: found.sentence }, make("b", {}, `${mark} ${found.verdict.replaceAll("_", " ") || "open"}`), ` ${found.target}`);
  });
  if (list.textContent !== chips.map((chip) => chip.textContent).join("")) list.replaceChildren(...chips);
}

function showButtons(card, campaign) {
  const offered = campaign.kind === "over" ? [] : [
    ...(campaign.asks ? [["approve", "Approve…", "main"]] : []),
    campaign.kind === "paused" || campaign.kind === "suspended" ? ["resume", "Go on", ""] : ["pause", "Pause", ""],
    ["stop", "Stop", "stop"]];
  const actions = JSON.stringify([campaign.name, offered]);
  if (actions === card.actions) return;
  card.actions = actions;
  card.part.buttons.replaceChildren(...offered.flatMap(([what, words, kind]) => [make("button", { type: "button", class: kind, "aria-label": `${words} ${campaign.title}`, click: () => ask(what, campaign) }, words), " "]));
}

// ---------------------------------------------------------------- readings

function makeChannels(card, campaign) {
  card.channels = campaign.channels.map((channel) => {
    const band = draw("svg", { class: "band", "aria-hidden": "true" }), spark = draw("svg", { class: "spark", "aria-hidden": "true", viewBox: "0 0 100 100", preserveAspectRatio: "none" });
    const value = make("p", { class: "value" }, "–"), off = make("p", { class: "off" });
    const root = make("li", { class: "channel" },
      make("div", { class: "cut" }, make("p", { class: "name cut", title: channel.name }, channel.name), make("p", { class: "aim cut", title: channel.aim }, channel.aim || channel.unit)),
      make("div", { class: "band" }, band), make("div", { class: "spark" }, spark), make("div", {}, value, off));
    return { ...channel, root, band, spark, value, off };
  });
  const target = campaign.target ? `target ${campaign.target}` : "readings";
  card.span = make("span", { class: "wide" }); card.part.age = make("span");
  card.part.channels.replaceChildren(
    make("p", { class: "heads" }, make("span", { class: "cut", title: campaign.target }, target), make("span", { class: "cut" }, "readings"),
      make("span", { class: "cut", title: "as the references read it" }, "background", card.span), card.part.age),
    make("ul", {}, ...card.channels.map((channel) => channel.root)),
    ...(campaign.more ? [make("p", { class: "small quiet" }, `and ${count(campaign.more, "more channel")}`)] : []));
  showReadings(card);
}

function showReadings(card) {
  const lane = state.lanes.get(card.campaign);
  if (!lane) return;
  const counted = lane.readings.filter((reading) => reading.values.length), references = lane.references.filter((reading) => reading.values.length);
  const span = references.length > 1 ? references.at(-1).at - references[0].at : 0;
  if (card.span) say(card.span, span ? `, ${duration(span)}` : "");
  card.channels.forEach((channel, place) => {
    const values = counted.slice(-DOTS).map((reading) => reading.values[place]).filter((value) => value !== null);
    showBand(channel, values, counted.map((reading) => reading.values[place]));
    showSpark(channel, references.map((reading) => reading.values[place]));
  });
}

function aimOf(channel, all) {
  if (!channel.extreme) return { wanted: channel.wanted, low: channel.low, high: channel.high };
  const known = all.filter((value) => value !== null);
  if (!known.length) return { wanted: null, low: null, high: null };
  const best = channel.extreme > 0 ? Math.max(...known) : Math.min(...known);
  return { wanted: best, low: channel.extreme > 0 ? best - channel.unit_of : null, high: channel.extreme < 0 ? best + channel.unit_of : null };
}

function showBand(channel, values, all) {
  const last = values.at(-1), aim = aimOf(channel, all), known = aim.wanted !== null && aim.wanted !== undefined;
  const inside = (value) => (aim.low === null || value >= aim.low) && (aim.high === null || value <= aim.high);
  say(channel.value, last === undefined ? "–" : number(last));
  channel.value.className = `value${known && last !== undefined ? (inside(last) ? " in" : " out") : ""}`;
  if (!known) { channel.band.replaceChildren(draw("line", { class: "axis", x1: "0", x2: "100%", y1: "50%", y2: "50%" })); say(channel.off, channel.unit); return; }
  const units = last === undefined ? 0 : (last - aim.wanted) / channel.unit_of;
  const far = Math.abs(units) >= 10 ? units.toFixed(0) : units.toFixed(1);
  say(channel.off, last === undefined ? "" : inside(last) ? "✓ inside" : `${units > 0 ? "+" : ""}${far}`.replace("-", "−") + " tol.");
  const at = (value) => 50 + 46 * Math.max(-1, Math.min(1, (value - aim.wanted) / (FAR * channel.unit_of)));
  const from = aim.low === null ? 0 : at(aim.low), to = aim.high === null ? 100 : at(aim.high);
  const shapes = [draw("line", { class: "axis", x1: "0", x2: "100%", y1: "50%", y2: "50%" }), draw("rect", { x: `${from}%`, width: `${to - from}%`, y: "8%", height: "84%", rx: "2" }),
    draw("line", { x1: "50%", x2: "50%", y1: "8%", y2: "92%" })];
  values.forEach((value, index) => {
    const newest = index === values.length - 1, size = newest ? 6 : 3, x = at(value), kind = inside(value) ? "in" : "out";
    const opacity = newest ? 1 : 0.2 + 0.5 * index / values.length;
    const holder = draw("svg", { x: `${x}%`, y: "50%", overflow: "visible", opacity });
    holder.append(kind === "in" ? draw("circle", { r: size, class: `in${newest ? " last" : ""}` })
      : draw("path", { d: `M0 ${-size * 1.2}L${size * 1.2} 0L0 ${size * 1.2}L${-size * 1.2} 0Z`, class: `out${newest ? " last" : ""}` }));
    shapes.push(holder);
  });
  channel.band.replaceChildren(...shapes);
}

function showSpark(channel, values) {
  const known = values.map((value, index) => [index, value]).filter(([, value]) => value !== null);
  if (known.length < 2) { channel.spark.replaceChildren(draw("line", { x1: 0, x2: 100, y1: 50, y2: 50 })); return; }
  const low = Math.min(...known.map(([, value]) => value)), high = Math.max(...known.map(([, value]) => value));
  const middle = (low + high) / 2, half = Math.max((high - low) / 2, channel.unit_of || 0, 1e-12) * 1.1, last = values.length - 1;
  const points = known.map(([index, value]) => `${(100 * index / last).toFixed(1)},${(50 - 50 * (value - middle) / half).toFixed(1)}`).join(" ");
  channel.spark.replaceChildren(draw("line", { x1: 0, x2: 100, y1: 50, y2: 50 }), draw("polyline", { points }));
}

// ---------------------------------------------------------------- lists

function fill(id, items, none) {
  byId(id).replaceChildren(...(items.length ? items.slice(0, 6) : [make("li", { class: "none" }, none)]));
}

function showLists(board) {
  const campaigns = Object.values(board.campaigns).sort((a, b) => b.updated - a.updated);
  fill("verdicts", campaigns.flatMap((campaign) => campaign.verdicts.filter((found) => found.verdict).map((found) => {
    const [colour, mark] = verdict(found.verdict);
    return make("li", { class: colour, title: found.sentence }, make("b", {}, `${mark} ${found.verdict.replaceAll("_", " ")}`),
      make("a", { class: "link cut", href: `/wall/report/${encodeURIComponent(campaign.name)}` }, `${campaign.title}: ${found.target}`), make("span", { class: "cut" }, found.sentence));
  })), "None yet");
  fill("others", board.others.map((campaign) => {
    const item = make("li", { class: TONES[campaign.kind] }, make("b", {}, `${MARKS[campaign.kind]} ${campaign.state}`),
      make("a", { class: "cut", href: `/wall/report/${encodeURIComponent(campaign.name)}`, title: campaign.reason }, campaign.name), make("span", { class: "fixed" }, campaign.targets ? `${campaign.verified}/${campaign.targets} verified` : ""));
    if (campaign.asks) item.append(make("button", { type: "button", class: "main", "aria-label": `Approve ${campaign.name}`, click: () => ask("approve", { ...campaign, title: campaign.name }) }, "Approve…"));
    return item;
  }), "None");
  fill("notices", campaigns.flatMap((campaign) => campaign.notices.map((notice) => ({ ...notice, campaign: campaign.name }))).sort((a, b) => b.at - a.at).map((notice) =>
    make("li", { title: notice.by ? `${notice.text} (${notice.by})` : notice.text }, make("time", {}, moment(notice.at)), make("span", { class: "cut" }, `${notice.campaign}: ${notice.text}`))), "Nothing yet");
  fill("next", board.next.map((due) => make("li", {}, make("time", {}, due.at ? moment(due.at) : "–"),
    make("a", { class: "cut", href: `/runs/flow-run/${encodeURIComponent(due.run)}` }, due.instrument ? `${due.what} on ${due.instrument}` : due.what),
    make("span", { class: "fixed" }, due.at ? (due.at > now() ? `in ${duration(due.at - now())}` : "due") : ""))), "Nothing is scheduled");
}

// ---------------------------------------------------------------- time

function tick() {
  const at = new Date(now() * 1000), silent = now() - state.heardAt, live = byId("live");
  say(byId("local"), at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }));
  say(byId("utc"), `${at.toISOString().slice(11, 16)} UTC`);
  const lost = state.heardAt && silent > 3;
  live.dataset.state = !state.heardAt ? "wait" : lost || state.fault ? "lost" : "live";
  say(byId("live-words"), !state.heardAt ? "connecting" : lost ? `no answer for ${duration(silent)}` : state.fault || "live");
  for (const card of state.cards.values()) {
    const lane = state.lanes.get(card.campaign), latest = lane && Math.max(0, ...[lane.readings.at(-1), lane.references.at(-1)].map((reading) => (reading && reading.at) || 0));
    if (card.part.age) say(card.part.age, latest ? `${duration(now() - latest)} ago` : "");
  }
}

// ---------------------------------------------------------------- what a person asks

async function send(path, body) {
  const answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  const said = await answer.json().catch(() => ({ fault: `the laboratory answered ${answer.status}` }));
  if (!answer.ok) throw Object.assign(new Error(said.fault), { status: answer.status });
  return said;
}

const SENTENCES = {
  pause: ["Pause", "It pauses before its next request. Nothing measured is lost, and it can go on."],
  stop: ["Stop", "It stops before its next request. Nothing measured is lost."],
  resume: ["Go on", "What paused or suspended it is taken back."],
};

async function ask(what, campaign) {
  const about = byId("asking-about");
  let shown = null, buttons;
  if (what === "approve") {
    try {
      const answer = await fetch(`/wall/api/approval?campaign=${encodeURIComponent(campaign.name)}`);
      shown = await answer.json();
      if (!answer.ok) throw new Error(shown.fault);
    } catch (error) { say(byId("heard"), error.message); return; }
    about.replaceChildren(make("p", {}, `${shown.what}: ${shown.why}`), ...shown.lines.map((line) => make("p", {}, line)), settings(shown));
    buttons = [["decline", "Decline", "stop"], ["approve", "Approve", "main"]];
  } else {
    about.replaceChildren(make("p", {}, SENTENCES[what][1]));
    buttons = [[what, SENTENCES[what][0], what === "stop" ? "stop" : "main"]];
  }
  const needed = state.board.guarded || (shown && shown.takes_token);
  converse(`${what === "approve" ? "Approve" : SENTENCES[what][0]}: ${campaign.title}`, needed && !state.token, true, buttons, async (chosen) => {
    if (needed && !state.token) await identify();
    const said = await send("/wall/api/ask", { campaign: campaign.name, what: chosen, note: byId("note").value, token: state.token, ...(shown ? { round: shown.round } : {}) });
    say(byId("heard"), said.said);
  });
}

function settings(shown) {
  if (!shown.rows.length) return make("p");
  const cells = (row, tag) => make("tr", {}, ...row.map((cell) => make(tag, {}, cell)));
  return make("div", {}, make("table", {}, make("thead", {}, cells(shown.knobs, "th")), make("tbody", {}, ...shown.rows.map((row) => cells(row, "td")))),
    make("p", { class: "quiet" }, shown.more ? `and ${shown.more} more settings` : ""));
}

async function identify() {
  const token = byId("token").value.trim();
  if (!token) throw new Error("Your token, please: 'sdl who add' gives one.");
  const holder = await send("/wall/api/who", { token });
  state.token = token; state.person = `${holder.name}, ${holder.role}`;
  say(byId("who"), `Sign out ${holder.name}`);
}

function converse(title, withToken, withNote, buttons, act) {
  const dialog = byId("asking"), fault = byId("fault");
  say(byId("asking-title"), title); say(fault, "");
  byId("token").value = ""; byId("note").value = "";
  byId("token-label").hidden = !withToken; byId("note-label").hidden = !withNote;
  const made = buttons.map(([what, words, kind], index) => make("button", { type: index === buttons.length - 1 ? "submit" : "button", class: kind, value: what }, words));
  const run = async (what) => {
    made.forEach((button) => { button.disabled = true; });
    try { await act(what); dialog.close(); } catch (error) {
      say(fault, error.message);
      if (error.status === 403 && state.token) { signOut(); byId("token-label").hidden = false; }
    } finally { made.forEach((button) => { button.disabled = false; }); }
  };
  made.forEach((button) => button.addEventListener("click", (event) => { event.preventDefault(); run(button.value); }));
  byId("asking-buttons").replaceChildren(make("button", { type: "button", click: () => dialog.close() }, "Cancel"), ...made);
  dialog.showModal();
}

function signOut() { state.token = state.person = ""; say(byId("who"), "Sign in"); }

byId("who").addEventListener("click", () => {
  if (state.token) { signOut(); return; }
  byId("asking-about").replaceChildren(make("p", {}, "This page keeps your token until it is closed or loaded anew, and nowhere else."));
  converse("Sign in", true, false, [["in", "Sign in", "main"]], identify);
});
document.addEventListener("visibilitychange", () => { if (!document.hidden) tick(); });
setInterval(tick, 1000);
poll();
