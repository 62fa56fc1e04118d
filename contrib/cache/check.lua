-- SPDX-License-Identifier: MIT
-- Fetches a page for Varnish and checks that it is a list of agents: a JSON object whose "agent_list" is an
-- array. Varnish cannot look into bodies. A response that fails the check becomes a 502, which Varnish
-- handles like any other failure of the API.

local MAX_BODY_BYTES = 8 << 20 -- of a page; fleetfs accepts no more
local MAX_DEPTH = 100000 -- bounds memory; an element that is nested too deep is fleetfs' to drop
-- Longer than the other limits: HAProxy 2.6 must not be made to end a request of its client early.
local TIMEOUT_MS = 30000
local FETCH = "unix@" .. os.getenv("FOLDER") .. "/fetch.sock"

-- Headers that are passed on, to the API and from it. All others are dropped.
local REQUEST_HEADERS = {"authorization", "cache-control", "if-modified-since", "if-none-match", "x-team-id"}
local RESPONSE_HEADERS = {"age", "content-type", "date", "etag", "last-modified", "location", "retry-after"}

-- Each json_skip_… function takes the position of a value in text and returns the position behind it and
-- any white space that follows, or nil if there is no valid value.

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
		-- Up to the next quote, escape or control character, none of which a string holds as it is.
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

-- From a member's key to its value.
local function json_skip_key(text, at)
	at = text:byte(at) == 0x22 and json_skip_string(text, at)
	return at and text:match("^:[ \t\r\n]*()", at)
end

-- on_member(key, position of the value) is called for each member of the outermost object. A loop, since a
-- recursion would need more memory for the same depth.
local function json_skip_value(text, at, on_member)
	local closers, depth = {}, 0 -- the closing bracket of each array and object that is open
	repeat
		local first = text:sub(at, at)
		local is_open = first == "{" or first == "["
		if is_open then
			depth = depth + 1
			closers[depth] = first == "{" and "}" or "]"
			at = depth <= MAX_DEPTH and text:match("^[ \t\r\n]*()", at + 1)
		elseif first == '"' then
			at = json_skip_string(text, at)
		else
			at = json_skip_token(text, at)
		end
		while at and depth > 0 and text:sub(at, at) == closers[depth] do
			depth = depth - 1
			is_open = false
			at = text:match("^[ \t\r\n]*()", at + 1)
		end
		if at and depth > 0 and not is_open then
			at = text:match("^,[ \t\r\n]*()", at)
		end
		if at and depth > 0 and closers[depth] == "}" then
			local key = at
			at = json_skip_key(text, key)
			if at and depth == 1 then
				on_member(text:match('^"([^"]*)"', key), at)
			end
		end
	until not at or depth == 0
	return at or nil
end

local function is_agent_list(text)
	local at = text:match("^[ \t\r\n]*(){")
	local found = false
	local function find_list(key, value)
		if key == "agent_list" then
			found = text:byte(value) == 0x5b
		end
	end
	if not at or #text > MAX_BODY_BYTES then
		return false
	end
	return json_skip_value(text, at, find_list) == #text + 1 and found
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

-- Status, reason and body of the response for Varnish.
local function check_response(request, response)
	local status, headers, body = response.status or 0, response.headers or {}, response.body or ""
	if status < 200 or status > 599 or (status > 200 and status < 300) then
		return 502, "no response that can be used", ""
	elseif status == 200 then
		local kind = headers["content-type"] and headers["content-type"][0] or ""
		if not kind:lower():find("^application/json") or not is_agent_list(body) then
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
