# Network Error Logging with Varnish 6.5 or later, behind whatever ends TLS for it. Names to change:
# nel.example.net (the collector), fastly (who serves the site: a name that the rules know, or leave
# `?source=…` out). The collector itself needs HTTPS and another host: nel.nginx.conf. See docs/reports.md.

vcl 4.1;

# Yours. Where you have a VCL already, take over the subroutine and the two calls.
backend default {
    .host = "127.0.0.1";
    .port = "8080";
}

sub nel {
    set resp.http.NEL = """{"report_to":"nel","max_age":604800,"success_fraction":0,"failure_fraction":1}""";
    set resp.http.Report-To = """{"group":"nel","max_age":604800,"endpoints":[{"url":"https://nel.example.net/?source=fastly"}]}""";
}

sub vcl_deliver {
    call nel;
}

# Varnish's own errors carry it, too.
sub vcl_synth {
    call nel;
}
