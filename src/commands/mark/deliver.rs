//! Marks on their way to others: Graphite's events and Grafana's annotations.
//!
//! Formats: graphite-web's documentation, "The Graphite events API" (tags as a list, from 1.0 on);
//! Grafana's, "Annotations HTTP API". Both get the tag `beacontail` beside those given, so that a
//! dashboard can ask for all marks.

use std::time::Duration;

use serde_json::{Value, json};

use crate::commands::client::{Access, Client, ClientError, Secret};
use crate::config::MarksConfig;
use crate::store::Mark;

/// Of every mark.
const TAG: &str = "beacontail";
/// For one delivery: whoever deploys waits for it.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A mark for one server.
pub(super) struct Delivery<'c> {
    /// For messages.
    pub(super) to: &'static str,
    url: &'c str,
    path: &'static str,
    secret: Option<Secret>,
    body: fn(&Mark) -> Value,
}

/// Everywhere that marks go.
pub(super) fn all(config: &MarksConfig) -> Vec<Delivery<'_>> {
    let graphite = config.graphite.as_ref().map(|address| Delivery {
        to: "Graphite",
        url: address.value.as_str(),
        path: "/events/",
        secret: None,
        body: event,
    });
    let grafana = config.grafana.as_ref().map(|address| Delivery {
        to: "Grafana",
        url: address.value.as_str(),
        path: "/api/annotations",
        secret: config
            .grafana_token_file
            .as_ref()
            .map(|file| Secret::Bearer(file.value.clone())),
        body: annotation,
    });
    graphite.into_iter().chain(grafana).collect()
}

impl Delivery<'_> {
    /// Delivers; what should be put right though it worked is the result.
    pub(super) fn send(&self, mark: &Mark) -> Result<Vec<String>, ClientError> {
        let client = Client::open(&Access {
            url: self.url,
            who: self.to,
            timeout: TIMEOUT,
            secret: self.secret.as_ref(),
            cacert: None,
        })?;
        client.post_json(self.path, &(self.body)(mark).to_string())?;
        Ok(client.warnings)
    }
}

fn tags(mark: &Mark) -> Vec<&str> {
    let mut tags: Vec<&str> = mark.tags.iter().map(String::as_str).collect();
    if !tags.contains(&TAG) {
        tags.push(TAG);
    }
    tags
}

fn event(mark: &Mark) -> Value {
    json!({
        "what": mark.text,
        "tags": tags(mark),
        "when": mark.at_ms.div_euclid(1000),
        "data": "",
    })
}

fn annotation(mark: &Mark) -> Value {
    json!({ "text": mark.text, "tags": tags(mark), "time": mark.at_ms })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_server_gets_its_own_words() {
        let mark = Mark {
            at_ms: 1_795_331_160_250,
            text: "deploy \"1\"".to_owned(),
            tags: vec!["deploy".to_owned()],
        };
        assert_eq!(
            event(&mark),
            json!({"what": "deploy \"1\"", "tags": ["deploy", "beacontail"], "when": 1_795_331_160, "data": ""})
        );
        assert_eq!(
            annotation(&mark),
            json!({"text": "deploy \"1\"", "tags": ["deploy", "beacontail"], "time": 1_795_331_160_250_i64})
        );
    }
}
