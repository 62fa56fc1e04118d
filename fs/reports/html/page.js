/*
 * Shows the fleet in #data, and reads the file again every ttl. To read it again the page loads it
 * into a hidden frame, where this script only posts the data to the page. So the filter, the order,
 * the scroll position and the focus stay. If the file cannot be read, the page stays as it is and
 * shows its age, instead of the browser's error page.
 *
 * Security: a string of an agent becomes the text of a text node, or the value of an attribute or a
 * field that a browser neither executes nor loads (aria-label, data-status, the path). No markup is
 * ever parsed.
 */

const page = JSON.parse($("data").textContent);
const FRAME_MARK = "?frame";

/* What is shown, and how. statuses: those that are chosen; none: all. */
const state = {q: "", statuses: new Set(), group: "status", sort: "name", reverse: false,
	view: "tiles", agent: ""};
const VIEWS = ["tiles", "table"];

function render() {
	const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
	const matched = agents.filter(agent => words.every(word => agent.words.includes(word)));
	const counts = countStatuses(matched);
	const shown = matched.filter(agent => !state.statuses.size ||
		state.statuses.has(statusKey(agent.status)));
	const focused = document.activeElement?.closest(".pick");
	/* Stable: equal agents stay in the order of their names. */
	shown.sort(comparison(state.sort, state.reverse));
	renderTitle();
	renderTotals(shown);
	renderStatuses(counts);
	renderModels(shown);
	renderChanges();
	renderOrder();
	const isTable = state.view === "table";
	(isTable ? clearTiles : clearTable)();
	const size = (isTable ? renderTable : renderTiles)(shown);
	renderLegend(size);
	$("nameless").hidden = size !== "heat";
	renderUnhealthyNames(size === "heat" ? shown : []);
	$("grouping").hidden = isTable;
	restoreFocus(focused);
	if (!shown.length)
		$("fleet").replaceChildren(element("p", "", agents.length ?
			"No agent matches the filter." : "The fleet has no agents."));
	if (readOutName && !byName.has(readOutName))
		readOut(null);
	renderDetails();
	renderAge();
	return shown.length;
}

/* An element that moved lost the focus; a tile that moved to another group is another element. */
function restoreFocus(focused) {
	if (focused && document.activeElement !== focused)
		(focused.isConnected ? focused : [...document.querySelectorAll(".pick")]
			.find(button => button.agent === focused.agent))?.focus({preventScroll: true});
	if (!$("fleet").querySelector('.pick[tabindex="0"]'))
		setStop($("fleet").querySelector(".pick"));
}

/* Data is stale after three ttls: one until it expires, one until it is read again, and one for
 * delays. */
function renderAge() {
	const passed = Date.now() - data.time;
	const stale = passed > 3 * data.ttl + 1000;
	$("age").dataset.time = data.time;
	/* On paper an age would be that of the moment of printing. */
	const texts = [stale ? "STALE: read " : "Read ", `${duration(passed)} ago`,
		new Date(data.time).toLocaleString(undefined, {dateStyle: "medium", timeStyle: "long"}),
		data.verified ? "" : ", perhaps not all of it"];
	[...$("age").children].forEach((span, i) => { span.textContent = texts[i]; });
	if (document.body.classList.toggle("stale", stale) !== ($("news").textContent !== ""))
		$("news").textContent = stale ?
			"The fleet cannot be read any more, or the API fails: see .fleetfs/health." : "";
}

/* The state is in the address, so a reload and a bookmark keep it. */

function load() {
	const fields = new URLSearchParams(location.hash.slice(1));
	const one = (name, known, usual) => known.includes(fields.get(name)) ? fields.get(name) : usual;
	state.q = fields.get("q") ?? "";
	state.statuses = new Set(fields.getAll("status"));
	state.group = one("group", Object.keys(groups), "status");
	state.sort = one("sort", Object.keys(columns), "name");
	state.view = one("view", VIEWS, "tiles");
	state.reverse = fields.has("reverse");
	state.agent = fields.get("agent") ?? "";
	showState();
}

function showState() {
	if ($("filter").value !== state.q)
		$("filter").value = state.q;
	for (const name of ["group", "sort", "view"])
		$(name).value = state[name];
	$("reverse").setAttribute("aria-pressed", state.reverse);
}

function change(changed) {
	Object.assign(state, changed);
	const fields = new URLSearchParams({q: state.q, group: state.group, sort: state.sort,
		view: state.view, agent: state.agent});
	for (const status of state.statuses)
		fields.append("status", status);
	if (state.reverse)
		fields.set("reverse", "");
	history.replaceState(null, "", "#" + fields);
	showState();
	return render();
}

/* Changes the filter, renders, and announces how many agents are shown: #found is for screen readers. */
function filter(changed) {
	$("found").textContent = `${plural(change(changed), "agent")} shown`;
}

function toggleStatus(key) {
	const statuses = new Set(state.statuses);
	if (!statuses.delete(key))
		statuses.add(key);
	filter({statuses});
}

/* Keyboard: Tab stops at one agent, and the arrow keys move from there. */

function setStop(button) {
	$("fleet").querySelector('.pick[tabindex="0"]')?.setAttribute("tabindex", "-1");
	button?.setAttribute("tabindex", "0");
}

