-- SPDX-License-Identifier: MIT
-- Fetches a page for Varnish and checks that it is a list of agents: its Content-Type is application/json, and it is
-- a JSON object whose "agent_list" is an array. Varnish cannot examine bodies. A response that fails the check becomes
-- a 502, which Varnish handles like any other failure of the API.

-- Limits of a page. Beyond them the response is 413, and fleetfs requests the page in smaller parts. An agent that
-- fleetfs accepts is far within them.
local MAX_BODY_BYTES = 8 << 20
local MAX_VALUES = 600000 -- with them a check takes well below haproxy's limit of 4 s for a script
-- Longer than the other limits: HAProxy 2.6 must not be made to end a request of its client early.
local TIMEOUT_MS = 30000
local FETCH = "unix@" .. os.getenv("FOLDER") .. "/fetch.sock"

-- Headers that are passed on, to the API and from it. All others are dropped.
local REQUEST_HEADERS = {"authorization", "cache-control", "if-modified-since", "if-none-match", "x-team-id"}
local RESPONSE_HEADERS = {"age", "content-type", "date", "etag", "last-modified", "location", "retry-after"}

-- Each json_skip_… function takes a position in text and returns the position behind what it skips and any
-- white space that follows, or nil if that is not valid.

local function json_skip_token(text, at)
	local from, to, word = text:find("^([%w+.-]+)[ \t\r\n]*", at)
	if not from then
		return nil
	end
	if word == "true" or word == "false" or word == "null" then
		return to + 1
	end
	local number = word:match("^%-?0(.*)$") or word:match("^%-?[1-9]%d*(.*)$")
	if not number then
		return nil
	end
	number = number:gsub("^%.%d+", ""):gsub("^[eE][+-]?%d+$", "")
	return number == "" and to + 1 or nil
end

local function json_skip_string(text, at)
	at = at + 1
	while true do
		-- Find the next quote, escape or control character. None of them may occur unescaped in a string.
		local stop = text:find('["\\%c]', at)
		local char = stop and text:sub(stop, stop)
		if char == '"' then
			return text:match("^[ \t\r\n]*()", stop + 1)
		elseif char == "\127" then
			at = stop + 1
		elseif char == "\\" then
			at = text:match('^["\\/bfnrt]()', stop + 1) or text:match("^u%x%x%x%x()", stop + 1)
		else
			return nil
		end
		if not at then
			return nil
		end
	end
end

local function json_skip_key(text, at)
	at = text:byte(at) == 0x22 and json_skip_string(text, at)
	return at and text:match("^:[ \t\r\n]*()", at) or nil
end

-- The arrays and objects that are open, the innermost last. Each run of equal ones is one number, positive for
-- arrays and negative for objects, so a text that is nested a million deep takes little memory.

local function open_push(open, is_object)
	local step = is_object and -1 or 1
	if #open > 0 and (open[#open] < 0) == is_object then
		step = step + open[#open]
		open[#open] = nil
	end
	open[#open + 1] = step
end

local function open_pop(open)
	local rest = open[#open] + (open[#open] < 0 and 1 or -1)
	open[#open] = rest ~= 0 and rest or nil
end

-- Skips the closing brackets behind a value, and a comma.
local function json_skip_ends(text, at, open)
	while at and #open > 0 do
		local mark, close = text:sub(at, at), open[#open] < 0 and "}" or "]"
		at = text:match("^[ \t\r\n]*()", at + 1)
		if mark == "," then
			return at
		end
		open_pop(open)
		at = mark == close and at or nil
	end
	return at
end

-- Skips a scalar, or the beginning of an array or object up to its first value or key, and the brackets that close
-- with it.
local function json_skip_value(text, at, open)
	local first = text:byte(at)
	if first == 0x22 then
		return json_skip_ends(text, json_skip_string(text, at), open)
	elseif first ~= 0x7b and first ~= 0x5b then
		return json_skip_ends(text, json_skip_token(text, at), open)
	end
	open_push(open, first == 0x7b)
	at = text:match("^[ \t\r\n]*()", at + 1)
	return text:find("^[%]}]", at) and json_skip_ends(text, at, open) or at
end

-- Returns whether text is a JSON object whose member "agent_list" is an array; nil if it has too many values to check.
-- The elements may be nested to any depth: a mount drops an element that is too deep for it, and keeps the others.
local function is_agent_list(text)
	local at, open, found = text:match("^[ \t\r\n]*(){"), {}, false
	for _ = 1, MAX_VALUES do
		at = at and json_skip_value(text, at, open)
		if not at or #open == 0 then
			return at == #text + 1 and found
		end
		if open[#open] < 0 then
			local key = at
			at = json_skip_key(text, at)
			if at and #open == 1 and open[1] == -1 and text:find('^"agent_list"', key) then
				found = text:byte(at) == 0x5b
			end
		end
	end
	return nil
end

local function check_request(applet)
	local headers = {}
	for _, name in ipairs(REQUEST_HEADERS) do
		local values = applet.headers[name]
		if values then
			headers[name] = {values[0]}
		end
	end
	return {
		url = "http://fetch" .. applet.path .. (applet.qs ~= "" and "?" .. applet.qs or ""),
		dst = FETCH,
		headers = headers,
		timeout = TIMEOUT_MS,
	}
end

-- Returns status, reason and body of the response for Varnish.
local function check_response(request, response)
	local status, headers, body = response.status or 0, response.headers or {}, response.body or ""
	if status < 200 or status > 599 or (status > 200 and status < 300) then
		return 502, "no response that can be used", ""
	elseif status == 200 and #body > MAX_BODY_BYTES then
		return 413, "the page is larger than 8 MiB", ""
	elseif status == 200 then
		local kind = headers["content-type"] and headers["content-type"][0] or ""
		local is_json = kind:lower():find("^application/json") ~= nil
		if not is_json then
			return 502, "the Content-Type is not application/json", ""
		end
		local is_list = is_agent_list(body)
		if is_list == nil then
			return 413, "the page has more values than can be checked", ""
		elseif not is_list then
			return 502, "the response is not a list of agents", ""
		end
	elseif status == 304 then
		if not request.headers["if-none-match"] and not request.headers["if-modified-since"] then
			return 502, "304 to a request without a condition", ""
		end
	end
	return status, response.reason, body
end

core.register_service("check", "http", function(applet)
	local request = check_request(applet)
	local response = core.httpclient():get(request)
	local status, reason, body = check_response(request, response)
	applet:set_status(status, reason)
	for _, name in ipairs(RESPONSE_HEADERS) do
		for _, value in pairs(response.headers and response.headers[name] or {}) do
			applet:add_header(name, value)
		end
	end
	if status == 304 then
		applet:start_response()
		return
	end
	applet:add_header("content-length", tostring(#body))
	applet:start_response()
	applet:send(body)
end)
