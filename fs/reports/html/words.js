/* Values as texts. All of them are short, whatever an agent reports. */

const ELLIPSIS = "\u2026";

/* At most `limit` characters, cut in the middle: names of machines differ at their ends. */
function shorten(text, limit) {
	if (text.length <= limit || text.length <= 2 * limit && [...text].length <= limit)
		return text;
	const head = Math.ceil((limit - 1) / 2), tail = limit - 1 - head;
	/* A character has at most two UTF-16 units. So 2 * head units contain head whole characters, even
	 * if the cut splits a surrogate pair. */
	return [...text.slice(0, 2 * head)].slice(0, head).join("") + ELLIPSIS +
		[...text.slice(-2 * tail)].slice(-tail).join("");
}

/* Replaces invisible characters by their code points: `\u{200b}`. */
function visible(text) {
	return /^[ -~]*$/.test(text) ? text : text.replace(/[\p{Cf}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu,
		character => `\\u{${character.codePointAt(0).toString(16)}}`);
}

const plural = (n, one) => `${count(n)} ${one}${n === 1 ? "" : "s"}`;

function count(value) {
	return Math.abs(value) < 1e6 ? `${value}` :
		new Intl.NumberFormat("en", {notation: "compact"}).format(value);
}

function bytes(value) {
	const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
	let unit = 0;
	if (value === null)
		return "unknown";
	/* A value from 999.5 on takes the next unit: rounded, it would be shown as 1000. */
	for (; Math.abs(value) >= 999.5 && unit < units.length - 1; unit++)
		value /= 1024;
	return `${value >= 100 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/* A part of a whole: the unit stands once if both have the same. */
function bytesOf(part, whole) {
	const [a, b] = [bytes(part), bytes(whole)];
	return `${a.split(" ")[1] === b.split(" ")[1] ? a.split(" ")[0] : a} of ${b}`;
}

function duration(ms) {
	const s = Math.max(0, Math.round(ms / 1000));
	if (s < 120)
		return `${s} s`;
	if (s < 7200)
		return `${Math.floor(s / 60)} min`;
	return s < 172800 ? `${Math.floor(s / 3600)} h` : `${Math.floor(s / 86400)} d`;
}

const CLOCKS_MS = 5000; /* a time that is ahead by less counts as now, since clocks differ */

/* Whether a time is ahead of this machine's clock. */
const isAhead = ms => Date.now() - ms < -CLOCKS_MS;

/* How long ago a time was, with a suffix; or how far it is ahead of this machine's clock. */
function age(ms, suffix) {
	if (ms === null)
		return "unknown";
	const passed = Date.now() - ms;
	return isAhead(ms) ? `${duration(-passed)} ahead` : duration(passed) + suffix;
}

const when = ms => ms === null ? "" : `${new Date(ms).toLocaleString()}, ${age(ms, " ago")}`;
