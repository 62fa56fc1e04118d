/* The fleet: what the page shows of each agent, its name on a tile, and orders and groups. */

const order = new Intl.Collator("en", {numeric: true}).compare;
const LETTERS = {unhealthy: "!", idle: "I", busy: "B", syncing: "S", tunnel: "T"};
/* In the order of the page: unhealthy agents need repair; idle and busy ones accept tasks; then the others. */
const STATUSES = Object.keys(LETTERS);
const [LONG_NAME, SHORT_NAME, SHORT_TEXT, SHOWN_CHANGES, SHOWN_GROUPS] = [40, 18, 28, 30, 40];

let data, agents = [], byName = new Map(), changes = [], prefix = "";

function rank(status) {
	const at = STATUSES.indexOf(status);
	return at < 0 ? STATUSES.length : at;
}

/* An undocumented status has no letter of its own, but a `*`. */
const letter = status => Object.hasOwn(LETTERS, status) ? LETTERS[status] : "*";
const statusText = status => shorten(status, SHORT_TEXT) || "no status";

/* The sum of the known values; null if no value is known. */
function sum(values) {
	return values.reduce((total, value) => value === null ? total : (total ?? 0) + value, null);
}

/* Sums are of possible values only, since one impossible value would make a sum worthless. */
const [MOST_VRAM, MOST_GPUS] = [2 ** 50, 1e6];

function readGpu([name, total, free]) {
	const known = total !== null && free !== null && total > 0 && total <= MOST_VRAM &&
		free >= 0 && free <= total;
	const size = known || free === null && total > 0 && total <= MOST_VRAM ? total : null;
	return {name: visible(name) || "unnamed GPU", total, free, size, known};
}

function readAgent(fields, row) {
	const agent = {};
	fields.forEach((field, i) => { agent[field] = row[i]; });
	agent.gpus = agent.gpus.map(readGpu);
	agent.models = [...new Set(agent.gpus.map(gpu => gpu.name))].sort(order);
	const known = agent.gpus.filter(gpu => gpu.known);
	agent.vramFree = sum(known.map(gpu => gpu.free));
	agent.vramTotal = sum(known.map(gpu => gpu.total));
	agent.vramSize = sum(agent.gpus.map(gpu => gpu.size)); /* also of GPUs whose free VRAM is unknown */
	agent.unknownGpus = agent.gpus.length - known.length;
	/* gpu_free is computed from gpu_capacity and running_count: impossible values make it impossible, too. */
	agent.capacity = agent.gpu_capacity >= 0 && agent.gpu_capacity <= MOST_GPUS ?
		agent.gpu_capacity : null;
	agent.free = agent.capacity !== null && agent.gpu_free <= agent.capacity ? agent.gpu_free : null;
	/* null: unknown. */
	agent.available = ["idle", "busy"].includes(agent.status) ? agent.free : 0;
	agent.words = [agent.id, agent.status, agent.version, agent.tool, agent.tool_version,
		agent.platform_arch, agent.current_task_id, agent.sync_phase, ...agent.labels,
		...agent.running_tasks, ...agent.models].join("\n").toLowerCase();
	/* An ID with spaces at its ends has them escaped in its name. */
	agent.title = agent.id === "" ? "(empty ID)" :
		visible(agent.id.trim() === agent.id ? agent.id : agent.name);
	return agent;
}

function setData(page) {
	const before = byName;
	data = page;
	agents = page.agents.map(row => readAgent(page.fields, row));
	agents.sort((a, b) => order(a.name, b.name));
	agents.forEach((agent, i) => { agent.place = i; });
	byName = new Map(agents.map(agent => [agent.name, agent]));
	prefix = commonPrefix();
	nameAll("long", LONG_NAME, agent => agent.title);
	nameAll("short", SHORT_NAME, agent => agent.title.startsWith(prefix) ?
		agent.title.slice(prefix.length) : agent.title);
	changes = (before.size ? changesSince(before).concat(changes) : changesBefore())
		.slice(0, SHOWN_CHANGES);
}

/* Names */

/* What nine of ten names begin with, up to a separator or a number; "" if it is hardly worth it. */
function commonPrefix() {
	const titles = agents.map(agent => agent.title).sort();
	const first = titles[Math.floor(titles.length / 20)] ?? "";
	const last = titles[Math.ceil(titles.length * 19 / 20) - 1] ?? "";
	let length = 0;
	while (length < first.length && first[length] === last[length])
		length++;
	const common = first.slice(0, length).replace(/\d+$/, "");
	const isWhole = /\d/.test(first[common.length] ?? "");
	const cut = isWhole ? common : common.replace(/[^-_.:/ ]*$/, "");
	return agents.length > 1 && cut.length > 3 && !titles.includes(cut) ? cut : "";
}

/* Gives each agent a text of its own: its name cut in the middle. Agents that share that text get their
 * name around its first difference. Agents that still share one get the whole name, at most 255 bytes. */
