/* Elements of the document. */

const $ = id => document.getElementById(id);

function element(tag, name, text) {
	const made = document.createElement(tag);
	if (name)
		made.className = name;
	if (text !== undefined)
		made.textContent = text;
	return made;
}

function getOrMake(map, key, make) {
	if (!map.has(key))
		map.set(key, make(key));
	return map.get(key);
}

/* Makes the children of an element the wanted ones, and moves only those that have to move. */
function arrange(parent, wanted) {
	const kept = new Set(wanted);
	for (const child of [...parent.childNodes])
		if (!kept.has(child))
			child.remove();
	let at = parent.firstChild;
	for (const child of kept) {
		if (child === at)
			at = at.nextSibling;
		else
			parent.insertBefore(child, at);
	}
}

function mark(status) {
	const made = element("span", "letter", letter(status));
	made.dataset.status = status;
	made.setAttribute("aria-hidden", "true");
	return made;
}

/* The used part of a whole. It is drawn with borders, since backgrounds are lost in print and high contrast. null: unknown. */
function bar(used, total, kind) {
	const made = element("span", `bar ${kind}`);
	if (used === null || total === null) {
		made.classList.add("unknown");
		return made;
	}
	const fill = element("span");
	fill.style.width = `${Math.min(100, Math.max(0, 100 * used / total))}%`;
	made.append(fill);
	return made;
}

/* A button that opens the details of an agent; a tile, or the name in the table. */
function pick(name, kind) {
	const made = element("button", `pick ${kind}`);
	made.type = "button";
	made.tabIndex = -1;
	made.agent = name;
	return made;
}
