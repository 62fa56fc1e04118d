
"use strict";
/*
 * Shows the fleet in #data, and reads the file again every ttl. To read it again the page loads it
 * into a hidden frame, where this script only posts the data to the page. So the filter, the order,
 * the scroll position and the focus stay. If the file cannot be read, the page stays as it is and
 * shows its age, instead of the browser's error page.
 *
 * Security: a string of an agent becomes the text of a text node, or the value of an attribute that
 * is only a name. No markup is ever parsed.
 */
(() => {
const page = JSON.parse(document.getElementById("data").textContent);
const [FRAME_MARK, FULL, COMPACT, SHOWN_CHANGES] = ["?frame", 300, 1500, 30];

if (window.parent !== window && location.search === FRAME_MARK) {
	/* A page that knows the key has read this mount already. Other pages get no data. */
	const known = location.hash === "#" + page.key;
	window.parent.postMessage(known ? page : null, "*");
	return;
}

const $ = id => document.getElementById(id);
const order = new Intl.Collator("en", {numeric: true}).compare;
const LETTERS = {idle: "I", busy: "B", syncing: "S", tunnel: "T", unhealthy: "!"};
const STATUSES = ["unhealthy", "busy", "syncing", "tunnel", "idle"];
const AVAILABLE = ["idle", "busy"]; /* a free GPU of other agents runs no task */

/* The data, and how it is shown */

let data, agents = [], byName = new Map(), changes = [], tiles = new Map();
const state = {q: "", group: "status", sort: "name", agent: ""};

function rank(status) {
	const at = STATUSES.indexOf(status);
	return at < 0 ? STATUSES.length : at;
}

const models = agent => [...new Set(agent.gpus.map(gpu => gpu.name))].sort(order);
const orNone = (values, none) => values.length ? values : [none];
const groups = {
	status: agent => [agent.status || "no status"],
	label: agent => orNone(agent.labels, "no label"),
	"GPU model": agent => orNone(models(agent), "no GPU"),
	version: agent => [agent.version || "no version"],
	none: () => [""],
};
const ascending = value => (a, b) => order(value(a), value(b));
/* Unknown numbers come last. */
const descending = value => (a, b) => (value(b) ?? -Infinity) - (value(a) ?? -Infinity) || 0;
const sorts = {
	name: () => 0,
	status: (a, b) => rank(a.status) - rank(b.status) || order(a.status, b.status),
	label: ascending(agent => agent.labels.join()),
	"GPU model": ascending(agent => models(agent).join()),
	version: ascending(agent => agent.version),
	"free GPUs": descending(agent => agent.gpu_free),
	"free VRAM": descending(agent => agent.free),
	"heartbeat": descending(agent => agent.heartbeat),
};

function sum(values) {
	return values.reduce((total, value) => total + (value ?? 0), 0);
}

function setData(page) {
	const fields = page.fields;
	const before = byName;
	data = page;
	agents = page.agents.map(row => {
		const agent = {};
		fields.forEach((field, i) => { agent[field] = row[i]; });
		agent.gpus = agent.gpus.map(([name, total, free]) => ({
			name: name || "unnamed GPU", total, free,
			used: total === null || free === null ? null : total - free}));
		agent.total = sum(agent.gpus.map(gpu => gpu.total));
		agent.free = sum(agent.gpus.map(gpu => gpu.free));
		agent.words = [agent.id, agent.status, agent.version, agent.tool, agent.tool_version,
			agent.platform_arch, agent.current_task_id, agent.sync_phase, ...agent.labels,
			...agent.running_tasks, ...models(agent)].join("\n").toLowerCase();
		return agent;
	});
	agents.sort((a, b) => order(a.name, b.name));
	byName = new Map(agents.map(agent => [agent.name, agent]));
	changes = (before.size ? changesSince(before).concat(changes) : changesBefore())
		.slice(0, SHOWN_CHANGES);
}

/* Changes from before the page was opened: the last change of status of each agent. */
function changesBefore() {
	const start = agents.reduce((least, agent) => Math.min(least, agent.first), Infinity);
	return agents.filter(agent => agent.since > start)
		.map(agent => ({time: agent.since, agent: agent.name,
			what: agent.since === agent.first ? "joined" : `is ${agent.status}`}))
		.sort((a, b) => b.time - a.time);
}

function changesSince(before) {
	const found = [];
	for (const agent of agents) {
		const old = before.get(agent.name);
		if (!old)
			found.push({time: agent.first, agent: agent.name, what: "joined"});
		else if (old.status !== agent.status)
			found.push({time: agent.since, agent: agent.name,
				what: `${old.status || "no status"} \u2192 ${agent.status || "no status"}`});
	}
	for (const name of before.keys())
		if (!byName.has(name))
			found.push({time: data.time, agent: name, what: "left"});
	return found.sort((a, b) => b.time - a.time);
}

/* Words */

function bytes(value) {
	const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
	let unit = 0;
	for (; Math.abs(value) >= 1024 && unit < units.length - 1; unit++)
		value /= 1024;
	return `${value >= 100 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

function duration(ms) {
	const s = Math.max(0, Math.round(ms / 1000));
	if (s < 120)
		return `${s} s`;
	if (s < 7200)
		return `${Math.floor(s / 60)} min`;
	return s < 172800 ? `${Math.floor(s / 3600)} h` : `${Math.floor(s / 86400)} d`;
}

function when(ms) {
	return ms === null ? "" : `${new Date(ms).toLocaleString()}, ${duration(Date.now() - ms)} ago`;
}

const letter = status => Object.hasOwn(LETTERS, status) ? LETTERS[status] : "?";
const running = agent => `${agent.running_count ?? "?"}/${agent.gpu_capacity ?? "?"}`;
const heard = agent => agent.heartbeat === null ? "never" :
	duration(Date.now() - agent.heartbeat);

function sync(agent) {
	if (agent.status !== "syncing" && agent.sync_percent === null)
		return "";
	return `${agent.sync_phase || "sync"} ${agent.sync_percent ?? "?"} %`;
}

function spoken(agent) {
	return [agent.id, agent.status || "no status", `runs ${running(agent)}`,
		agent.total ? `VRAM ${bytes(agent.total - agent.free)} of ${bytes(agent.total)} used` : "",
		sync(agent), `heard ${heard(agent)} ago`].filter(Boolean).join(", ");
}

/* Elements */

function element(tag, name, text) {
	const made = document.createElement(tag);
	if (name)
		made.className = name;
	if (text !== undefined)
		made.textContent = text;
	return made;
}

function bar(used, total, kind) {
	const made = element("span", `bar ${kind}`);
	const fill = element("span");
	fill.style.width = `${total > 0 ? Math.min(100, Math.max(0, 100 * used / total)) : 0}%`;
	made.append(fill);
	return made;
}

function fillTile(tile, agent, size) {
	const known = JSON.stringify([size, agent.status, agent.running_count, agent.gpu_capacity,
		agent.sync_phase, agent.sync_percent, agent.gpus]);
	if (tile.known !== known) {
		tile.known = known;
		tile.dataset.status = agent.status;
		tile.replaceChildren(element("span", "letter", letter(agent.status)));
		tile.age = null;
		if (size !== "heat")
			tile.append(element("span", "name", agent.id));
		if (size === "full") {
			const line = element("span", "line");
			tile.age = element("span");
			line.append(element("span", "", agent.status || "no status"),
				element("span", "", running(agent)), tile.age);
			const gpus = element("span", "line");
			gpus.append(element("span", "", models(agent).join(", ")));
			tile.append(line, gpus);
			for (const gpu of agent.gpus)
				tile.append(bar(gpu.used, gpu.total, "vram"));
			if (sync(agent))
				tile.append(element("span", "line", sync(agent)),
					bar(agent.sync_percent, 100, "sync"));
		}
	}
	if (tile.age)
		tile.age.textContent = heard(agent);
	const name = spoken(agent);
	tile.setAttribute("aria-label", name);
	tile.title = size === "full" ? "" : name;
}

/* Makes the children of an element the wanted ones, and moves only those that have to move. */
function arrange(parent, wanted) {
	let at = parent.firstChild;
	for (const child of wanted) {
		if (child === at)
			at = at.nextSibling;
		else
			parent.insertBefore(child, at);
	}
	while (at) {
		const next = at.nextSibling;
		at.remove();
		at = next;
	}
}

function section(name) {
	const made = element("section");
	made.heading = element("h2");
	made.list = element("ul");
	made.items = new Map();
	made.setAttribute("aria-label", name || "agents");
	made.append(made.heading, made.list);
	return made;
}

function item(name) {
	const made = element("li");
	made.tile = element("button", "tile");
	made.tile.type = "button";
	made.tile.tabIndex = -1;
	made.tile.agent = name;
	made.append(made.tile);
	return made;
}

function getOrMake(map, key, make) {
	if (!map.has(key))
		map.set(key, make(key));
	return map.get(key);
}

function renderTiles(shown, focused) {
	const size = shown.length <= FULL ? "full" : shown.length <= COMPACT ? "compact" : "heat";
	const members = new Map();
	for (const agent of shown)
		for (const group of groups[state.group](agent))
			getOrMake(members, group, () => []).push(agent);
	const names = [...members.keys()].sort((a, b) =>
		(state.group === "status" ? rank(a) - rank(b) : 0) || order(a, b));
	const old = tiles;
	tiles = new Map();
	for (const name of names) {
		const its = old.get(name) ?? section(name);
		const items = new Map();
		tiles.set(name, its);
		its.heading.textContent = `${name} (${members.get(name).length})`;
		its.heading.hidden = state.group === "none";
		its.list.className = size;
		for (const agent of members.get(name)) {
			const made = its.items.get(agent.name) ?? item(agent.name);
			fillTile(made.tile, agent, size);
			items.set(agent.name, made);
		}
		its.items = items;
		arrange(its.list, items.values());
	}
	arrange($("tiles"), tiles.values());
	/* A tile that moved lost the focus; a tile that moved to another group is another element. */
	if (focused && document.activeElement !== focused)
		(focused.isConnected ? focused : [...document.querySelectorAll(".tile")]
			.find(tile => tile.agent === focused.agent))?.focus({preventScroll: true});
	if (!$("tiles").querySelector('[tabindex="0"]'))
		setStop($("tiles").querySelector(".tile"));
	if (!shown.length)
		$("tiles").replaceChildren(element("p", "", agents.length ?
			"No agent has all these words." : "The fleet has no agents."));
}

function row(cells) {
	const made = element("tr");
	cells.forEach((cell, i) => {
		const its = element(i ? "td" : "th", "", cell);
		if (!i)
			its.scope = "row";
		made.append(its);
	});
	return made;
}

function renderTotals(shown) {
	const statuses = new Map();
	const rows = new Map();
	for (const agent of shown) {
		statuses.set(agent.status, (statuses.get(agent.status) ?? 0) + 1);
		for (const model of orNone(models(agent), "no GPU")) {
			const its = getOrMake(rows, model, () => ({agents: 0, gpus: 0, free: 0, total: 0}));
			its.agents++;
			its.gpus += agent.gpu_free ?? 0;
		}
		for (const gpu of agent.gpus) {
			rows.get(gpu.name).free += gpu.free ?? 0;
			rows.get(gpu.name).total += gpu.total ?? 0;
		}
	}
	const total = (name, value) => {
		const made = element("li", "", value);
		made.prepend(element("span", "", name + " "));
		return made;
	};
	const list = [
		total("Agents", shown.length === agents.length ? `${agents.length}` :
			`${shown.length} of ${agents.length}`),
		total("GPUs free", `${sum(shown.map(agent => agent.gpu_free))} of ${
			sum(shown.map(agent => agent.gpu_capacity))}`),
		total("GPUs available", `${sum(shown.filter(agent => AVAILABLE.includes(agent.status))
			.map(agent => agent.gpu_free))}`),
		total("VRAM free", `${bytes(sum(shown.map(agent => agent.free)))} of ${
			bytes(sum(shown.map(agent => agent.total)))}`),
	];
	for (const status of STATUSES)
		getOrMake(statuses, status, () => 0);
	for (const status of [...statuses.keys()].sort((a, b) => rank(a) - rank(b) || order(a, b))) {
		const made = total(status || "no status", `${statuses.get(status)}`);
		const mark = element("span", "letter", letter(status));
		mark.setAttribute("aria-hidden", "true");
		made.dataset.status = status;
		made.prepend(mark);
		list.push(made);
	}
	$("totals").replaceChildren(...list);
	$("models").querySelector("tbody").replaceChildren(...[...rows.keys()].sort(order).map(model => {
		const its = rows.get(model);
		return row([model, its.agents, its.gpus, bytes(its.free), bytes(its.total)]);
	}));
	const unhealthy = agents.filter(agent => agent.status === "unhealthy").length;
	$("title").textContent = page.title || "Fleet";
	document.title = `${page.title || "Fleet"}: ${agents.length} agents` + (unhealthy ? `, ${unhealthy} unhealthy` : "");
}

function renderChanges() {
	$("changes").querySelector("ul").replaceChildren(...orNone(changes.map(change => element("li", "",
		`${new Date(change.time).toLocaleTimeString()} ${change.agent} ${change.what}`)),
		element("li", "", "Nothing yet.")));
}

/* Details */

/* Quoted for a shell, where users paste it: an agent chose the name. */
function path(name) {
	const here = decodeURIComponent(location.pathname).replace(/\/fleet\/[^/]*$/, "");
	const whole = `${here}/agents/${name}`;
	return /^[\w@%+=:,./-]+$/.test(whole) ? whole : `'${whole.replaceAll("'", "'\\''")}'`;
}

function renderDetails() {
	const agent = byName.get(state.agent);
	if (!state.agent) {
		$("agent").close();
		return;
	}
	$("agent-name").textContent = agent ? agent.id : `${state.agent} (left)`;
	$("path").value = path(state.agent);
	if (agent) {
		const rows = [["status", agent.status], ["since", when(agent.since)],
			["last_heartbeat", when(agent.heartbeat)], ["connected_at", when(agent.connected)],
			["version", agent.version], ["platform_arch", agent.platform_arch],
			["tool", `${agent.tool} ${agent.tool_version}`.trim()],
			["labels", agent.labels.join(", ")], ["running", running(agent)],
			["current_task_id", agent.current_task_id],
			["running_tasks", agent.running_tasks.join("\n")],
			["tasks_completed", agent.tasks_completed],
			["sync", [sync(agent), agent.sync_detail].filter(Boolean).join(", ")],
			...agent.gpus.map((gpu, i) => [`gpus/${i}`, `${gpu.name}, ${
				gpu.free === null ? "?" : bytes(gpu.free)} of ${
				gpu.total === null ? "?" : bytes(gpu.total)} free`])];
		$("agent").querySelector("dl").replaceChildren(...rows.flatMap(([name, value]) =>
			value === "" || value === null ? [] :
				[element("dt", "", name), element("dd", "", `${value}`)]));
	}
	if (!$("agent").open)
		$("agent").showModal();
}

/* The whole page */

function render() {
	const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
	const shown = agents.filter(agent => words.every(word => agent.words.includes(word)));
	shown.sort(sorts[state.sort]); /* stable: equal agents stay in the order of names */
	renderTotals(shown);
	renderChanges();
	renderTiles(shown, document.activeElement?.closest(".tile"));
	renderDetails();
	renderAge();
}

/* Data is stale after three ttls: one until it expires, one until it is read again, and one for
 * delays. */
function renderAge() {
	const age = Date.now() - data.time;
	const stale = age > 3 * data.ttl + 1000;
	$("age").dataset.time = data.time;
	$("age").textContent = `${stale ? "STALE: read" : "Read"} ${duration(age)} ago` +
		(data.verified ? "" : ", perhaps not all of it");
	if (document.body.classList.toggle("stale", stale) !== ($("news").textContent !== ""))
		$("news").textContent = stale ?
			"The fleet cannot be read any more, or the API fails: see .fleetfs/health." : "";
}

/* The state is in the address, so a reload and a bookmark keep it. */

function load() {
	const fields = new URLSearchParams(location.hash.slice(1));
	state.q = fields.get("q") ?? "";
	state.group = Object.hasOwn(groups, fields.get("group") ?? "") ? fields.get("group") : "status";
	state.sort = Object.hasOwn(sorts, fields.get("sort") ?? "") ? fields.get("sort") : "name";
	state.agent = fields.get("agent") ?? "";
	$("filter").value = state.q;
	for (const name of ["group", "sort"])
		for (const input of document.getElementsByName(name))
			input.checked = input.value === state[name];
}

function change(changed) {
	Object.assign(state, changed);
	history.replaceState(null, "", "#" + new URLSearchParams(state));
	render();
}

/* Keyboard: Tab stops at one tile, and the arrow keys move from there. */

function setStop(tile) {
	$("tiles").querySelector('[tabindex="0"]')?.setAttribute("tabindex", "-1");
	tile?.setAttribute("tabindex", "0");
}

function neighbour(tile, key) {
	const all = [...document.querySelectorAll(".tile")];
	const at = all.indexOf(tile);
	const next = {ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: all.length - 1}[key];
	if (next !== undefined)
		return all[next];
	const from = tile.getBoundingClientRect();
	const step = key === "ArrowDown" ? 1 : -1;
	let best, its;
	for (let i = at + step; all[i]; i += step) {
		const box = all[i].getBoundingClientRect();
		if (box.top === from.top)
			continue;
		if (best && box.top !== its.top)
			break;
		if (!best || Math.abs(box.left - from.left) < Math.abs(its.left - from.left))
			[best, its] = [all[i], box];
	}
	return best;
}

$("tiles").addEventListener("keydown", event => {
	const tile = event.target.closest(".tile");
	if (!tile || !/^(Arrow|Home$|End$)/.test(event.key) || event.ctrlKey || event.altKey)
		return;
	event.preventDefault();
	neighbour(tile, event.key)?.focus();
});
$("tiles").addEventListener("focusin", event => setStop(event.target.closest(".tile")));
$("tiles").addEventListener("click", event => {
	const tile = event.target.closest(".tile");
	if (tile)
		change({agent: tile.agent});
});
$("agent").addEventListener("close", () => {
	if (state.agent)
		change({agent: ""});
});
$("close").addEventListener("click", () => $("agent").close());
$("copy").addEventListener("click", () => {
	$("path").select();
	document.execCommand("copy"); /* navigator.clipboard would ask for permission */
	$("copy").textContent = "Copied";
	setTimeout(() => { $("copy").textContent = "Copy"; }, 2000);
});
$("filter").addEventListener("input", () => change({q: $("filter").value}));
$("controls").addEventListener("submit", event => event.preventDefault());
$("controls").addEventListener("change", event => {
	if (event.target.type === "radio")
		change({[event.target.name]: event.target.value});
});
window.addEventListener("hashchange", () => { load(); render(); });

function choices(name, values) {
	for (const value of values) {
		const label = element("label");
		const input = element("input");
		Object.assign(input, {type: "radio", name, value});
		label.append(input, element("span", "", value));
		$(name).append(label);
	}
}

/* Reading the file again. A hidden page does not, since each read may fetch from the API. */

let frame = null, framed = 0, due = 0;

function dropFrame(which) {
	if (frame === which) {
		frame?.remove();
		frame = null;
	}
}

function readAgain() {
	const now = Date.now();
	if (document.hidden || now < due || (frame && now < framed + 30000))
		return;
	dropFrame(frame);
	frame = element("iframe");
	framed = now;
	due = now + data.ttl;
	frame.hidden = true;
	frame.title = "the fleet, read again";
	frame.src = `${location.href.split(/[?#]/)[0]}${FRAME_MARK}#${data.key}`;
	const its = frame;
	frame.addEventListener("load", () => setTimeout(dropFrame, 1000, its));
	document.body.append(frame);
}

/* Schedules the next read: when the data expires. If it has expired already, the API fails, and the
 * page waits for another ttl. */
function schedule() {
	const left = data.time + data.ttl - Date.now();
	const wait = left > 0 && left < data.ttl ? Math.max(left, 100) : data.ttl;
	due = Date.now() + wait;
	setTimeout(readAgain, wait);
}

window.addEventListener("message", event => {
	if (!frame || event.source !== frame.contentWindow)
		return;
	dropFrame(frame);
	if (event.data === null) { /* another mount: perhaps another version of the page */
		location.reload();
		return;
	}
	setData(event.data);
	render();
	schedule();
});
document.addEventListener("visibilitychange", readAgain);
setInterval(() => { renderAge(); readAgain(); }, 1000);

choices("group", Object.keys(groups));
choices("sort", Object.keys(sorts));
for (const details of document.querySelectorAll("details"))
	details.open = window.innerWidth > 700 && page.agents.length > 0;
load();
setData(page);
render();
schedule();
})();
