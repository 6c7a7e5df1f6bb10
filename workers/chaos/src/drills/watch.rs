//! What whoever watches sees of three troubles, and how soon: on the first dashboard, by an alert, and
//! after the cure that the alert's runbook names.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use orderly_contracts::routes::Party;
use orderly_devstack::{Nodes, Prometheus};
use orderly_e2e::{Client, Message, System, place};
use orderly_runtime::config::Config;
use serde_json::Value;
use tokio::task::{JoinHandle, block_in_place};

/// What Prometheus does on Compose.
const SCRAPE_INTERVAL: &str = "5s";
/// The longest that anything is waited for.
const PATIENCE: Duration = Duration::from_secs(150);
/// How often it is looked.
const PERIOD: Duration = Duration::from_millis(500);
/// How much poison is in a flood.
const POISON: usize = 500;
const ARTICLE: &str = "lamp";

/// What was seen of a trouble, in the time since it began.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// What was broken.
    pub trouble: &'static str,
    /// When the first dashboard showed it.
    pub shown: Duration,
    /// The alert.
    pub alert: &'static str,
    /// When it fired.
    pub fired: Duration,
    /// From the cure until the first dashboard showed that all was well.
    pub well: Duration,
}

/// The system, and who watches it.
struct Scene {
    nodes: Nodes,
    system: System,
    prometheus: Prometheus,
    repository: &'static Path,
    /// Prometheus writes here.
    _home: tempfile::TempDir,
}

/// Breaks one thing after the other under a light load, and waits for what is to be seen of it.
pub async fn run() -> Result<Vec<Seen>> {
    let nodes = block_in_place(Nodes::start)?;
    let system = System::start_on(nodes.endpoints()).await?;
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    let repository = repository.context("this crate lies two folders deep")?;
    let home = tempfile::tempdir()?;
    let prometheus = block_in_place(|| system.watch(home.path(), SCRAPE_INTERVAL))?;
    system.client.stock_up(&[(ARTICLE, 1_000_000)]).await?;
    let flow = flow(&system)?;
    let mut scene = Scene { nodes, system, prometheus, repository, _home: home };
    scene.shows("Services that work", |working| working == 3.0).await?;
    let mut seen = vec![];
    seen.push(scene.worker_is_away().await?);
    seen.push(scene.broker_is_blocked().await?);
    seen.push(scene.poison_floods_in().await?);
    flow.abort();
    scene.system.expect_clean_audit()?;
    // What it has on the nodes it gives up before they end.
    drop(scene.system);
    Ok(seen)
}

/// Ten orders a second, for as long as it is let. A broker without memory lets nobody.
fn flow(system: &System) -> Result<JoinHandle<()>> {
    let broker = Config::read(Party::Order, system.environment().clone())?.broker;
    Ok(tokio::spawn(async move {
        let mut client = None;
        let mut n = 0;
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            if client.is_none() {
                client = Client::connect(&broker).await.ok();
            }
            let Some(open) = &client else { continue };
            match open.publish([place(&format!("flow-{n}"), ARTICLE, 1, "tok_visa")]).await {
                Ok(()) => n += 1,
                Err(_) => client = None,
            }
        }
    }))
}

impl Scene {
    async fn worker_is_away(&mut self) -> Result<Seen> {
        let workers = self.system.workers();
        let stock = workers.iter().position(|worker| worker.process.name() == "stock-worker");
        let mut stock = workers.swap_remove(stock.context("there is a stock worker")?);
        // Prometheus looks for it where it was.
        let address = stock.address().to_owned();
        let begun = Instant::now();
        block_in_place(|| stock.process.terminate(PATIENCE))?;
        let shown = self.shows("Services that work", |working| working < 3.0).await? - begun;
        let alert = "OrderlyServiceMissing";
        let fired = self.fires(alert, "docker compose up -d stock-worker").await? - begun;
        let cured = Instant::now();
        let restarted =
            self.system.launch("stock", "stock-worker", &[("ORDERLY_STOCK_HTTP", &address)])?;
        self.system.workers().push(restarted);
        let well = self.shows("Services that work", |working| working == 3.0).await? - cured;
        Ok(Seen { trouble: "the stock worker is stopped", shown, alert, fired, well })
    }

    async fn broker_is_blocked(&mut self) -> Result<Seen> {
        let memory = |mark| self.nodes.rabbitmqctl(&["set_vm_memory_high_watermark", mark]);
        let alert = "OrderlyBrokerAlarm";
        let begun = Instant::now();
        block_in_place(|| memory("0.00001"))?;
        // Where nothing was under way no worker notices: what tells is the list of alerts.
        let shown = self.lists(alert, true).await? - begun;
        let fired = self.fires(alert, "rabbitmqctl set_vm_memory_high_watermark").await? - begun;
        let cured = Instant::now();
        block_in_place(|| memory("0.4"))?;
        let well = self.lists(alert, false).await? - cured;
        Ok(Seen { trouble: "the broker has no memory left", shown, alert, fired, well })
    }