function nameAll(key, limit, text) {
	/* Names the agents of a list. Returns the groups of those that got the same name. */
	const nameAndFindSame = (list, name) => {
		const found = new Map();
		for (const agent of list) {
			agent[key] = name(agent);
			getOrMake(found, agent[key], () => []).push(agent);
		}
		return [...found.values()].filter(group => group.length > 1);
	};
	for (const group of nameAndFindSame(agents, agent => shorten(text(agent), limit))) {
		const texts = group.map(text).sort();
		const [first, last] = [texts[0], texts[texts.length - 1]];
		let at = 0;
		while (at < first.length && first[at] === last[at])
			at++;
		at = Math.max(0, at - 2);
		const around = agent => text(agent).slice(0, 4) + ELLIPSIS +
			shorten(text(agent).slice(at), limit - 5);
		for (const left of nameAndFindSame(group, around))
			for (const agent of left)
				agent[key] = agent.name;
	}
}

/* Changes */

/* Returns the last change of each agent's status before the page was opened. */
function changesBefore() {
	const start = agents.reduce((least, agent) => Math.min(least, agent.first), Infinity);
	return agents.filter(agent => agent.since > start)
		.map(agent => ({time: agent.since, agent: agent.long,
			what: agent.since === agent.first ? "joined" : `is ${statusText(agent.status)}`}))
		.sort((a, b) => b.time - a.time);
}

function changesSince(before) {
	const found = [];
	for (const agent of agents) {
		const old = before.get(agent.name);
		if (!old)
			found.push({time: agent.first, agent: agent.long, what: "joined"});
		else if (old.status !== agent.status)
			found.push({time: agent.since, agent: agent.long,
				what: `${statusText(old.status)} \u2192 ${statusText(agent.status)}`});
	}
	for (const old of before.values())
		if (!byName.has(old.name))
			found.push({time: data.time, agent: old.long, what: "left"});
	return found.sort((a, b) => b.time - a.time);
}

/* Texts of an agent */

const ofCapacity = agent => `${agent.free ?? "?"}/${agent.gpu_capacity === null ? "?" :
	count(agent.gpu_capacity)}`;
/* Whether an agent has free GPUs that get no task, since it is neither idle nor busy. */
const isOutOfReach = agent => agent.available === 0 && agent.free > 0;
const tasks = agent => agent.running_count === null || agent.running_count < 0 ? "?" :
	count(agent.running_count);
const brand = /^(NVIDIA|AMD|Intel)( Corporation)? (GeForce |Radeon )?/;

function hardware(agent) {
	return shorten(agent.models.map(model => {
		const n = agent.gpus.filter(gpu => gpu.name === model).length;
		return (n > 1 ? `${n} \u00d7 ` : "") + model.replace(brand, "");
	}).join(", "), SHORT_TEXT);
}

function sync(agent) {
	const percent = agent.sync_percent;
	if (agent.status !== "syncing" && percent === null)
		return "";
	return `${shorten(agent.sync_phase || "sync", SHORT_TEXT)} ${
		percent >= 0 && percent <= 100 ? percent ?? "?" : "?"} %`;
}

function vram(agent) {
	const unknown = agent.unknownGpus ? `${plural(agent.unknownGpus, "GPU")} unknown` : "";
	return [agent.vramTotal === null ? "" : bytesOf(agent.vramFree, agent.vramTotal), unknown].filter(Boolean).join(", ");
}

function spoken(agent) {
	const free = agent.free === null ? "free GPUs unknown" :
		`${ofCapacity(agent)} GPUs free${isOutOfReach(agent) ? " but not available" : ""}`;
	return [statusText(agent.status), free, tasks(agent) === "?" ? "tasks unknown" :
		`${tasks(agent)} ${agent.running_count === 1 ? "task" : "tasks"}`, hardware(agent), agent.gpus.length ? `VRAM free ${vram(agent)}` : "",
		sync(agent), `heartbeat ${age(agent.heartbeat, " ago")}`].filter(Boolean).join(", ");
}

/* Columns: what agents are sorted by, and what the table shows.
 *
 * value: what is compared; null and "" are unknown. most: the largest values come first. orders: the
 * ascending and the descending order in words. text: the value in the table, and on a tile that has no
 * other place for it. short: the value on a small tile, if it differs from the text. cell: the value in
 * the heat map, at most three characters. inTile: a large tile shows the value anyway. */

const gib = value => value === null ? "?" : value >= 999.5 * 2 ** 30 ?
	`${Math.min(99, Math.round(value / 2 ** 40))}T` : `${Math.round(value / 2 ** 30)}`;
const cellCount = value => value === null ? "?" : value > 99 ? "99+" : `${value}`;
const cellStatus = agent => agent.available === 0 ? letter(agent.status) : cellCount(agent.available);

