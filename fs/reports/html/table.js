/* The agents as a table, which is sorted by its headings. */

const SHOWN_ROWS = 500;
const WORDS = ["GPU model", "label"]; /* may wrap */
const NUMBERS = ["available GPUs", "free GPUs", "tasks", "free VRAM", "heartbeat"];

let rows = new Map(), shownRows = SHOWN_ROWS;

function tableHead() {
	const made = element("tr");
	for (const name of Object.keys(columns)) {
		const head = element("th", NUMBERS.includes(name) ? "number" : "");
		const button = element("button", "", name);
		button.type = "button";
		button.dataset.sort = name;
		head.scope = "col";
		head.append(button);
		made.append(head);
	}
	return made;
}

function tableRow(name) {
	const made = element("tr");
	for (const column of Object.keys(columns))
		made.append(element(column === "name" ? "th" : "td",
			NUMBERS.includes(column) ? "number" : WORDS.includes(column) ? "words" : ""));
	made.firstChild.scope = "row";
	made.pick = pick(name, "link");
	made.firstChild.append(made.pick);
	return made;
}

function fillRow(made, agent) {
	Object.entries(columns).forEach(([column, {text}], i) => {
		const cell = column === "name" ? made.pick : made.children[i];
		const words = text(agent);
		if (cell.words === words && cell.dataset.status === agent.status)
			return;
		cell.words = words;
		cell.dataset.status = agent.status;
		cell.replaceChildren(...(column === "status" ? [mark(agent.status)] : []), words);
	});
	made.pick.setAttribute("aria-label", `${agent.long}, ${spoken(agent)}`);
	return made;
}

function moreButton() {
	const made = element("button", "more");
	made.type = "button";
	return made;
}

function renderTable(shown) {
	const old = rows;
	rows = new Map();
	for (const agent of shown.slice(0, shownRows))
		rows.set(agent.name, fillRow(old.get(agent.name) ?? tableRow(agent.name), agent));
	if (!$("table")) {
		const made = element("table");
		const around = element("div");
		const more = moreButton();
		made.id = "table";
		/* A screen reader reads the caption as the name of the table. */
		made.createCaption().append(element("span"), " ", moreButton());
		made.createTHead().append(tableHead());
		made.createTBody();
		Object.assign(around, {className: "scroll", tabIndex: 0});
		around.setAttribute("role", "region");
		around.setAttribute("aria-label", "Table of agents");
		around.append(made);
		more.id = "more";
		$("fleet").replaceChildren(around, more);
	}
	for (const button of $("table").tHead.querySelectorAll("button")) {
		const isSorted = button.dataset.sort === state.sort;
		if (isSorted)
			button.parentNode.setAttribute("aria-sort", isAscending() ? "ascending" : "descending");
		else
			button.parentNode.removeAttribute("aria-sort");
	}
	arrange($("table").tBodies[0], rows.values());
	const {caption} = $("table");
	caption.hidden = $("more").hidden = shown.length <= shownRows;
	caption.firstChild.textContent = `The first ${shownRows} of ${count(shown.length)} agents.`;
	for (const button of $("fleet").querySelectorAll(".more"))
		button.textContent = `Show all ${count(shown.length)} agents`;
	return "table";
}

/* The button that was pressed vanishes. The focus moves from the one above the table to the table, and from
 * the one below to the first of the new rows. */
function showAllRows(button) {
	const isAbove = button.closest("caption");
	shownRows = Infinity;
	render();
	(isAbove ? $("fleet").querySelector(".scroll") : [...rows.values()][SHOWN_ROWS]?.pick)?.focus();
}

function clearTable() {
	rows = new Map();
	shownRows = SHOWN_ROWS;
}
