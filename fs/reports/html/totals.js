/* What stands above the tiles: sums, statuses, GPU models, changes. */

const [SHOWN_MODELS, SHOWN_STATUSES, NO_STATUS, OTHERS] = [30, 5, "", "\n"];

/* The number of buttons is limited, whatever statuses agents report: besides the documented and the chosen
 * statuses, the five most frequent ones have a button. All others share the button OTHERS. Its key is a
 * line break, which no status contains. */
let ownButton = new Set();

const statusKey = status => ownButton.has(status) ? status : OTHERS;

function countStatuses(matched) {
	const counts = new Map(STATUSES.map(status => [status, 0]));
	const all = new Map();
	for (const agent of agents)
		all.set(agent.status, (all.get(agent.status) ?? 0) + 1);
	const others = [...all.keys()].filter(status => !counts.has(status) && status !== NO_STATUS)
		.sort((a, b) => all.get(b) - all.get(a) || order(a, b)).slice(0, SHOWN_STATUSES);
	ownButton = new Set([...STATUSES, ...others, ...(all.has(NO_STATUS) ? [NO_STATUS] : []),
		...state.statuses]);
	for (const key of ownButton)
		counts.set(key, 0);
	for (const agent of matched) {
		const key = statusKey(agent.status);
		counts.set(key, (counts.get(key) ?? 0) + 1);
	}
	return counts;
}

function statusButton() {
	const made = element("button", "status");
	made.type = "button";
	made.append(element("span", "letter"), element("span", "word"), element("strong"));
	return made;
}

/* Buttons stay the same elements, so the focus stays, too. */
function renderStatuses(counts) {
	const list = $("statuses");
	const old = new Map([...list.children].map(item => [item.key, item]));
	arrange(list, [...counts].map(([key, n]) => {
		const item = old.get(key) ?? element("li");
		if (!item.firstChild)
			item.append(statusButton());
		item.key = key;
		const button = item.firstChild;
		const [letterSpan, word, number] = button.children;
		const name = key === OTHERS ? "other statuses" : statusText(visible(key));
		button.dataset.status = key === OTHERS ? "" : key;
		button.setAttribute("aria-pressed", state.statuses.has(key));
		button.setAttribute("aria-label", `${name}: ${n}`);
		letterSpan.textContent = letter(key);
		word.textContent = `${name} `;
		number.textContent = n;
		return item;
	}));
}

/* The sums of each GPU model. A sum is of the known values: null if none is known. partial: the sums that
 * lack unknown values. */
function sumByModel(shown) {
	const rows = new Map();
	const add = (row, key, value) => {
		row[key] = sum([row[key], value]);
		if (value === null)
			row.partial.add(key);
	};
	for (const agent of shown) {
		const names = agent.models.length ? agent.models : ["no GPU"];
		for (const model of names) {
			const row = getOrMake(rows, model, () => ({model, agents: 0, available: null, free: null,
				vramFree: null, vramSize: null, partial: new Set(), isMixed: false}));
			row.agents++;
			add(row, "available", agent.available);
			add(row, "free", agent.free);
			/* The API does not report which GPUs of an agent are free. */
			row.isMixed ||= names.length > 1;
		}
		for (const gpu of agent.gpus) {
			const row = rows.get(gpu.name);
			add(row, "vramFree", gpu.known ? gpu.free : null);
			add(row, "vramSize", gpu.size);
		}
	}
	return rows;
}

function modelRow(its) {
	const more = key => its.partial.has(key) && its[key] !== null ? " + ?" : "";
	const most = key => its[key] === null ? "?" :
		(its.isMixed ? "\u2264 " : "") + count(its[key]) + more(key);
	const vram = its.vramSize === null ? "unknown" :
		bytesOf(its.vramFree, its.vramSize).replace(" of ", `${more("vramFree")} of `);
	const made = element("tr");
	const name = element("th", "", shorten(its.model.replace(brand, ""), SHORT_TEXT));
	name.scope = "row";
	made.append(name, ...[count(its.agents), most("available"), most("free"),
		vram].map(text => element("td", "", text)));
	return made;
}

