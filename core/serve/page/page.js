"use strict";
const $ = (id) => document.getElementById(id);
const fields = [...$("fields").querySelectorAll("input")];
const turns = [];  // {role, text, article}: what has been said, the oldest first
let running = null;  // the AbortController of the reply that is being read
let model = null;  // as /v1/models has it
const kTouch = matchMedia("(pointer: coarse)").matches;  // there Enter breaks the line

// --- The server

async function ask(path, body, signal) {
  const headers = body ? { "Content-Type": "application/json" } : {};
  if ($("key").value) headers.Authorization = "Bearer " + $("key").value;
  const answer = await fetch(path, {
    method: body ? "POST" : "GET", headers, signal, cache: "no-store",
    body: body && JSON.stringify(body),
  });
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => ({}));
  const error = Object.assign(new Error(`The server says ${answer.status}.`), told.error);
  if (answer.status === 401) $("key-row").hidden = false;
  throw Object.assign(error, { status: answer.status });
}

// Waits until the model is loaded and the key is right, then shows what is served.
async function connect() {
  try {
    model = (await (await ask("v1/models")).json()).data[0];
    $("model").textContent = document.title = model.id;
    showUse(0);
    say("");
    await explain(true);
  } catch (error) {
    model = null;
    say(error.status === 401 ? "An API key is needed." :
        error.status ? error.message : "The server does not answer.");
    if (error.status === 401) openPanel($("key"));
    else setTimeout(connect, 1000);
  }
  showState();
}

// What the panel asks for; a field that is empty is left out.
function wishes() {
  const body = { model: model.id };
  for (const field of fields) {
    const text = field.value.trim();
    if (text) body[field.name] = Number.isFinite(+text) ? +text : text;
  }
  return body;
}

// Shows which samplers the next reply will have and who says so. `configured`: their values stand
// in the empty fields.
async function explain(configured) {
  const messages = [{ role: "user", content: "?" }];
  try {
    const told = await (await ask("ropewalk/v1/explain", { ...wishes(), messages })).json();
    const value = { max_tokens: told.max_tokens[0] };
    $("chain").replaceChildren(...told.chain.map((link) => {
      const item = document.createElement("li");
      item.append(make("b", link.sampler));
      for (const option of link.options) {
        value[`${link.sampler}.${option.option}`] = option.value;
        item.append(` ${option.option} ${option.value || "-"} `);
        if (option.from !== "default") item.append(make("small", `(${short(option.from)}) `));
      }
      return item;
    }));
    if (!told.chain.length) $("chain").append(make("li", "none: always the likeliest token"));
    if (configured)
      for (const field of fields) field.placeholder = value[field.dataset.shows] || (field.dataset.shows ? "off" : "");
    problem(told.ignored.length ? `Not changed, the server has locked it: ${told.ignored.join(", ")}.` :
            told.clipped.join(" "), told.ignored);
  } catch (error) {
    problem(error.message, [error.param]);
  }
}

// Of FOLDER/FILE:LINE:COLUMN the file and the line.
function short(place) { return place.replace(/^.*\//, "").replace(/:(\d+):\d+$/, ":$1"); }

function problem(text, names) {
  $("problem").textContent = text;
  for (const field of fields) field.setAttribute("aria-invalid", String(names.includes(field.name)));
}

// The events of a stream as JSON.
async function* events(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ""; ;) {
    const { value, done } = await reader.read();
    if (done) throw new Error("The answer has broken off.");
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (line === "data: [DONE]") return;
      if (line.startsWith("data: ")) yield JSON.parse(line.slice(6));
    }
  }
}

// --- The conversation

async function reply() {
  const messages = turns.filter((turn) => turn.text).map(({ role, text }) => ({ role, content: text }));
  if ($("system").value.trim()) messages.unshift({ role: "system", content: $("system").value });
  const turn = add("assistant", "");
  const begun = performance.now();
  let first = 0, usage = null, own = null, finish = null;
  running = new AbortController();
  turn.article.setAttribute("aria-busy", "true");
  showState();
  try {
    const answer = await ask("v1/chat/completions", {
      ...wishes(), messages, stream: true, stream_options: { include_usage: true },
      ropewalk: { truncate: "drop-oldest" },
    }, running.signal);
    for await (const event of events(answer)) {
      if (event.error) throw Object.assign(new Error(), event.error);
      const choice = event.choices[0];
      if (choice?.delta.content) {
        first ||= performance.now();
        stick(() => turn.node.append(choice.delta.content));
        turn.text += choice.delta.content;
      }
      finish = choice?.finish_reason || finish;
      usage = event.usage || usage;
      own = event.ropewalk || own;
    }
    note(turn, ending(usage, own, finish, first - begun, performance.now() - first));
    showUse(usage.total_tokens);
  } catch (error) {
    const stopped = error.name === "AbortError";
    note(turn, stopped ? "stopped" : error.message, !stopped);
  }
  turn.article.removeAttribute("aria-busy");
  running = null;
  showState();
}

function ending(usage, own, finish, wait, time) {
  const parts = [`${usage.completion_tokens} tokens`];
  const rate = 1000 * (usage.completion_tokens - 1) / time;
  if (rate > 0 && time > 50)  // what has come at once has no rate
    parts.push(`${rate.toFixed(rate < 100 ? 1 : 0)} tokens/s`);
  parts.push(`first after ${(wait / 1000).toFixed(2)} s`, `seed ${own.seeds[0]}`);
  if (own.finish[0] === "deadline") parts.push("its time was over");
  else if (finish === "length") parts.push("ended by the length limit");
  if (own.dropped_messages) parts.push(`without the oldest ${own.dropped_messages} messages, which no longer fit`);
  return parts.join(" · ");
}

