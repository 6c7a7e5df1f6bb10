//! A private Prometheus: the configuration and the rules that ship, on targets of one machine.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::account::Account;
use crate::endpoints::BrokerEndpoint;
use crate::ports::{free_port, until_ports_are_free};
use crate::process::Process;

const LIMIT: Duration = Duration::from_secs(30);
/// Debian's.
pub(crate) const SERVER: &str = "/usr/bin/prometheus";

/// What a private Prometheus watches, in place of the containers that the shipped configuration names.
pub struct Watched<'a> {
    /// The workers: service and `host:port`.
    pub workers: Vec<(&'a str, &'a str)>,
    /// The broker.
    pub broker: &'a BrokerEndpoint,
    /// The virtual host whose queues are watched.
    pub vhost: &'a str,
    /// How often everything is looked at and every rule evaluated, such as `5s`.
    pub every: &'a str,
}

/// A Prometheus server on a free loopback port. Dropping it ends it.
pub struct Prometheus {
    process: Process,
    port: u16,
    agent: ureq::Agent,
}

impl Prometheus {
    /// Starts it with `prometheus.yml` and the rules of the folder `shipped`; its own files lie in `home`.
    pub fn start(shipped: &Path, home: &Path, watched: &Watched<'_>) -> Result<Self> {
        let path = shipped.join("prometheus.yml");
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let shipped = shipped.canonicalize()?;
        until_ports_are_free(|| {
            let port = free_port()?;
            let config = configuration(&text, &shipped, port, watched)?;
            let file = home.join("prometheus.json");
            fs::write(&file, config.to_string())?;
            let mut command = Account::Own.command(SERVER, "KILL");
            command
                .arg(format!("--config.file={}", file.display()))
                .arg(format!("--storage.tsdb.path={}", home.join("prometheus").display()))
                .arg(format!("--web.listen-address=127.0.0.1:{port}"));
            let process = Process::start("Prometheus", command, &home.join("prometheus.log"))?;
            let mut server = Self { process, port, agent: agent() };
            let (ready, agent) = (format!("{}/-/ready", server.url()), server.agent.clone());
            server.process.wait_until("be ready", LIMIT, || {
                agent.get(&ready).call().is_ok_and(|answer| answer.status().is_success())
            })?;
            Ok(server)
        })
    }

    /// Its page, as `http://host:port`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The series that `expression` yields now, each with its labels (`metric`) and its `value`.
    pub fn query(&self, expression: &str) -> Result<Vec<Value>> {
        let data = self.get("query", &[("query", expression)])?;
        match data.get("result").cloned() {
            Some(Value::Array(series)) if data["resultType"] == "vector" => Ok(series),
            _ => bail!("`{expression}` yields no vector: {data}"),
        }
    }

    /// What `/api/v1/<path>` answers.
    pub fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value> {
        let url = format!("{}/api/v1/{path}", self.url());
        let mut answer = self.agent.get(url).query_pairs(parameters.iter().copied()).call()?;
        let mut answer: Value = answer.body_mut().read_json()?;
        ensure!(answer["status"] == "success", "{path} {parameters:?}: {}", answer["error"]);
        Ok(answer["data"].take())
    }
}

/// An error of a query comes as a status, and is explained in the body.
fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None);
    ureq::Agent::new_with_config(config.timeout_global(Some(LIMIT)).build())
}

/// The shipped configuration with other targets; JSON is YAML as well.
fn configuration(text: &str, shipped: &Path, port: u16, watched: &Watched<'_>) -> Result<Value> {
    let mut config: Value = serde_saphyr::from_str(text)?;
    config["global"]["scrape_interval"] = json!(watched.every);
    config["global"]["evaluation_interval"] = json!(watched.every);
    for file in config["rule_files"].as_array_mut().context("no `rule_files`")? {
        *file = json!(shipped.join(file.as_str().unwrap_or_default()));
    }
    let broker = format!("{}:{}", watched.broker.host, watched.broker.prometheus_port);
    // What the name service would say of each container.
    let workers = watched.workers.iter().map(|(service, address)| {
        json!({"targets": [address], "labels": {"__meta_dns_name": format!("{service}-worker")}})
    });
    let workers: Vec<Value> = workers.collect();
    for job in config["scrape_configs"].as_array_mut().context("no `scrape_configs`")? {
        let targets = match job["job_name"].as_str() {
            Some("orderly") => json!(workers),
            Some("rabbitmq" | "rabbitmq-queues") => json!([{"targets": [broker]}]),
            Some("prometheus") => json!([{"targets": [format!("127.0.0.1:{port}")]}]),
            other => bail!("the job {other:?} has no targets on one machine"),
        };
        let job = job.as_object_mut().context("a job is a map")?;
        job.remove("dns_sd_configs");
        job.insert("static_configs".to_owned(), targets);
        if let Some(vhost) = job.get_mut("params").and_then(|it| it.get_mut("vhost")) {
            *vhost = json!([watched.vhost]);
        }
    }
    Ok(config)
}
