/* The agents as tiles, in groups. The more there are, the smaller the tiles. */

const [FULL, COMPACT, SHOWN_BARS, SHOWN_NAMES] = [120, 1500, 16, 300];

let tiles = new Map();

const keyOf = (...values) => JSON.stringify(values);

function fillFull(tile, agent) {
	const facts = element("span", "line facts");
	const gpus = element("span", "line vram");
	const {inTile, text} = columns[state.sort];
	tile.age = element("span", "heartbeat");
	facts.append(element("span", "word", statusText(agent.status)),
		element("span", `free-GPUs ${isOutOfReach(agent) ? "struck" : ""}`, `${ofCapacity(agent)} free`),
		tile.age);
	const model = element("span", "line");
	const bars = element("span", "bars");
	model.append(element("span", "GPU-model", hardware(agent) || "no GPU"));
	bars.append(...agent.gpus.slice(0, SHOWN_BARS).map(gpu =>
		bar(gpu.known ? gpu.total - gpu.free : null, gpu.total, "vram")));
	if (agent.gpus.length)
		gpus.append(bars, element("span", "free-VRAM", agent.vramFree === null ?
			"VRAM unknown" : `${bytes(agent.vramFree)} free`));
	tile.append(facts, model, gpus);
	if (agent.gpus.length > SHOWN_BARS)
		tile.append(element("span", "line", `and ${agent.gpus.length - SHOWN_BARS} more GPUs`));
	if (sync(agent))
		tile.append(element("span", "line", sync(agent)),
			bar(agent.sync_percent, 100, "sync"));
	if (!inTile) {
		const line = element("span", "line by");
		line.append(element("span", "", state.sort), element("span", "", text(agent) || "?"));
		tile.append(line);
	}
}

function fillCompact(tile, agent) {
	const {short, text} = columns[state.sort];
	const shown = short ?? text;
	tile.append(element("span", `value ${shown === ofCapacity && isOutOfReach(agent) ? "struck" : ""}`,
		shown(agent)));
	if (agent.gpus.length)
		tile.append(bar(agent.vramTotal === null ? null : agent.vramTotal - agent.vramFree,
			agent.vramTotal, "vram"));
}

function fillTile(tile, agent, size) {
	const column = columns[state.sort];
	const cell = (column.cell ?? cellStatus)(agent);
	const value = size === "compact" && (column.short ?? column.text)(agent);
	const content = keyOf(size, state.sort, agent.status, agent.running_count, agent.gpu_capacity,
		agent.sync_phase, agent.sync_percent, agent.gpus, agent.long, agent.short, cell, value,
		column.inTile || column.text(agent));
	if (tile.content !== content) {
		tile.content = content;
		tile.dataset.status = agent.status;
		/* Tiles of unhealthy agents and of agents with available GPUs are filled, others are outlines. */
		tile.classList.toggle("loud", agent.available > 0 || agent.status === "unhealthy");
		tile.classList.toggle("unknown", agent.available === null);
		tile.classList.toggle("square", size === "heat");
		tile.age = null;
		if (size === "heat") {
			tile.textContent = cell;
			tile.classList.toggle("long", cell.length > 2);
		} else {
			const head = element("span", "head");
			head.append(mark(agent.status),
				element("span", "name", size === "full" ? agent.long : agent.short));
			tile.replaceChildren(head);
			(size === "full" ? fillFull : fillCompact)(tile, agent);
		}
	}
	if (tile.age)
		tile.age.textContent = age(agent.heartbeat, "");
	tile.setAttribute("aria-label", `${agent.long}, ${spoken(agent)}`);
}

function available(members) {
	const unknown = members.filter(agent => agent.available === null).length;
	return `${plural(sum(members.map(agent => agent.available)) ?? 0, "GPU")} available` +
		(unknown ? `, unknown for ${plural(unknown, "agent")}` : "");
}

function section(key) {
	const made = element("section");
	made.heading = element("h2");
	made.summary = element("p");
	made.list = element("ul");
	made.items = new Map();
	made.key = key;
	made.append(made.heading, made.summary, made.list);
	return made;
}

function tileItem(name) {
	const made = element("li");
	made.tile = pick(name, "tile");
	made.append(made.tile);
	return made;
}