function neighbour(button, key) {
	const all = [...document.querySelectorAll(".pick")];
	const at = all.indexOf(button);
	const next = {ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: all.length - 1}[key];
	if (next !== undefined)
		return all[next];
	const from = button.getBoundingClientRect();
	const step = key === "ArrowDown" ? 1 : -1;
	let best, bestBox;
	for (let i = at + step; all[i]; i += step) {
		const box = all[i].getBoundingClientRect();
		if (box.top === from.top)
			continue;
		if (best && box.top !== bestBox.top)
			break;
		if (!best || Math.abs(box.left - from.left) < Math.abs(bestBox.left - from.left))
			[best, bestBox] = [all[i], box];
	}
	return best;
}

/* Small tiles cannot show all of an agent. A line at the bottom of the window shows it for the tile
 * under the pointer, under the finger, or with the focus. A screen reader reads the tile itself. */

let readOutName = "";

function readOut(button) {
	const agent = byName.get(button?.agent);
	const line = $("readout");
	readOutName = agent?.name ?? "";
	line.hidden = !agent || !button.closest(".compact, .heat");
	if (!line.hidden)
		line.replaceChildren(mark(agent.status), element("b", "", agent.title.length > 80 ?
			shorten(agent.title, 80) : agent.title), ` ${spoken(agent)}`);
}

function listenToFleet() {
	const buttonOf = event => event.target.closest(".pick");
	let touched = "";
	$("fleet").addEventListener("keydown", event => {
		if (!buttonOf(event) || !/^(Arrow|Home$|End$)/.test(event.key) || event.ctrlKey || event.altKey)
			return;
		event.preventDefault();
		neighbour(buttonOf(event), event.key)?.focus();
	});
	$("fleet").addEventListener("focusin", event => {
		if (buttonOf(event)) {
			setStop(buttonOf(event));
			readOut(buttonOf(event));
		}
	});
	$("fleet").addEventListener("focusout", () => readOut(null));
	$("fleet").addEventListener("pointerover", event => readOut(buttonOf(event)));
	$("fleet").addEventListener("pointerleave", event => {
		if (event.pointerType === "mouse")
			readOut(document.activeElement.closest(".pick"));
	});
	$("fleet").addEventListener("click", event => {
		const button = buttonOf(event);
		/* A finger covers several squares: the first tap only shows which one it hit. */
		if (button && event.pointerType === "touch" && button.closest(".heat") && touched !== button.agent) {
			touched = button.agent;
			readOut(button);
		} else if (button) {
			change({agent: button.agent});
		} else if (event.target.closest(".more")) {
			showAllRows(event.target);
		} else if (event.target.dataset.sort) {
			const sort = event.target.dataset.sort;
			change({sort, reverse: sort === state.sort && !state.reverse});
		}
	});
	document.addEventListener("keydown", event => {
		if (event.key === "Escape")
			readOut(null);
	});
}

/* On a phone, options and legend are behind a button each, so that the agents begin in the upper third of the
 * first screen. */
function fold(button, isFolded) {
	button.setAttribute("aria-expanded", !isFolded);
	$(button.getAttribute("aria-controls")).classList.toggle("folded", isFolded);
}

function listen() {
	listenToFleet();
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
	$("statuses").addEventListener("click", event => {
		const item = event.target.closest("li");
		if (item)
			toggleStatus(item.key);
	});
	$("filter").addEventListener("input", () => filter({q: $("filter").value}));
	$("filter").addEventListener("keydown", event => {
		if (event.key === "ArrowDown")
			$("fleet").querySelector('.pick[tabindex="0"]')?.focus();
	});
	for (const button of document.querySelectorAll(".unfold"))
		button.addEventListener("click", () => fold(button, button.getAttribute("aria-expanded") === "true"));
	$("controls").addEventListener("submit", event => event.preventDefault());
	$("reverse").addEventListener("click", () => change({reverse: !state.reverse}));
	for (const name of ["group", "sort", "view"])
		$(name).addEventListener("change", () => change({[name]: $(name).value,
			...(name === "sort" ? {reverse: false} : {})}));
	window.addEventListener("hashchange", () => { load(); render(); });
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
	const thisFrame = frame;
	frame.addEventListener("load", () => setTimeout(dropFrame, 1000, thisFrame));
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

function start() {
	for (const [name, values] of [["group", Object.keys(groups)], ["sort", Object.keys(columns)],
		["view", VIEWS]])
		$(name).append(...values.map(value => new Option(value)));
	for (const details of document.querySelectorAll("details"))
		details.open = window.innerWidth > 700 && page.agents.length > 0;
	load();
	/* An order or view that is not the usual one is not hidden behind the button. */
	fold(document.querySelector("[aria-controls=options]"), state.group === "status" &&
		state.sort === "name" && state.view === "tiles" && !state.reverse);
	setData(page);
	listen();
	render();
	schedule();
}

if (window.parent !== window && location.search === FRAME_MARK) {
	/* A page that knows the key has read this mount already. Other pages get no data. */
	const known = location.hash === "#" + page.key;
	window.parent.postMessage(known ? page : null, "*");
} else {
	start();
}