    async fn poison_floods_in(&mut self) -> Result<Seen> {
        let poison =
            (0..POISON).map(|n| Message::raw("order.place.v1", &format!("poison-{n}"), "{\"o"));
        let begun = Instant::now();
        self.system.client.publish(poison).await?;
        let shown = self.shows("Dead letters open", |open| open > 0.0).await? - begun;
        let alert = "OrderlyDeadLettersGrowing";
        let fired = self.fires(alert, "dead-letters.md").await? - begun;
        let all = POISON as f64;
        self.shows("Dead letters open", |open| open == all).await?;
        let cured = Instant::now();
        let archive = ["dead", "archive", "--reason", "invalid_json", "--note", "a drill", "--yes"];
        let (is_done, said) = block_in_place(|| self.system.orderly(&archive))?;
        ensure!(is_done, "`orderly dead archive` failed: {said}");
        let well = self.shows("Dead letters open", |open| open == 0.0).await? - cured;
        Ok(Seen { trouble: "a flood of poison", shown, alert, fired, well })
    }

    /// When the panel `title` of the first dashboard shows what is `expected`.
    async fn shows(&self, title: &str, expected: impl Fn(f64) -> bool) -> Result<Instant> {
        let expression = self.panel(title)?;
        self.until(title, || {
            let series = self.prometheus.query(&expression)?;
            Ok(series.first().and_then(number).is_some_and(&expected))
        })
        .await
    }

    /// When the first dashboard lists `alert`, firing or about to, or does not any more.
    async fn lists(&self, alert: &str, is_listed: bool) -> Result<Instant> {
        let expression = self.panel("Alerts")?;
        self.until(alert, || {
            let series = self.prometheus.query(&expression)?;
            Ok(series.iter().any(|one| one["metric"]["alertname"] == alert) == is_listed)
        })
        .await
    }

    /// When `alert` fires; its runbook must name the `cure`.
    async fn fires(&self, alert: &str, cure: &str) -> Result<Instant> {
        let query = format!("ALERTS{{alertname=\"{alert}\", alertstate=\"firing\"}}");
        let fired = self.until(alert, || Ok(!self.prometheus.query(&query)?.is_empty())).await?;
        let runbook = self.runbook(alert)?;
        ensure!(runbook.contains(cure), "the runbook of {alert} does not name `{cure}`");
        Ok(fired)
    }

    async fn until(&self, what: &str, holds: impl Fn() -> Result<bool>) -> Result<Instant> {
        let deadline = Instant::now() + PATIENCE;
        while !block_in_place(&holds)? {
            ensure!(Instant::now() < deadline, "{what}: nothing is to be seen of it");
            tokio::time::sleep(PERIOD).await;
        }
        Ok(Instant::now())
    }

    /// The expression of a panel of the first dashboard.
    fn panel(&self, title: &str) -> Result<String> {
        let file = self.repository.join("deploy/grafana/dashboards/overview.json");
        let board: Value = serde_json::from_str(&std::fs::read_to_string(file)?)?;
        let panels = board["panels"].as_array().context("a dashboard has panels")?;
        let panel = panels.iter().find(|panel| panel["title"] == title).context("no such panel")?;
        let expression = panel["targets"][0]["expr"].as_str();
        Ok(expression.context("a panel has an expression")?.to_owned())
    }

    /// The part of the runbook to which the loaded rule of `alert` leads.
    fn runbook(&self, alert: &str) -> Result<String> {
        let rules = block_in_place(|| self.prometheus.get("rules", &[("type", "alert")]))?;
        let groups = rules["groups"].as_array().into_iter().flatten();
        let mut rules = groups.flat_map(|group| group["rules"].as_array().into_iter().flatten());
        let rule = rules.find(|rule| rule["name"] == alert).context("no such alert")?;
        let url = rule["annotations"]["runbook_url"].as_str().context("no runbook")?;
        let (file, anchor) = url.split_once('#').context("a runbook has a place")?;
        let page = std::fs::read_to_string(self.repository.join(file))?;
        let mut sections = page.split("\n## ");
        match sections
            .find(|section| section.lines().next().unwrap_or_default().to_lowercase() == anchor)
        {
            Some(section) => Ok(section.to_owned()),
            None => bail!("{url} leads nowhere"),
        }
    }
}

fn number(series: &Value) -> Option<f64> {
    series["value"][1].as_str()?.parse().ok()
}
