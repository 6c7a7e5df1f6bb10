//! RabbitMQ's management HTTP API: a few milliseconds a call, where `rabbitmqctl` takes seconds.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use ureq::http::Request;

use crate::endpoints::{BrokerEndpoint, Endpoints, percent_encode};

const LIMIT: Duration = Duration::from_secs(10);

/// Calls of the management API; `path` begins with a slash, such as `/api/overview`.
impl Endpoints {
    /// GET; the answer's JSON.
    pub fn management_get(&self, path: &str) -> Result<Value> {
        self.broker.call("GET", path, None)
    }

    /// PUT; the answer's JSON, null if it is empty.
    pub fn management_put(&self, path: &str, body: &Value) -> Result<Value> {
        self.broker.call("PUT", path, Some(body))
    }

    /// POST; the answer's JSON, null if it is empty.
    pub fn management_post(&self, path: &str, body: &Value) -> Result<Value> {
        self.broker.call("POST", path, Some(body))
    }

    /// DELETE; the answer's JSON, null if it is empty.
    pub fn management_delete(&self, path: &str) -> Result<Value> {
        self.broker.call("DELETE", path, None)
    }

    /// Makes the virtual host `name`, if it isn't there, and gives our user every right on it.
    pub fn create_vhost(&self, name: &str) -> Result<()> {
        let vhost = percent_encode(name);
        self.management_put(&format!("/api/vhosts/{vhost}"), &json!({}))?;
        let everything = json!({"configure": ".*", "write": ".*", "read": ".*"});
        self.management_put(
            &format!("/api/permissions/{vhost}/{}", self.broker.user),
            &everything,
        )?;
        Ok(())
    }

    /// Removes the virtual host `name` with all it holds.
    pub fn delete_vhost(&self, name: &str) -> Result<()> {
        self.management_delete(&format!("/api/vhosts/{}", percent_encode(name))).map(drop)
    }
}

impl BrokerEndpoint {
    pub(crate) fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let call = format!("{method} {path}");
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.management_url()))
            .header("content-type", "application/json")
            .body(body.map(Value::to_string).unwrap_or_default())
            .with_context(|| format!("{call} is no request"))?;
        // Only our own message shows the broker's reason: an error by status would drop the body.
        let agent = ureq::Agent::new_with_config(
            ureq::Agent::config_builder()
                .timeout_global(Some(LIMIT))
                .http_status_as_error(false)
                .allow_non_standard_methods(true)
                .proxy(None)
                .build(),
        );
        let mut response = agent
            .run(request)
            .with_context(|| format!("RabbitMQ's management does not answer {call}"))?;
        let text = response.body_mut().read_to_string()?;
        if !response.status().is_success() {
            bail!("RabbitMQ's management refuses {call}: {} {text}", response.status());
        }
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text).with_context(|| format!("the answer to {call} is not JSON"))
    }
}
