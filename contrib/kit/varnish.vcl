# The pixel, made by Varnish (7.0 or later) without asking a backend. Include it before your own
# subroutines: `include "/etc/beacontail/kit/varnish.vcl";`. The log that beacontail counts is the
# shipped parser `varnishncsa-cdn`; varnishncsa writes it with
#
#     varnishncsa -a -w /var/log/varnish/beacontail.log -F '@VARNISHNCSA_CDN@'
import blob;

sub vcl_recv {
    if (req.url ~ "^@BEACON_PATTERN@(\?|$)" && (req.method == "GET" || req.method == "HEAD")) {
        return (synth(200, "Beacon"));
    }
}

sub vcl_synth {
    if (resp.status == 200 && resp.reason == "Beacon") {
        set resp.reason = "OK";
        set resp.http.Content-Type = "image/gif";
        set resp.http.Cache-Control = "no-store";
        set resp.http.Cross-Origin-Resource-Policy = "cross-origin";
        set resp.body = blob.decode(HEX, encoded="@BEACON_HEX@");
        return (deliver);
    }
}
