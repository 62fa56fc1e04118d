# SPDX-License-Identifier: MIT
# What fleetfs-cache has Varnish do; @folder@ is put in by it.
vcl 4.1;

import std;

# The way to the API, through haproxy.
backend api {
	.path = "@folder@/api.sock";
	.connect_timeout = 1s;
	.first_byte_timeout = 9s;
	.between_bytes_timeout = 9s;
}

# This Varnish itself: asked on this socket, it tells what it kept, and fetches nothing.
backend kept {
	.path = "@folder@/kept.sock";
}

sub vcl_recv {
	if (local.socket != "kept") {
		unset req.http.X-Failed;
		unset req.http.X-Retry-After;
	}
	if (req.method != "GET") {
		return (synth(405, "it lets nothing through but GET"));
	}
	if (req.url !~ "^(/[A-Za-z0-9][A-Za-z0-9._~-]*)*/agents(\?(current_page|per_page)=[0-9]{1,10}(&(current_page|per_page)=[0-9]{1,10})?)?$") {
		return (synth(404, "it lets nothing through but /agents"));
	}
	# A second header of a name could be another than the one that is the key.
	std.collect(req.http.Authorization);
	std.collect(req.http.X-Team-ID);
	std.collect(req.http.Cache-Control);
	if (req.http.Authorization !~ "^Bearer [!-+\x2d-~]+$") {
		return (synth(401, "no bearer token"));
	}
	if (req.http.X-Team-ID && req.http.X-Team-ID !~ "^[A-Za-z0-9_-]+$") {
		return (synth(400, "no such X-Team-ID"));
	}

	if (local.socket == "kept") {
		set req.grace = 30d; # the answer has its own limit
		set req.hash_ignore_busy = true;
		return (hash);
	}
	# Fresh or nothing; what is older comes by way of vcl_backend_response.
	set req.grace = 0s;
	if (!req.http.Cache-Control) {
		set req.http.Cache-Control = "max-age=10";
	}
	set req.http.X-Max-Age = "0.002s"; # for who asked before the answer came, and nobody else
	set req.http.X-Stale = "0s";
	if (req.http.Cache-Control ~ "^max-age=[0-9]{1,7}(, stale-if-error=[0-9]{1,7})?$") {
		if (req.http.Cache-Control !~ "^max-age=0+(,|$)") {
			set req.http.X-Max-Age = regsub(req.http.Cache-Control, "^max-age=([0-9]+).*$", "\1s");
		}
		set req.http.X-Stale = regsub(req.http.Cache-Control, "^max-age=[0-9]+(, stale-if-error=)?(.*)$", "0\2s");
	}
	return (hash);
}

# Who shows the same token, names the same team and accepts the same age, gets the same answer.
sub vcl_hash {
	hash_data(req.url);
	hash_data(req.http.Authorization);
	hash_data(req.http.X-Team-ID);
	hash_data(req.http.X-Max-Age);
	hash_data(req.http.X-Stale);
	return (lookup);
}

sub vcl_miss {
	if (local.socket == "kept") {
		return (synth(std.integer(req.http.X-Failed, 503),
		    "the API answered " + req.http.X-Failed + ", and nothing was kept"));
	}
	return (fetch);
}

# Varnish fetches again behind who is given a stale answer. Here that one comes of a fetch that failed.
sub vcl_backend_fetch {
	if (bereq.is_bgfetch) {
		return (abandon);
	}
	return (fetch);
}

sub vcl_backend_response {
	unset beresp.http.Set-Cookie;
	unset beresp.http.Vary;
	set beresp.do_stream = false;
	if (bereq.backend == api && beresp.status >= 500 && beresp.status <= 504) {
		set bereq.http.X-Failed = beresp.status;
		if (beresp.http.Retry-After) {
			set bereq.http.X-Retry-After = beresp.http.Retry-After;
		}
		set bereq.backend = kept;
		return (retry);
	}
	if (bereq.backend == api) {
		set beresp.http.X-Born = std.time2real(now - beresp.age, 0.0);
		set beresp.ttl = std.duration(bereq.http.X-Max-Age, 0s) - beresp.age - 1ms; # Age is rounded
		if (beresp.http.Age) { # and what came with one had up to a second cut off
			set beresp.http.X-Born = std.time2real(now - beresp.age - 1s, 0.0);
			set beresp.ttl = beresp.ttl - 1s;
		}
	}
	# Not kept; and for a second nobody waits for another's answer to such a request.
	if (beresp.status != 200 || beresp.http.Content-Type !~ "^application/json" ||
	    (bereq.backend == api && beresp.ttl <= 0s)) {
		unset beresp.http.X-Born;
		set beresp.uncacheable = true;
		set beresp.ttl = 1s;
		return (deliver);
	}
	set beresp.do_gzip = true;
	set beresp.keep = 0s;
	if (bereq.backend == api) {
		set beresp.grace = std.duration(bereq.http.X-Stale, 0s);
	} else {
		# Stale. For the next second it answers everybody, then the API is asked again.
		set beresp.ttl = std.real2time(std.real(beresp.http.X-Born, 0.0), now) - now +
		    std.duration(bereq.http.X-Max-Age, 0s) + std.duration(bereq.http.X-Stale, 0s);
		set beresp.grace = 0s;
		if (beresp.ttl > 1s) {
			set beresp.grace = beresp.ttl - 1s;
			set beresp.ttl = 1s;
		}
	}
	unset beresp.http.Age;
	return (deliver);
}

sub vcl_backend_error {
	set beresp.uncacheable = true;
	set beresp.ttl = 1s;
	return (deliver);
}

# Age to the millisecond, which fleetfs understands: a whole number would cost it up to a second of its
# ttl. As of when the request came, as the caller counts from when it was sent: so what is fresh here,
# is so there.
sub vcl_deliver {
	unset resp.http.X-Varnish;
	if (resp.http.X-Born && local.socket != "kept") {
		set resp.http.Age = std.time2real(req.time, 0.0) - std.real(resp.http.X-Born, 0.0);
		if (resp.http.Age ~ "^-") {
			set resp.http.Age = "0.000"; # "0" would be taken for up to a second
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