function submit() {
  const text = $("text").value.trim();
  if (!text || running || !model) return;
  add("user", text);
  $("text").value = "";
  grow($("text"));
  $("log").scrollTop = $("log").scrollHeight;
  reply();
}

// Asks again: for this reply, or for the one to this message.
function retry(turn) {
  if (running || !model) return;
  cut(turns.indexOf(turn) + (turn.role === "user" ? 1 : 0));
  reply();
}

function edit(turn) {
  if (running) return;
  const box = Object.assign(make("textarea", ""), { rows: 1 });
  box.value = turn.text;
  box.setAttribute("aria-label", "Edit the message");
  const end = () => { turn.node.replaceChildren(turn.text); actions(turn); $("text").focus(); };
  const done = () => {
    const text = box.value.trim();
    if (text) turn.text = text;
    end();
    if (turn.role === "user") retry(turn);
  };
  box.onkeydown = (event) => {
    if (event.key === "Escape") end();
    else if (sends(event)) done();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  box.oninput = () => grow(box);
  turn.node.replaceChildren(box);
  turn.article.querySelector(".acts").replaceChildren(
    button(turn.role === "user" ? "Send" : "Keep", done, "main"), button("Cancel", end));
  grow(box);
  box.focus();
}

// --- What is shown

function make(tag, text) {
  return Object.assign(document.createElement(tag), { textContent: text });
}

function button(text, run, kind) {
  return Object.assign(make("button", text), { type: "button", onclick: run, className: kind || "" });
}

function add(role, text) {
  if (!turns.length) $("log").replaceChildren();
  const article = $("turn").content.cloneNode(true).firstElementChild;
  const turn = { role, text, article, node: article.querySelector(".text") };
  article.className = role;
  article.querySelector("h2").textContent = role === "user" ? "You" : model.id;
  turn.node.append(text);
  turns.push(turn);
  actions(turn);
  stick(() => $("log").append(article));
  return turn;
}

function actions(turn) {
  const copy = button("Copy", async () => {
    await navigator.clipboard.writeText(turn.text);
    copy.textContent = "Copied";
    setTimeout(() => { copy.textContent = "Copy"; }, 1500);
  });
  const list = [button("Edit", () => edit(turn)), button("Retry", () => retry(turn))];
  if (navigator.clipboard) list.push(copy);
  turn.article.querySelector(".acts").replaceChildren(...list);
}

function note(turn, text, bad) {
  const place = turn.article.querySelector(".note");
  stick(() => { place.textContent = text; });
  place.classList.toggle("bad", !!bad);
}

// Forgets all turns from this one on.
function cut(from) {
  for (const turn of turns.splice(from)) turn.article.remove();
}

// Changes the log, and follows its end where the reader was there.
function stick(change) {
  const log = $("log");
  const follows = log.scrollHeight - log.scrollTop - log.clientHeight < 48;
  change();
  if (follows) log.scrollTop = log.scrollHeight;
}

function grow(box) {
  box.style.height = "auto";
  box.style.height = `${box.scrollHeight + box.offsetHeight - box.clientHeight}px`;
}

function say(text) { $("state").textContent = text; }

function showUse(tokens) {
  const context = model.max_model_len.toLocaleString("en");
  $("facts").textContent =
    tokens ? `${tokens.toLocaleString("en")} of ${context} tokens` : `context ${context} tokens`;
}

function showState() {
  $("send").hidden = !!running;
  $("stop").hidden = !running;
  $("send").disabled = !model;
  $("clear").hidden = !turns.length;
  stick(() => { for (const turn of turns) turn.article.querySelector(".acts").hidden = !!running; });
  if (!turns.length) {
    const hint = make("p", model ? "Ask something. The conversation stays in this page." : "");
    hint.className = "empty";
    $("log").replaceChildren(hint);
  }
}

function openPanel(target) {
  $("panel").hidden = false;
  $("toggle").setAttribute("aria-expanded", "true");
  target.focus();
}

function closePanel() {
  $("panel").hidden = true;
  $("toggle").setAttribute("aria-expanded", "false");
  $("text").focus();
}

// --- Keys and buttons

function sends(event) {
  return event.key === "Enter" && !event.shiftKey && !event.isComposing && (!kTouch || event.ctrlKey);
}

$("composer").onsubmit = (event) => { event.preventDefault(); submit(); };
$("text").oninput = () => grow($("text"));
$("text").onkeydown = (event) => {
  const last = turns.findLast((turn) => turn.role === "user");
  if (sends(event)) submit();
  else if (event.key === "ArrowUp" && !$("text").value && last) edit(last);
  else return;
  event.preventDefault();
};
$("stop").onclick = () => { running?.abort(); $("text").focus(); };
$("clear").onclick = () => {
  running?.abort();
  cut(0);
  showUse(0);
  showState();
  $("text").focus();
};
$("toggle").onclick = () => ($("panel").hidden ? openPanel(fields[0]) : closePanel());
$("close").onclick = closePanel;
$("reset").onclick = () => { for (const field of fields) field.value = ""; explain(true); };
$("panel").onsubmit = (event) => { event.preventDefault(); closePanel(); };
$("key").onchange = connect;
let timer = 0;
$("fields").oninput = () => {
  clearTimeout(timer);
  timer = setTimeout(() => model && explain(false), 200);
};
document.onkeydown = (event) => {
  const typing = /^(TEXTAREA|INPUT)$/.test(document.activeElement.tagName);
  if (event.key === "Escape" && running) running.abort();
  else if (event.key === "Escape" && !$("panel").hidden) closePanel();
  else if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) $("text").focus();
  else return;
  event.preventDefault();
};

showState();
connect();
