//! What a configuration may ask of the host and of the process that reads it.

use crate::config::Environment;

/// What the configuration may ask of this process' surroundings.
pub(super) fn environment() -> Environment {
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Environment {
        host: rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned(),
        variables: variables.collect(),
        folder: std::env::current_dir().unwrap_or_else(|_| "/".into()),
        is_root: rustix::process::geteuid().is_root(),
    }
}