/* A smaller number of a larger unit than that of age(): "1m" for "110 s", since "110s" is too long. */
function cellAge(agent) {
	const units = [["s", 1], ["m", 60], ["h", 3600], ["d", 86400],
		["w", 604800], ["y", 31536000]];
	if (agent.heartbeat === null)
		return "?";
	if (isAhead(agent.heartbeat))
		return "+";
	const passed = Math.max(0, Math.round((Date.now() - agent.heartbeat) / 1000));
	const [unit, seconds] = units.find(([, seconds]) => passed < 100 * seconds) ?? units.at(-1);
	return `${Math.min(99, Math.floor(passed / seconds))}${unit}`;
}

const alphabetic = what => [`${what} A to Z`, `${what} Z to A`];
const numeric = (least, what) => [`${least} ${what} first`, `most ${what} first`];

const columns = {
	name: {value: agent => agent.place, orders: alphabetic("names"), text: agent => agent.long,
		short: ofCapacity, inTile: true},
	status: {value: agent => agent.status && rank(agent.status) + agent.status,
		orders: ["unhealthy first", "unhealthy last"], text: agent => statusText(agent.status),
		short: ofCapacity, inTile: true},
	"available GPUs": {value: agent => agent.available, most: true,
		orders: numeric("fewest", "available GPUs"),
		text: agent => agent.available === null ? "?" : count(agent.available),
		cell: agent => cellCount(agent.available)},
	"free GPUs": {value: agent => agent.free, most: true, orders: numeric("fewest", "free GPUs"),
		text: ofCapacity, inTile: true,
		cell: agent => cellCount(agent.free)},
	tasks: {value: agent => agent.running_count, most: true, orders: numeric("fewest", "tasks"), text: tasks,
		cell: agent => cellCount(agent.running_count)},
	"free VRAM": {value: agent => agent.vramFree, most: true, orders: numeric("least", "free VRAM"),
		text: vram, inTile: true,
		short: agent => bytes(agent.vramFree), cell: agent => gib(agent.vramFree)},
	heartbeat: {value: agent => agent.heartbeat, most: true, inTile: true,
		orders: ["oldest heartbeat first", "latest heartbeat first"],
		text: agent => age(agent.heartbeat, ""), cell: cellAge},
	"GPU model": {value: agent => agent.models.join(), orders: alphabetic("GPU models"), text: hardware,
		inTile: true},
	label: {value: agent => agent.labels.join(), orders: alphabetic("labels"),
		text: agent => shorten(visible(agent.labels.join(", ")), LONG_NAME)},
	version: {value: agent => agent.version, orders: ["lowest version first", "highest version first"],
		text: agent => shorten(visible(agent.version), SHORT_NAME)},
};

/* Whether the chosen order is ascending. */
const isAscending = () => !columns[state.sort].most === !state.reverse;
const orderInWords = () => columns[state.sort].orders[isAscending() ? 0 : 1];

/* Unknown values come last, also in the reverse order. */
function comparison(column, reverse) {
	const {value, most} = columns[column];
	const sign = !most === !reverse ? 1 : -1;
	const isUnknown = x => x === null || x === "";
	return (a, b) => {
		const [x, y] = [value(a), value(b)];
		if (isUnknown(x) || isUnknown(y))
			return isUnknown(x) - isUnknown(y);
		return sign * (typeof x === "number" ? x - y : order(x, y));
	};
}

/* Groups. values: of an agent; it is in a group for each of them. none: the group of the agents without
 * a value. others: the group that replaces the smallest ones. */

const groups = {
	status: {values: agent => [agent.status], none: "no status", others: "other statuses"},
	label: {values: agent => agent.labels, none: "no label", others: "other labels"},
	"GPU model": {values: agent => agent.models, none: "no GPU", others: "other models"},
	version: {values: agent => [agent.version], none: "no version", others: "other versions"},
	none: {values: () => [], none: "all agents"},
};

/* Returns {key, name, members} of each group, in the order of the page. The smallest groups are merged
 * into one, with the key null, so that hundreds of groups with one member do not hide the others. */
function grouped(shown) {
	const {values, none, others} = groups[state.group];
	const members = new Map();
	for (const agent of shown) {
		const found = values(agent).filter(Boolean);
		for (const value of found.length ? new Set(found) : [""])
			getOrMake(members, value, () => []).push(agent);
	}
	const isStatus = state.group === "status";
	const place = value => value === "" ? STATUSES.length + 1 : isStatus ? rank(value) : 0;
	const isKept = value => value === "" || Object.hasOwn(LETTERS, value) && isStatus;
	const kept = [...members.keys()].sort((a, b) => isKept(b) - isKept(a) ||
		members.get(b).length - members.get(a).length);
	const rest = new Set(kept.splice(members.size > SHOWN_GROUPS ? SHOWN_GROUPS - 1 : SHOWN_GROUPS)
		.flatMap(value => members.get(value)));
	const list = kept.sort((a, b) => place(a) - place(b) || order(a, b)).map(value => ({
		key: value, name: shorten(visible(value), 2 * LONG_NAME) || none,
		members: members.get(value)}));
	if (rest.size)
		list.push({key: null, name: others, members: shown.filter(agent => rest.has(agent))});
	return list;
}
