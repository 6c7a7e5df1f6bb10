//! The real thing: workers under load, a real Prometheus, and every expression that ships.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use orderly_devstack::{Prometheus, TestBed};
use orderly_e2e::{Message, System, eventually, place};
use serde_json::{Value, json};

use crate::shipped::{alerts, dashboards, each, panels, rules, text};

/// What metrics begin with; nothing else in our expressions does.
const FAMILIES: [&str; 6] = ["orderly_", "orderly:", "rabbitmq_", "process_", "up", "ALERTS"];

/// An expression as Grafana would send it, with everything selected.
fn filled_in(expression: &str) -> String {
    let variables =
        [("$__rate_interval", "1m"), ("$__range", "1h"), ("$worker", ".*"), ("$queue", ".*")];
    variables.iter().fold(expression.to_owned(), |text, (name, value)| text.replace(name, value))
}

/// The metrics that an expression reads, each with its matchers: `up{job="orderly"}`.
fn selectors(expression: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let mut found = BTreeSet::new();
    let mut rest = expression;
    while let Some(start) = rest.find(is_name) {
        rest = &rest[start..];
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        let (name, behind) = rest.split_at(end);
        let matchers = behind.starts_with('{').then(|| behind.find('}')).flatten();
        let is_metric = FAMILIES.iter().any(|family| {
            name == *family || (family.ends_with(['_', ':']) && name.starts_with(family))
        });
        if is_metric {
            found.insert(rest[..end + matchers.map_or(0, |end| end + 1)].to_owned());
        }
        // What stands in braces are labels and their values, of which some look like metrics.
        rest = matchers.map_or(behind, |end| &behind[end + 1..]);
    }
    found
}

#[test]
fn selectors_are_told_from_functions_and_labels() {
    let expression = "sum by (worker, up) (rate(orderly_a_total{queue=\"up\", x=~\"a|b\"}[5m])) \
                      / on (process) group_left orderly:b:rate5m unless on () up == 0";
    let expected = ["orderly:b:rate5m", "orderly_a_total{queue=\"up\", x=~\"a|b\"}", "up"];
    assert_eq!(selectors(expression), expected.map(str::to_owned).into());
}

/// Everything that has to yield data, each with where it stands.
fn expressions() -> Result<Vec<(String, String)>> {
    let mut expressions = Vec::new();
    for (file, board) in dashboards()? {
        for panel in panels(&board) {
            let at = format!("{file}, {}", text(&panel["title"]));
            for target in each(&panel["targets"]) {
                let expression = filled_in(text(&target["expr"]));
                expressions.extend(selectors(&expression).into_iter().map(|it| (at.clone(), it)));
                expressions.push((at.clone(), expression));
            }
        }
        for variable in each(&board["templating"]["list"]) {
            let query = filled_in(text(&variable["query"]["query"]));
            let inner = query.strip_prefix("label_values(").and_then(|it| it.rsplit_once(", "));
            let (selector, label) = inner.context(query.clone())?;
            let label = label.trim_end_matches(')');
            expressions.push((file.clone(), format!("count by ({label}) ({selector})")));
        }
    }
    for rule in rules()? {
        // An alert has no data as long as all is well; what it reads must be there all the same.
        let read = selectors(text(&rule["expr"])).into_iter();
        let name = text(&rule["alert"]).to_owned() + text(&rule["record"]);
        expressions.extend(read.map(|selector| (name.clone(), selector)));
        if let Some(record) = rule["record"].as_str() {
            expressions.push((name, record.to_owned()));
        }
    }
    Ok(expressions)
}

/// Orders that end in every way, one of them after a retry, and a message that can't be read.
async fn load(system: &System) -> Result<()> {
    let (client, databases) = (&system.client, &system.databases);
    client.stock_up(&[("lamp", 1_000), ("mug", 1)]).await?;
    databases.item_reaches("lamp", 1_000, 0).await?;
    databases.item_reaches("mug", 1, 0).await?;
    let orders = (0..60).map(|n| {
        let token = match n % 10 {
            0 => "tok_decline",
            1 => "tok_flaky_2",
            _ => "tok_visa",
        };
        place(&format!("o{n}"), if n % 10 == 2 { "mug" } else { "lamp" }, 2, token)
    });
    client.publish(orders).await?;
    client.publish([Message::raw("order.place.v1", "rubbish", "{\"order_id\": ")]).await?;
    let cancel = json!({ "order_id": "never-placed" });
    client.publish([Message::new("order.cancel.v1", "cancel", &cancel)]).await?;
    let outcomes = databases.settled(61).await?;
    assert_eq!(outcomes.keys().collect::<Vec<_>>(), ["cancelled", "confirmed", "rejected"]);
    Ok(())
}

/// The value that the first panel of this title shows.
fn shown(prometheus: &Prometheus, title: &str) -> Result<f64> {
    let boards = dashboards()?;
    let panel = boards.iter().flat_map(|(_, board)| panels(board)).find(|it| it["title"] == title);
    let expression = filled_in(text(&panel.context(title.to_owned())?["targets"][0]["expr"]));
    let series = prometheus.query(&expression)?;
    let first = series.first().with_context(|| format!("{title} shows nothing"))?;
    number(first).context("no number")
}

fn number(series: &Value) -> Option<f64> {
    text(&series["value"][1]).parse().ok()
}

/// The expressions that yield no number yet.
fn without_data(
    prometheus: &Prometheus,
    expressions: &[(String, String)],
) -> Result<Vec<(String, String)>> {
    let mut missing = Vec::new();
    for (at, expression) in expressions {
        let series = prometheus.query(expression)?;
        if !series.iter().filter_map(number).any(f64::is_finite) {
            missing.push((at.clone(), expression.clone()));
        }
    }
    Ok(missing)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_panel_and_every_rule_finds_what_it_reads_in_the_running_system() -> Result<()> {
    let mut system = System::prepare(TestBed::new()?, &[]).await?;
    system.start_workers()?;
    system.start_worker("stock")?;
    let home = tempfile::tempdir()?;
    let prometheus = system.watch(home.path(), "1s")?;
    eventually("a first look at everybody", async || {
        let up = prometheus.query("count(up == 1)")?;
        Ok((up.first().and_then(number) == Some(7.0)).then_some(()))
    })
    .await?;
    load(&system).await?;

    let mut missing = expressions()?;
    let count = missing.len();
    let waited = eventually("every expression to yield data", async || {
        missing = without_data(&prometheus, &missing)?;
        Ok(missing.is_empty().then_some(()))
    });
    if waited.await.is_err() {
        let lines = missing.iter().map(|(at, expression)| format!("{at}: {expression}\n"));
        panic!("{} of {count} yield nothing:\n{}", missing.len(), lines.collect::<String>());
    }

    // All is well, but for the one message that nobody can read.
    eventually("the overview to show what happened", async || {
        let shown =
            [shown(&prometheus, "Services that work")?, shown(&prometheus, "Dead letters open")?];
        Ok((shown == [3.0, 1.0]).then_some(()))
    })
    .await?;
    let firing = prometheus.query("ALERTS{alertstate=\"firing\"}")?;
    let firing: Vec<_> = firing.iter().map(|it| text(&it["metric"]["alertname"])).collect();
    assert_eq!(firing, ["OrderlyDeadLettersGrowing"]);
    let known = alerts()?.len();
    let loaded = prometheus.get("rules", &[("type", "alert")])?;
    assert_eq!(each(&loaded["groups"]).flat_map(|it| each(&it["rules"])).count(), known);
    Ok(())
}
