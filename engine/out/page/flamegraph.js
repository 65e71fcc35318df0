/* The flame graph's page: draws the tree in #data, and nothing else.
 *
 * A node of the tree is a number. Its children have higher numbers than itself, so one walk from the last node to the
 * first sums up weights, and one from the first to the last hands down what callers know. Only what is wide enough to be
 * seen becomes an element, and only the rows on the screen: a hundred thousand stacks cost no more than a hundred.
 *
 * All text comes from traced programs: it goes into text nodes and attributes, never into markup. */
"use strict";

(() => {
  const NARROWEST = 2; // pixels: what would be narrower is drawn as one hatched box with its neighbours
  const ROW = 20; // pixels
  const PAGE = 100; // events shown at a time
  const ALL = -1; // the root of all threads

  const $ = (id) => document.getElementById(id);
  const data = JSON.parse($("data").textContent);
  const graph = $("graph"), rows = $("rows");

  // --- the tree ---

  const stride = 3 + data.weights.length;
  const count = data.nodes.length / stride;
  const parents = new Int32Array(count), frames = new Int32Array(count), lines = new Int32Array(count);
  const own = data.weights.map(() => new Float64Array(count)); // of the stacks that end at a node
  const depths = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    const at = stride * i;
    parents[i] = data.nodes[at] - 1;
    frames[i] = data.nodes[at + 1];
    lines[i] = data.nodes[at + 2];
    own.forEach((weights, w) => { weights[i] = data.nodes[at + 3 + w]; });
    depths[i] = parents[i] < 0 ? 1 : depths[parents[i]] + 1;
  }
  const children = new Map(); // node → its children, made when first asked for
  const firsts = new Int32Array(count + 1).fill(ALL), siblings = new Int32Array(count).fill(ALL);
  for (let i = count - 1; i >= 0; i--) {
    siblings[i] = firsts[parents[i] + 1];
    firsts[parents[i] + 1] = i;
  }
  const lasts = new Int32Array(count + 1); // preorder: a node's descendants are orders[node] … lasts[node]
  const orders = new Int32Array(count);
  (function number() {
    const stack = [];
    let order = 0, node = firsts[0];
    while (node !== ALL || stack.length) {
      if (node === ALL) {
        const done = stack.pop();
        lasts[done] = order - 1;
        node = siblings[done];
      } else {
        orders[node] = order++;
        stack.push(node);
        node = firsts[node + 1];
      }
    }
  })();

  let totals = new Float64Array(count), whole = 0; // of the chosen weight and call
  let weight = 0; // which of data.weights

  function weigh() {
    const call = $("call").value;
    weight = Number($("weight").value || 0);
    totals = new Float64Array(count);
    whole = 0;
    for (let i = count - 1; i >= 0; i--) {
      const frame = data.frames[frames[i]];
      if (own[weight][i] && (!call || frame[0] === call)) totals[i] += own[weight][i];
      if (parents[i] >= 0) totals[parents[i]] += totals[i];
      else whole += totals[i];
    }
    children.clear();
  }

  function childrenOf(node) {
    let list = children.get(node);
    if (!list) {
      list = [];
      for (let child = firsts[node + 1]; child !== ALL; child = siblings[child])
        if (totals[child]) list.push(child);
      list.sort((a, b) => totals[b] - totals[a] || (nameOf(a) < nameOf(b) ? -1 : 1));
      children.set(node, list);
    }
    return list;
  }

  // --- what a node is called ---

  const frameOf = (node) => data.frames[frames[node]];
  const nameOf = (node) => (node === ALL ? "all" : frameOf(node)[0]);
  const kindOf = (node) => (node === ALL ? "all" : data.kinds[frameOf(node)[1]]);
  const isInlined = (node) => node !== ALL && frameOf(node)[2] === 1;
  const totalOf = (node) => (node === ALL ? whole : totals[node]);
  const depthOf = (node) => (node === ALL ? 0 : depths[node]);
  const parentOf = (node) => (node === ALL || parents[node] < 0 ? ALL : parents[node]);
  const number = (n) => n.toLocaleString("en");
  const plural = (n, word) => `${number(n)} ${word}${n === 1 ? "" : "s"}`;
  const percent = (n) => (whole ? `${(100 * n / whole).toFixed(n && n < whole / 1000 ? 3 : 1)} %` : "0 %");
  const KINDS = {
    thread: "thread", call: "call", kernel: "kernel", native: "native", java: "Java", js: "JavaScript", python: "Python",
    lua: "Lua", stub: "stub", marker: "marker", unknown: "unknown", end: "incomplete stack", all: "all threads",
  };

  function sourceOf(node) {
    const file = node === ALL ? undefined : frameOf(node)[3];
    if (file === undefined) return "";
    if (lines[node] > 0) return `${file}:${lines[node]}`;
    return lines[node] < 0 ? `${file} (several lines)` : file;
  }

  const weighed = (n) => plural(n, data.weights[weight]);
  const amount = (node) => `${weighed(totalOf(node))}, ${percent(totalOf(node))}`;

  // --- state ---

  let zoomed = ALL, current = ALL, selected = null;
  let pattern = null, hits = null; // of frames: whether they match
  let found = []; // nodes that match, from left to right, top to bottom
  let flame = true; // the root is at the bottom
  let layout = []; // rows from the root: boxes {node, x, w}, or {more, x, w} for what is too narrow
  let drawn = new Map(); // row → its elements
  let underneath = 0; // pixels of the graph that are scrolled away at the bottom, where a flame graph's root is
  const trail = []; // where Escape goes back to

  function lineage(node) {
    const list = [];
    for (let at = node; ; at = parentOf(at)) {
      list.unshift(at);
      if (at === ALL) return list;
    }
  }

  // --- layout: which boxes there are ---

  function place() {
    const width = rows.clientWidth;
    layout = lineage(zoomed).map((node) => [{ node, x: 0, w: width }]);
    let row = layout[layout.length - 1];
    while (row.length) {
      const below = [];
      for (const box of row) if (box.more === undefined) placeChildren(box, below);
      if (below.length) layout.push(below);
      row = below;
    }
    for (const boxes of layout) boxes.forEach((box, i) => { box.at = i; });
  }

  /* Largest first, so that what is too narrow stands together at the end. */
  function placeChildren(box, below) {
    const scale = box.w / totalOf(box.node);
    const list = childrenOf(box.node);
    let x = box.x;
    for (let i = 0; i < list.length; i++) {
      const w = totals[list[i]] * scale;
      if (w < NARROWEST) {
        let rest = 0;
        for (let j = i; j < list.length; j++) rest += totals[list[j]];
        if (rest * scale >= 1) below.push({ more: list.length - i, events: rest, x, w: rest * scale });
        return;
      }
      below.push({ node: list[i], x, w });
      x += w;
    }
  }

  const boxOf = (node) => (layout[depthOf(node)] || []).find((box) => box.node === node);
  const topOf = (row) => (flame ? (layout.length - 1 - row) * ROW : row * ROW);

  // --- drawing: the rows on the screen ---

  function element(box, row) {
    const e = document.createElement("div");
    e.style.left = `${box.x}px`;
    e.style.top = `${topOf(row)}px`;
    e.style.width = `${Math.max(box.w - 1, 1)}px`;
    if (box.more !== undefined) {
      e.className = "narrow";
      e.setAttribute("role", "none");
      e.dataset.more = `${plural(box.more, "frame")} too narrow to draw, ${weighed(box.events)}`;
      return e;
    }
    const { node } = box;
    const hit = hits && node !== ALL && hits[frames[node]];
    e.className = `frame kind-${kindOf(node)} tone${node === ALL ? 0 : frames[node] % 3}`;
    e.classList.toggle("hit", Boolean(hit));
    e.classList.toggle("inlined", isInlined(node));
    e.classList.toggle("above", node !== zoomed && depthOf(node) < depthOf(zoomed));
    e.dataset.node = node;
    e.tabIndex = node === current ? 0 : -1;
    e.setAttribute("role", "treeitem");
    e.setAttribute("aria-level", row + 1);
    e.setAttribute("aria-posinset", box.at + 1);
    e.setAttribute("aria-setsize", layout[row].length);
    e.setAttribute("aria-selected", node === selected);
    e.setAttribute("aria-label",
      `${nameOf(node)}, ${KINDS[kindOf(node)]}${isInlined(node) ? ", inlined" : ""}, ${amount(node)}${hit ? ", matches" : ""}`);
    if (box.w >= 24) e.textContent = nameOf(node);
    else e.classList.add("bare");
    return e;
  }

  function draw() {
    const first = Math.floor(graph.scrollTop / ROW) - 10;
    const last = Math.ceil((graph.scrollTop + graph.clientHeight) / ROW) + 10;
    const keep = new Map();
    for (let line = Math.max(first, 0); line <= last && line < layout.length; line++) {
      const row = flame ? layout.length - 1 - line : line;
      let elements = drawn.get(row);
      if (!elements) {
        elements = layout[row].map((box) => element(box, row));
        rows.append(...elements);
      }
      drawn.delete(row);
      keep.set(row, elements);
    }
    for (const elements of drawn.values()) for (const e of elements) e.remove();
    drawn = keep;
  }

  const elementOf = (node) => {
    const box = boxOf(node);
    return box ? (drawn.get(depthOf(node)) || [])[box.at] : undefined;
  };

  /* Everything anew; what had the focus has it again. */
  function render() {
    const focused = rows.contains(document.activeElement);
    place();
    if (!boxOf(current)) current = zoomed;
    rows.style.height = `${layout.length * ROW}px`;
    graph.style.height = `${layout.length * ROW + 2}px`;
    if (flame) graph.scrollTop = graph.scrollHeight - graph.clientHeight - underneath;
    for (const elements of drawn.values()) for (const e of elements) e.remove();
    drawn = new Map();
    draw();
    if (focused) focus(current);
  }

  function reveal(node) {
    const top = topOf(depthOf(node));
    if (top < graph.scrollTop) graph.scrollTop = top;
    else if (top + ROW > graph.scrollTop + graph.clientHeight) graph.scrollTop = top + ROW - graph.clientHeight;
    draw();
  }

  function setCurrent(node) {
    const before = elementOf(current);
    if (before) before.tabIndex = -1;
    current = node;
    const after = elementOf(node);
    if (after) after.tabIndex = 0;
  }

  function focus(node) {
    setCurrent(node);
    reveal(node);
    const e = elementOf(node);
    if (e) {
      e.tabIndex = 0;
      e.focus({ preventScroll: true });
    }
  }

  function say(text) {
    $("live").textContent = text;
  }

  // --- zoom ---

  function zoom(node, remember = true) {
    if (remember && node !== zoomed) trail.push(zoomed);
    zoomed = node;
    current = node;
    $("reset").disabled = node === ALL;
    render();
    graph.scrollTop = flame ? graph.scrollHeight : 0; // with its callers, if there is room for both
    reveal(node);
    say(node === ALL ? `Everything: ${amount(ALL)}` : `Zoomed into ${nameOf(node)}: ${amount(node)}`);
  }

  function back() {
    if (zoomed === ALL) return false;
    zoom(trail.length ? trail.pop() : ALL, false);
    return true;
  }

  function reset() {
    trail.length = 0;
    zoom(ALL, false);
  }

  // --- one frame ---

  function fact(name, text) {
    const box = document.createElement("div"), dt = document.createElement("dt"), dd = document.createElement("dd");
    dt.textContent = name;
    dd.textContent = text;
    box.append(dt, dd);
    $("facts").append(box);
  }

  const isUnder = (leaf, node) => node === ALL || (orders[leaf] >= orders[node] && orders[leaf] <= lasts[node]);

  const stillOpen = new Set(data.open); // numbers of events
  let listed = [], shown = 0; // events of the selected frame

  function select(node) {
    const before = selected === null ? undefined : elementOf(selected);
    if (before) before.setAttribute("aria-selected", "false");
    selected = node;
    const e = elementOf(node);
    if (e) e.setAttribute("aria-selected", "true");
    $("details").hidden = false;
    $("frame-name").textContent = nameOf(node);
    $("facts").replaceChildren();
    fact("Kind", KINDS[kindOf(node)] + (isInlined(node) ? ", inlined" : ""));
    if (sourceOf(node)) fact(lines[node] ? "Source" : "File", sourceOf(node));
    fact(weight ? "Open descriptors" : "Events", `${number(totalOf(node))} (${percent(totalOf(node))})`);
    fillPath(node);
    fillEvents(node);
  }

  function fillPath(node) {
    $("path").replaceChildren(...lineage(node).slice(0, -1).map((at) => {
      const item = document.createElement("li"), button = document.createElement("button");
      button.type = "button";
      button.textContent = nameOf(at);
      button.className = `kind-${kindOf(at)}`;
      button.title = sourceOf(at);
      button.addEventListener("click", () => choose(at));
      item.append(button);
      return item;
    }));
    $("path-title").hidden = node === ALL;
  }

  function fillEvents(node) {
    const call = $("call").value;
    listed = data.events.filter((event, i) => isUnder(event[0], node) && (!weight || stillOpen.has(i)) &&
      (!call || data.probes[event[1]].name === call));
    shown = 0;
    $("events").replaceChildren();
    $("events-title").textContent = weight ? "Events whose descriptors are still open" : "Events";
    noteEvents(node);
    showEvents();
  }

  /* One event can make two descriptors, so of what is open only events can be counted, not what they lack. */
  function noteEvents(node) {
    const left = totalOf(node) - listed.length;
    let note = `${plural(listed.length, "event")}.`;
    if (weight) note = `${plural(listed.length, "event")}; of each stack, the first are kept in full.`;
    else if (left > 0) note = `${plural(listed.length, "event")} of ${number(totalOf(node))}: the others, ${number(left)}, were only counted.`;
    $("events-note").textContent = note;
  }

  function row(kind, cells) {
    const tr = document.createElement("tr");
    for (const cell of cells) {
      const e = document.createElement(kind);
      if (kind === "th") e.scope = "col";
      e.textContent = cell;
      tr.append(e);
    }
    return tr;
  }

  /* A table for each call, since each has fields of its own. */
  function tableOf(probe) {
    const id = `events-${probe}`;
    let body = document.getElementById(id);
    if (!body) {
      const table = document.createElement("table"), head = document.createElement("thead");
      table.createCaption().textContent = data.probes[probe].name;
      head.append(row("th", ["time (UTC)", "process/thread", "name", ...data.probes[probe].fields]));
      body = document.createElement("tbody");
      body.id = id;
      table.append(head, body);
      $("events").append(table);
    }
    return body;
  }

  function showEvents() {
    const upto = Math.min(shown + PAGE, listed.length);
    for (; shown < upto; shown++) {
      const [, probe, time, pid, tid, comm, ...values] = listed[shown];
      const who = pid === tid ? `${pid}` : `${pid}/${tid}`;
      tableOf(probe).append(row("td", [time.slice(11, 26), who, comm, ...values]));
    }
    $("more").hidden = shown >= listed.length;
    $("more").textContent = `Show more (${number(listed.length - shown)})`;
  }

  function choose(node) {
    hideTip();
    zoom(node);
    select(node);
  }

  // --- search ---

  function search() {
    const text = $("search").value, input = $("search");
    input.removeAttribute("aria-invalid");
    pattern = null;
    if (text) {
      try {
        pattern = new RegExp(text, "i");
      } catch (error) {
        input.setAttribute("aria-invalid", "true");
        $("found").textContent = "not a regular expression";
      }
    }
    hits = pattern ? data.frames.map((frame) => pattern.test(frame[0])) : null;
    tellFound();
    render();
  }

  function tellFound() {
    found = [];
    $("next").disabled = $("previous").disabled = true;
    if (!hits) {
      if (!$("search").hasAttribute("aria-invalid")) $("found").textContent = "";
      return;
    }
    const covered = new Uint8Array(count); // a caller matches: its events are counted already
    let events = 0;
    for (let i = 0; i < count; i++) {
      const hit = hits[frames[i]];
      const above = parents[i] >= 0 && covered[parents[i]];
      covered[i] = hit || above ? 1 : 0;
      if (hit && totals[i]) found.push(i);
      if (hit && !above) events += totals[i];
    }
    found.sort((a, b) => orders[a] - orders[b]);
    $("next").disabled = $("previous").disabled = !found.length;
    $("found").textContent = found.length
      ? `${plural(found.length, "frame")} ${found.length === 1 ? "matches" : "match"}: ${weighed(events)}, ${percent(events)}`
      : "no frame matches";
  }

  /* To a match that is not drawn because it is too narrow, or elsewhere, one has to zoom. */
  function go(direction) {
    if (!found.length) return;
    const at = current === ALL ? -1 : orders[current];
    let i = direction > 0 ? found.findIndex((node) => orders[node] > at) : found.findLastIndex((node) => orders[node] < at);
    if (i < 0) i = direction > 0 ? 0 : found.length - 1;
    const node = found[i];
    const box = boxOf(node);
    if (!box || (depthOf(node) < depthOf(zoomed) && node !== zoomed)) zoom(node);
    setCurrent(node);
    reveal(node);
    select(node);
    say(`Match ${i + 1} of ${found.length}: ${nameOf(node)}, ${amount(node)}`);
  }

  function endSearch() {
    if (!$("search").value) return false;
    $("search").value = "";
    search();
    return true;
  }

  // --- tooltip ---

  const tip = $("tip");

  function showTip(title, notes, x, y) {
    const b = document.createElement("b");
    b.textContent = title;
    tip.replaceChildren(b, ...notes.filter(Boolean).map((note) => {
      const span = document.createElement("span");
      span.textContent = note;
      return span;
    }));
    tip.hidden = false;
    const { width, height } = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(x + 12, innerWidth - width - 8))}px`;
    tip.style.top = `${y + 18 + height > innerHeight ? Math.max(4, y - height - 10) : y + 18}px`;
  }

  function hideTip() {
    tip.hidden = true;
  }

  function tipFor(e, x, y) {
    if (e.dataset.more) {
      showTip(e.dataset.more, [], x, y);
      return;
    }
    const node = Number(e.dataset.node);
    showTip(nameOf(node), [KINDS[kindOf(node)] + (isInlined(node) ? ", inlined" : ""), sourceOf(node), amount(node)], x, y);
  }

  // --- events of the page ---

  const MOVES = {
    ArrowLeft: () => neighbour(-1),
    ArrowRight: () => neighbour(1),
    ArrowUp: () => (flame ? widest() : parentOf(current)),
    ArrowDown: () => (flame ? parentOf(current) : widest()),
    Home: () => edge(0),
    End: () => edge(-1),
  };

  const drawnNodes = (row) => layout[row].filter((box) => box.more === undefined);

  function neighbour(direction) {
    const boxes = drawnNodes(depthOf(current));
    const next = boxes[boxes.findIndex((box) => box.node === current) + direction];
    return next ? next.node : current;
  }

  function edge(at) {
    return drawnNodes(depthOf(current)).at(at).node;
  }

  /* The callee with the most events; above the zoomed frame, the one that leads there. */
  function widest() {
    const row = depthOf(current) + 1;
    if (row <= depthOf(zoomed)) return layout[row][0].node;
    const child = childrenOf(current)[0];
    return child !== undefined && boxOf(child) ? child : current;
  }

  function onGraphKey(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (MOVES[event.key]) {
      event.preventDefault();
      focus(MOVES[event.key]());
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      choose(current);
    }
  }

  function onKey(event) {
    const typing = event.target.matches("input, select");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.altKey && !event.metaKey) {
      event.preventDefault();
      $("search").focus();
      $("search").select();
    } else if (event.key === "Escape") {
      if (!tip.hidden) hideTip();
      if (typing ? endSearch() : back() || endSearch()) event.preventDefault();
    }
  }

  function onSearchKey(event) {
    if (event.key !== "Enter") return;
    event.preventDefault();
    go(event.shiftKey ? -1 : 1);
  }

  function flip() {
    flame = !flame;
    $("flip").setAttribute("aria-pressed", String(!flame));
    render();
    graph.scrollTop = flame ? graph.scrollHeight : 0;
    reveal(zoomed);
    say(flame ? "The root is at the bottom" : "The root is at the top");
  }

  function onWeight() {
    weigh();
    if (!totalOf(zoomed)) {
      trail.length = 0;
      zoomed = ALL;
      $("reset").disabled = true;
    }
    tellFound();
    render();
    $("empty").hidden = whole > 0;
    if (selected !== null) select(totalOf(selected) ? selected : ALL);
    say(`${$("call").value || "All calls"}: ${amount(ALL)}`);
  }

  function listen() {
    let typed = 0;
    graph.addEventListener("click", (event) => {
      const e = event.target.closest("[data-node]");
      if (e) choose(Number(e.dataset.node));
    });
    graph.addEventListener("keydown", onGraphKey);
    graph.addEventListener("scroll", () => {
      underneath = graph.scrollHeight - graph.clientHeight - graph.scrollTop;
      requestAnimationFrame(draw);
    }, { passive: true });
    graph.addEventListener("pointermove", (event) => {
      const e = event.target.closest("[data-node], [data-more]");
      if (e && event.pointerType !== "touch") tipFor(e, event.clientX, event.clientY);
      else hideTip();
    });
    graph.addEventListener("pointerleave", hideTip);
    graph.addEventListener("focusin", (event) => {
      const e = event.target.closest("[data-node]");
      if (!e) return;
      setCurrent(Number(e.dataset.node));
      if (!e.matches(":focus-visible")) return;
      const { left, bottom } = e.getBoundingClientRect();
      tipFor(e, left, bottom - 14);
    });
    graph.addEventListener("focusout", hideTip);
    document.addEventListener("keydown", onKey);
    $("tools").addEventListener("submit", (event) => event.preventDefault());
    $("search").addEventListener("input", () => {
      clearTimeout(typed);
      typed = setTimeout(search, data.frames.length > 5000 ? 200 : 0);
    });
    $("search").addEventListener("keydown", onSearchKey);
    $("next").addEventListener("click", () => go(1));
    $("previous").addEventListener("click", () => go(-1));
    $("flip").addEventListener("click", flip);
    $("reset").addEventListener("click", reset);
    $("more").addEventListener("click", showEvents);
    $("call").addEventListener("change", onWeight);
    $("weight").addEventListener("change", onWeight);
    $("help").addEventListener("click", () => {
      $("keys").hidden = !$("keys").hidden;
      $("help").setAttribute("aria-expanded", String(!$("keys").hidden));
    });
    let width = rows.clientWidth;
    new ResizeObserver(() => {
      if (rows.clientWidth === width) return;
      width = rows.clientWidth;
      render();
    }).observe(graph);
  }

  // --- what the page says of the run ---

  function warn(text) {
    const item = document.createElement("li");
    item.textContent = text;
    $("warnings").append(item);
    $("warnings").hidden = false;
  }

  function fillHead() {
    const name = data.script || "trace";
    document.title = `${name} – flame graph`;
    $("title").textContent = `${name}: ${plural(data.total, "event")}`;
    $("about").textContent = [
      `${data.started.slice(0, 19).replace("T", " ")} UTC`, `${data.seconds.toFixed(1)} s`, data.host,
      data.kernel ? `Linux ${data.kernel}` : "", data.argv.join(" "), `rille ${data.version}`,
    ].filter(Boolean).join(" · ");
    if (data.openOthers) warn(`${plural(data.openOthers, "open descriptor")} of further stacks are not drawn.`);
    if (data.others) warn(`${plural(data.others, "event")} of further stacks did not fit into memory and are not drawn.`);
    for (const loss of data.losses) {
      if (loss.lost) warn(`${loss.probe}: ${plural(loss.lost, "event")} were lost: this picture may be incomplete.`);
      if (loss.incomplete) warn(`${loss.probe}: ${plural(loss.incomplete, "stack")} did not reach the start of the thread.`);
    }
  }

  function fillLegend() {
    const present = new Set(data.frames.map((frame) => frame[1]));
    $("legend").replaceChildren(...data.kinds.map((kind, i) => [kind, i]).filter(([, i]) => present.has(i)).map(([kind]) => {
      const item = document.createElement("li");
      item.className = `kind-${kind}`;
      item.textContent = KINDS[kind];
      return item;
    }));
  }

  function fillWeights() {
    $("weight").append(...data.weights.map((name, i) => new Option(i ? "still open" : "events", i)));
    $("weight-box").hidden = data.weights.length < 2;
  }

  function fillCalls() {
    const names = [...new Set(data.probes.map((probe) => probe.name))];
    const used = new Set(data.frames.map((frame) => frame[0]));
    const some = names.filter((name) => used.has(name));
    if (some.length < 2) return;
    $("call").append(new Option("all", ""), ...some.map((name) => new Option(name, name)));
    $("call-box").hidden = false;
  }

  fillHead();
  fillLegend();
  fillWeights();
  fillCalls();
  weigh();
  listen();
  $("empty").hidden = count > 0;
  graph.hidden = count === 0;
  if (count) render();
})();
