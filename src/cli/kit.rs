//! `kit`, as clap reads it.

use std::path::PathBuf;

use clap::Args;

/// `kit`
#[derive(Debug, Args)]
pub struct KitArgs {
    /// The CDN that will serve the page: akamai, cloudflare, cloudfront, edgecast, fastly, a name of
    /// your own, or `all` for a folder each
    #[arg(long, value_name = "NAME")]
    pub provider: String,
    /// Host with the pixel, reached around the CDN: the page asks https://HOST for it, and nothing else
    #[arg(long, value_name = "HOST[:PORT]")]
    pub pixel_host: String,
    /// Name of the site, shown above the text
    #[arg(long, value_name = "TEXT")]
    pub site_name: Option<String>,
    /// Status page to link to
    #[arg(long, value_name = "URL")]
    pub status_url: Option<String>,
    /// Languages of the page; the first is for readers of none of them. All when not given
    #[arg(long, value_name = "CODE,…", value_delimiter = ',')]
    pub languages: Vec<String>,
    /// Path of the pixel; another than this has to be told to the rules, too
    #[arg(long, value_name = "PATH", default_value = "/status/images/beacon.gif")]
    pub beacon_path: String,
    /// Host of `beacontail reports`; the README then says how to announce it
    #[arg(long, value_name = "HOST[:PORT]")]
    pub report_host: Option<String>,
    /// Seconds that Retry-After names
    #[arg(long, value_name = "SECS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(30..=86_400))]
    pub retry_after: u32,
    /// Let the page load itself again after this many seconds, and up to twice as many by chance, then
    /// ever less often, five times at most; each time is one more beacon
    #[arg(long, value_name = "SECS", value_parser = clap::value_parser!(u32).range(60..=3600))]
    pub auto_retry: Option<u32>,
    /// Folder to write to; made if it is not there
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Put the kit in the place of one that is there; everything else in that folder is gone
    #[arg(long)]
    pub force: bool,
}