function renderTiles(shown) {
	const size = shown.length <= FULL ? "full" : shown.length <= COMPACT ? "compact" : "heat";
	const old = tiles;
	tiles = new Map();
	for (const {key, name, members} of grouped(shown)) {
		const made = old.get(key) ?? section(key);
		const items = new Map();
		tiles.set(key, made);
		made.setAttribute("aria-label", name);
		made.heading.textContent = `${name} (${members.length})`;
		made.summary.textContent = available(members);
		made.heading.hidden = made.summary.hidden = state.group === "none";
		made.list.className = size;
		for (const agent of members) {
			const item = made.items.get(agent.name) ?? tileItem(agent.name);
			fillTile(item.tile, agent, size);
			items.set(agent.name, item);
		}
		made.items = items;
		arrange(made.list, items.values());
	}
	$("fleet").dataset.sort = state.sort;
	$("fleet").style.setProperty("--width", size === "compact" ? compactWidth(shown) : "");
	arrange($("fleet"), tiles.values());
	return size;
}

/* Returns the width of the texts on a small tile: of the longest name and the longest value, in
 * characters of a name. A character of a value takes about 0.9 of that: its font is proportional. */
function compactWidth(shown) {
	const {short, text} = columns[state.sort];
	const longest = text => shown.reduce((most, agent) => Math.max(most, text(agent).length), 0);
	return Math.min(longest(agent => agent.short), SHORT_NAME) +
		0.9 * Math.min(longest(short ?? text), SHORT_NAME);
}

function clearTiles() {
	tiles = new Map();
}

/* The legend: what is on the tiles, or in the table. */

function sample(kind, text, words) {
	const made = element("li");
	made.append(element("span", `sample ${kind}`, text), ` ${words}`);
	return made;
}

function bars(words) {
	const made = element("li");
	made.append(bar(60, 100, "vram"), ` ${words}, `, bar(null, null, "vram"), " unknown");
	return made;
}

/* Has the classes of the squares, so it looks like them in any colours. */
function square(kind, status, text, words) {
	const made = element("li");
	const shown = element("span", `square ${kind}`, text);
	shown.dataset.status = status;
	made.append(shown, ` ${words}`);
	return made;
}

const ofGpus = unit => [sample("", `1/4${unit}`, "GPUs without a task, of all GPUs"),
	sample("", `?/4${unit}`, "unknown how many are free"),
	sample("struck", `4/4${unit}`, "free but not available")];

function renderLegend(size) {
	const shortened = size === "compact" && prefix ?
		[sample("name", prefix + ELLIPSIS, "is left out of the names")] : [];
	const {short, text, cell} = columns[state.sort];
	const orEmpty = text => cell ? "" : text;
	const pointing = sample("", "name:", "point at a square, tap it, or use Tab and the arrow keys");
	pointing.className = "pointing";
	$("legend").replaceChildren(...{
		full: [...ofGpus(" free"), sample("", "5 s", "since the last heartbeat"),
			bars("VRAM used of each GPU")],
		compact: [...shortened, ...((short ?? text) === ofCapacity ? ofGpus("") :
			[sample("", "on the right:", state.sort)]), bars("VRAM used")],
		heat: [...(cell ? [sample("", "in a square:", state.sort)] : []),
			...(cell === cellAge ? [sample("", "+", "ahead of this machine's clock")] : []),
			square("loud", "unhealthy", orEmpty("!"), "unhealthy"),
			square("loud", "", orEmpty("3"), "GPUs available"),
			square("unknown", "", orEmpty("?"), "unknown how many are free"),
			square("", "", orEmpty("B"), `no GPU available${orEmpty("; letter: status")}`),
			pointing],
		table: [sample("", "?", "unknown")],
	}[size], sample("", "available:", "free GPUs of agents that are idle or busy"));
}

/* For print: the heat map has no names, and paper no pointer. */
function renderUnhealthyNames(shown) {
	const names = shown.filter(agent => agent.status === "unhealthy").map(agent => agent.long);
	const lines = names.slice(0, SHOWN_NAMES);
	if (lines.length)
		lines.unshift("Unhealthy:");
	if (names.length > SHOWN_NAMES)
		lines.push(`and ${count(names.length - SHOWN_NAMES)} more`);
	$("unhealthy-names").replaceChildren(...lines.map(line => element("li", "", line)));
}
