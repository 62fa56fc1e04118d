# SPDX-License-Identifier: MIT
# The configuration of Varnish in fleetfs-cache, which replaces @folder@.
#
# Varnish listens on three sockets. "shared" serves the mounts. A miss is fetched through check.lua, which
# requests the page from "fetch". That socket stores nothing and decompresses the API's response. When the fetch
# fails, the page is requested from "kept", which only looks up the response that "shared" stored, of any age.
vcl 4.1;

import std;

# check.lua. It sends a response after it has read and checked all of it. So the first byte marks the end of the
# request to the API.
backend checked {
	.path = "@folder@/checked.sock";
	.connect_timeout = 1s;
	.first_byte_timeout = 8s;
	.between_bytes_timeout = 8s;
}

# The API, through haproxy.
backend api {
	.path = "@folder@/api.sock";
	.connect_timeout = 1s;
	.first_byte_timeout = 9s;
	.between_bytes_timeout = 9s;
	.max_connections = 500;
}

backend kept {
	.path = "@folder@/kept.sock";
}

sub vcl_recv {
	if (local.socket == "fetch") {
		set req.http.Accept-Encoding = "gzip";
		set req.backend_hint = api;
		return (pass);
	}
	if (local.socket == "kept") {
		set req.grace = 30d; # each object has its own limit
		set req.hash_ignore_busy = true;
		return (hash);
	}
	call recv_check;
	call recv_compose;
	# An older response is served through "kept", only when the API has failed.
	set req.grace = 0s;
	return (hash);
}

# Rejects requests that must not reach the API. haproxy.cfg has rejected duplicate headers and bodies.
sub recv_check {
	if (req.method != "GET") {
		return (synth(405, "the method must be GET"));
	}
	if (req.url !~ "^(/[A-Za-z0-9][A-Za-z0-9._~-]*){0,10}/agents(\?|$)" || req.url ~ "^.{256}") {
		return (synth(404, "only /agents is served"));
	}
	# fleetfs requests at most page 2000000, which is agent 2000000 alone. One spelling is accepted, so that equal
	# requests have the same key.
	if (req.url !~ "^[^?]*\?current_page=[1-9][0-9]{0,6}&per_page=([1-9][0-9]?|100)$") {
		return (synth(400, "the query must be ?current_page=NUMBER&per_page=NUMBER, from 1 and from 1 to 100"));
	}
	if (req.http.Authorization !~ "^Bearer [!-+\x2d-~]+$") {
		return (synth(401, "no bearer token"));
	}
	if (req.http.X-Team-ID && req.http.X-Team-ID !~ "^[A-Za-z0-9_-]+$") {
		return (synth(400, "X-Team-ID is not valid"));
	}
}

# Composes the limits of age for the API and for the key.
sub recv_compose {
	std.collect(req.http.Cache-Control);
	if (!req.http.Cache-Control) {
		set req.http.Cache-Control = "max-age=10";
	}
	# Without a valid limit the response serves only the requests that already wait for it.
	set req.http.X-Max-Age = "0";
	set req.http.X-Stale = "0";
	if (req.http.Cache-Control ~ "^max-age=[0-9]{1,7}(, stale-if-error=[0-9]{1,7})?$") {
		set req.http.X-Max-Age = regsub(req.http.Cache-Control, "^max-age=0*([0-9]+).*$", "\1");
		set req.http.X-Stale = regsub(req.http.Cache-Control, "^max-age=[0-9]+(, stale-if-error=0*)?", "0");
	}
}

# Callers with the same token, the same team and the same limits of age share a response. The separator
# cannot occur in a value.
sub vcl_hash {
	hash_data(req.url + " " + req.http.Authorization + " " + req.http.X-Team-ID + " " +
	    req.http.X-Max-Age + " " + req.http.X-Stale);
	return (lookup);
}

sub vcl_miss {
	if (local.socket == "kept") {
		return (synth(std.integer(req.http.X-Failed, 503),
		    "the API failed (" + req.http.X-Reason + "), and there is no stale answer"));
	}
	set req.backend_hint = checked;
	return (fetch);
}

sub vcl_backend_fetch {
	# Varnish refreshes in the background a response that it serves in grace. Here that is a lookup in "kept".
	if (bereq.is_bgfetch) {
		return (abandon);
	}
	unset bereq.body;
	if (bereq.backend == checked) {
		set bereq.http.Cache-Control = "max-age=" + bereq.http.X-Max-Age;
		if (bereq.http.X-Max-Age == "0") {
			set bereq.http.Cache-Control = "no-cache";
		}
	}
	return (fetch);
}

sub vcl_backend_response {
	set beresp.do_stream = false;
	if (bereq.backend == api) {
		call response_fetched;
		return (deliver);
	}
	unset beresp.http.Vary;
	unset beresp.http.Set-Cookie;
	set beresp.grace = 0s;
	set beresp.keep = 0s;
	if (bereq.backend == checked) {
		if (beresp.status >= 500 || beresp.status == 429 || beresp.status == 408) {
			set bereq.http.X-Failed = beresp.status;
			set bereq.http.X-Reason = beresp.status + " " + beresp.reason;
			call keep_retry_after;
			call look_for_stale;
			return (retry);
		}
		if (beresp.status == 200) {
			call response_fresh;
		}
	} else if (beresp.status == 200) {
		call response_stale;
	}
	# Any other response serves all callers for a second, so an API that fails gets one request a second.
	if (beresp.status != 200) {
		unset beresp.http.X-Born;
		set beresp.ttl = 1s;
		set beresp.uncacheable = false;
	}
	set beresp.do_gzip = true;
	unset beresp.http.Age;
	return (deliver);
}

