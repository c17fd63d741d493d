# Only where Varnish itself is the edge: the error page when the backend does not answer, with the name of
# this node in its pixel, and the header that names this CDN to the origin. The node's name is that of
# `varnishd -i NAME`, else the host's; the rules read the metro code at its end: cache-ny57-NYC.
sub vcl_recv {
    # A client's own header names no CDN.
    unset req.http.X-CDN-Provider;
}

sub vcl_backend_fetch {
    set bereq.http.X-CDN-Provider = "@PROVIDER@";
}

sub vcl_backend_error {
    set beresp.status = 503;
    set beresp.http.Content-Type = "text/html; charset=utf-8";
    set beresp.http.Cache-Control = "no-store";
    set beresp.http.Retry-After = "@RETRY_AFTER@";
    # No visitor gets a page that names the node of another's failure.
    set beresp.ttl = 0s;
    set beresp.uncacheable = true;
    synthetic({"@PAGE_HEAD@&amp;server_identity="} + server.identity + {"@PAGE_TAIL@"});
    return (deliver);
}