/* Of too many models, those of the most agents are shown, so one agent with a hundred models and a million
 * free GPUs does not hide the others. */
function renderModels(shown) {
	const rows = sumByModel(shown);
	const kept = [...rows.values()].sort((a, b) => b.agents - a.agents).slice(0, SHOWN_MODELS)
		.sort((a, b) => (b.free ?? -1) - (a.free ?? -1) || (b.vramFree ?? -1) - (a.vramFree ?? -1) ||
			order(a.model, b.model));
	const body = kept.map(modelRow);
	if (rows.size > kept.length) {
		const made = element("tr");
		made.append(element("th", "", `and ${count(rows.size - kept.length)} more`));
		body.push(made);
	}
	$("models").querySelector("tbody").replaceChildren(...body);
	const unknownAgents = shown.filter(agent => agent.free === null).length;
	const unknownGpus = sum(shown.map(agent => agent.unknownGpus));
	const unknown = [unknownAgents ? `free GPUs of ${plural(unknownAgents, "agent")}` : "",
		unknownGpus ? `VRAM of ${plural(unknownGpus, "GPU")}` : ""].filter(Boolean).join(", ");
	$("models-note").textContent = `Most free GPUs first.${unknown ? ` Unknown (?): ${unknown}.` : ""}`;
}

function renderTotals(shown) {
	const add = key => sum(shown.map(agent => agent[key]));
	const unknown = key => shown.filter(agent => agent[key] === null).length;
	const note = (n, what) => n ? `unknown for ${plural(n, what)}` : "";
	/* If all values are unknown, so is the sum. */
	const known = key => unknown(key) && add(key) === null ? "unknown" : count(add(key) ?? 0);
	const total = (name, value, note) => {
		const made = element("li");
		made.append(element("span", "", `${name} `), element("strong", "", value));
		if (note)
			made.append(element("small", "", ` ${note}`));
		return made;
	};
	$("totals").replaceChildren(
		total("Agents", shown.length === agents.length ? count(agents.length) :
			`${count(shown.length)} of ${count(agents.length)}`),
		total("GPUs available", known("available"), note(unknown("available"), "agent")),
		total("GPUs free", `${known("free")} of ${known("capacity")}`, note(unknown("free"), "agent")),
		total("VRAM free", add("vramSize") === null ? "unknown" :
			bytesOf(add("vramFree"), add("vramSize")), note(add("unknownGpus"), "GPU")));
}

/* The order in words: beside the button Reverse, whose description it is for a screen reader, and in a line
 * for print, which hides the controls and so has their settings, too. */
function renderOrder() {
	const words = orderInWords();
	const statuses = [...state.statuses].map(key => key === OTHERS ? "other statuses" : statusText(visible(key)));
	const parts = [`Sorted: ${words}.`,
		state.view === "table" || state.group === "none" ? "" : `Grouped by ${state.group}.`,
		statuses.length ? `Status: ${shorten(statuses.join(" or "), 4 * LONG_NAME)}.` : "",
		state.q.trim() ? `Filter: ${shorten(visible(state.q.trim()), 2 * LONG_NAME)}.` : ""];
	$("reverse").classList.toggle("down", !isAscending());
	$("direction").textContent = words;
	$("order").textContent = parts.filter(Boolean).join(" ");
}

function renderTitle() {
	const name = shorten(visible(data.title ?? ""), LONG_NAME) || "Fleet";
	const unhealthy = agents.filter(agent => agent.status === "unhealthy").length;
	$("name").textContent = name;
	document.title = `${name}: ${plural(agents.length, "agent")}` +
		(unhealthy ? `, ${count(unhealthy)} unhealthy` : "");
}

function renderChanges() {
	$("changes").querySelector("ul").replaceChildren(...(changes.length ? changes.map(change => {
		const made = element("li", "", `${new Date(change.time).toLocaleTimeString()} `);
		made.append(element("b", "", change.agent), ` ${change.what}`);
		return made;
	}) : [element("li", "", "Nothing yet.")]));
}