# A response of the API for check.lua.
sub response_fetched {
	unset beresp.http.X-Api-Age;
	if (beresp.http.Age) {
		set beresp.http.X-Api-Age = beresp.http.Age;
	}
	call keep_retry_after;
	if (beresp.http.Content-Encoding ~ "^(?i)(x-)?gzip$") {
		set beresp.http.Content-Encoding = "gzip"; # Varnish knows no other name
		set beresp.do_gunzip = true;
	} else if (beresp.http.Content-Encoding && beresp.http.Content-Encoding !~ "^(?i)identity$") {
		return (error(502, "unknown Content-Encoding"));
	}
	# The body of a refusal is passed on only if it is short and its length is known.
	if (beresp.status != 200 && beresp.status != 304 &&
	    (beresp.http.Content-Encoding || beresp.http.Content-Length !~ "^[0-9]{1,5}$")) {
		return (error(beresp.status, "no message"));
	}
	if (beresp.http.Content-Length ~ "^[0-9]{8}") {
		return (error(413, "the page is larger than 8 MiB"));
	}
}

sub response_fresh {
	# X-Born is when the API sent the page. Age is a whole number: up to a second was cut off.
	set beresp.http.X-Born = std.time2real(now - beresp.age, 0.0);
	set beresp.ttl = std.duration(bereq.http.X-Max-Age + "s", 0s) - beresp.age - 1ms;
	if (beresp.http.Age) {
		set beresp.http.X-Born = std.time2real(now - beresp.age - 1s, 0.0);
		set beresp.ttl = beresp.ttl - 1s;
	}
	# The requests that already wait share the response even if it is too old for all others.
	if (beresp.ttl < 1ms) {
		set beresp.ttl = 1ms;
	}
	set beresp.keep = 10s; # an object that is deleted before they are woken is not found by them
	set beresp.uncacheable = false;
	set beresp.grace = std.duration(bereq.http.X-Stale + "s", 0s);
}

# A copy of an older response. It serves all callers for a second, then the API is requested again.
sub response_stale {
	set beresp.ttl = std.real2time(std.real(beresp.http.X-Born, 0.0), now) - now +
	    std.duration(bereq.http.X-Max-Age + "s", 0s) + std.duration(bereq.http.X-Stale + "s", 0s);
	if (beresp.ttl > 1s) {
		set beresp.grace = beresp.ttl - 1s;
		set beresp.ttl = 1s;
	}
}

sub keep_retry_after {
	if (beresp.http.Retry-After) {
		set bereq.http.X-Retry-After = beresp.http.Retry-After;
	}
}

sub look_for_stale {
	set bereq.backend = kept;
	unset bereq.http.If-None-Match;
	unset bereq.http.If-Modified-Since;
}

# No response, or one that was cut.
sub vcl_backend_error {
	if (bereq.backend == checked) {
		set bereq.http.X-Failed = "503";
		set bereq.http.X-Reason = "no response in time";
		call look_for_stale;
		return (retry);
	}
	set beresp.http.Content-Type = "application/json";
	if (bereq.http.X-Retry-After) {
		set beresp.http.Retry-After = bereq.http.X-Retry-After;
	}
	synthetic({"{"error": {"message": "the shared cache: "} + beresp.reason + {"" } }"});
	set beresp.uncacheable = false;
	set beresp.ttl = 1s;
	set beresp.grace = 0s;
	set beresp.keep = 0s;
	return (deliver);
}

# Age has milliseconds, which fleetfs understands: a whole number would cost up to a second of its ttl. It counts
# from the arrival of the request, as fleetfs counts from sending it.
sub vcl_deliver {
	unset resp.http.X-Varnish;
	unset resp.http.Via;
	if (local.socket == "fetch") {
		unset resp.http.Age; # that of Varnish
		if (resp.http.X-Api-Age) {
			set resp.http.Age = resp.http.X-Api-Age;
		}
	}
	if (resp.http.X-Born && local.socket == "shared") {
		set resp.http.Age = std.time2real(req.time, 0.0) - std.real(resp.http.X-Born, 0.0);
		if (resp.http.Age ~ "^-") {
			set resp.http.Age = "0.000"; # fleetfs takes "0" for up to a second
		}
		unset resp.http.X-Born;
	}
	return (deliver);
}

sub vcl_synth {
	unset resp.http.X-Varnish;
	set resp.http.Content-Type = "application/json";
	if (resp.status == 405) {
		set resp.http.Allow = "GET";
	}
	if (req.http.X-Retry-After) {
		set resp.http.Retry-After = req.http.X-Retry-After;
	}
	synthetic({"{"error": {"message": "the shared cache: "} + resp.reason + {"" } }"});
	return (deliver);
}
