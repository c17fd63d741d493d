# Fastly. Five VCL snippets: paste each into a snippet of the type that stands above it, or its lines
# into that subroutine of your custom VCL, behind the #FASTLY macro.
#
# It follows Fastly's pages "vcl_error", "synthetic", "server.identity", "error" and "X-Served-By" of the
# VCL reference (fastly.com/documentation/reference/vcl). Not verified against Fastly's service: their
# compiler is not to be had. What was run is the same page in varnish-edge.vcl.

# ---- type: recv
# A client's own header names no CDN. A request that another node of ours forwards has passed here before.
if (fastly.ff.visits_this_service == 0 && req.restarts == 0) {
  unset req.http.X-CDN-Provider;
}

# ---- type: miss
set bereq.http.X-CDN-Provider = "@PROVIDER@";

# ---- type: pass
set bereq.http.X-CDN-Provider = "@PROVIDER@";

# ---- type: fetch (only if an answer 502, 503 or 504 of the origin is to be shown as the page, too)
if (beresp.status == 502 || beresp.status == 503 || beresp.status == 504) {
  if (stale.exists) {
    return(deliver_stale);
  }
  error 503;
}

# ---- type: error
# Fastly's own failures to reach the origin arrive here as 503. With shielding, the node that is named may
# be the shield's: it is the one that could not reach the origin.
if (obj.status == 503) {
  set obj.http.Content-Type = "text/html; charset=utf-8";
  set obj.http.Cache-Control = "no-store";
  set obj.http.Retry-After = "@RETRY_AFTER@";
  synthetic {"@PAGE_HEAD@&amp;server_identity="} server.identity {"@PAGE_TAIL@"};
  return(deliver);
}
