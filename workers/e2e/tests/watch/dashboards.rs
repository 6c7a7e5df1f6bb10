//! The dashboards, held to what Grafana's provisioning needs. No Grafana runs here.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::shipped::{dashboards, each, panels, path, read, text};

const DATASOURCES: &str = "deploy/grafana/provisioning/datasources/prometheus.yml";
const PROVIDERS: &str = "deploy/grafana/provisioning/dashboards/orderly.yml";
/// What the panels are made of; each belongs to Grafana itself and needs no plugin.
const KINDS: [&str; 4] = ["stat", "timeseries", "bargauge", "table"];
/// The width of a dashboard, in columns.
const COLUMNS: u64 = 24;

#[test]
fn dashboards_have_names_of_their_own_and_lead_to_each_other() -> Result<()> {
    let mut uids = BTreeSet::new();
    let mut titles = BTreeSet::new();
    for (file, board) in dashboards()? {
        let (uid, title) = (text(&board["uid"]).to_owned(), text(&board["title"]).to_owned());
        assert!(!uid.is_empty() && uid.len() <= 40, "{file}: uid {uid:?}");
        assert!(uids.insert(uid) && titles.insert(title), "{file} is there twice");
        assert!(board["schemaVersion"].as_u64() >= Some(36), "{file} is of an old form");
        assert!(board.get("id").is_none_or(Value::is_null), "{file} has the id of one Grafana");
        assert!(!text(&board["description"]).is_empty(), "{file} has no description");
        let tags: Vec<_> = each(&board["tags"]).collect();
        let links = each(&board["links"]).flat_map(|link| each(&link["tags"]));
        assert_eq!(links.collect::<Vec<_>>(), tags, "{file} does not lead to its neighbours");
    }
    assert_eq!(uids.len(), 3);
    Ok(())
}

#[test]
fn every_panel_is_complete() -> Result<()> {
    let datasources = read(&path(DATASOURCES))?;
    let uids: Vec<_> = each(&datasources["datasources"]).map(|it| text(&it["uid"])).collect();
    for (file, board) in dashboards()? {
        let mut ids = BTreeSet::new();
        let mut titles = BTreeSet::new();
        for panel in each(&board["panels"]) {
            let title = text(&panel["title"]);
            let at = format!("{file}, panel {title:?}");
            assert!(!title.is_empty() && titles.insert(title), "{at}: the title");
            assert!(ids.insert(panel["id"].as_u64().context(at.clone())?), "{at}: the id");
        }
        for panel in panels(&board) {
            let at = format!("{file}, panel {:?}", text(&panel["title"]));
            assert!(KINDS.contains(&text(&panel["type"])), "{at}: the type");
            assert!(text(&panel["description"]).ends_with('.'), "{at}: no description");
            assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{at}: no unit");
            assert!(uids.contains(&text(&panel["datasource"]["uid"])), "{at}: the datasource");
            let targets: Vec<_> = each(&panel["targets"]).collect();
            let references: BTreeSet<_> = targets.iter().map(|it| text(&it["refId"])).collect();
            assert!(!targets.is_empty() && references.len() == targets.len(), "{at}: targets");
            for target in targets {
                assert!(!text(&target["expr"]).is_empty(), "{at}: no expression");
                let is_named = target["legendFormat"].is_string() || target["format"] == "table";
                assert!(is_named, "{at}: a series would be called by all its labels");
            }
        }
        for variable in each(&board["templating"]["list"]) {
            assert!(uids.contains(&text(&variable["datasource"]["uid"])), "{file}: {variable}");
        }
    }
    Ok(())
}

#[test]
fn panels_lie_beside_each_other() -> Result<()> {
    for (file, board) in dashboards()? {
        let mut taken = BTreeSet::new();
        for panel in each(&board["panels"]) {
            let at =
                |name: &str| panel["gridPos"][name].as_u64().context(format!("{file}: {panel}"));
            let (x, y, w, h) = (at("x")?, at("y")?, at("w")?, at("h")?);
            assert!(w > 0 && h > 0 && x + w <= COLUMNS, "{file}: {} sticks out", panel["title"]);
            for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                assert!(taken.insert(cell), "{file}: {} lies on another panel", panel["title"]);
            }
        }
    }
    Ok(())
}

#[test]
fn expressions_use_no_variable_that_is_not_there() -> Result<()> {
    let known = ["__rate_interval", "__range"];
    for (file, board) in dashboards()? {
        let own: Vec<_> = each(&board["templating"]["list"]).map(|it| text(&it["name"])).collect();
        let targets = panels(&board).flat_map(|panel| each(&panel["targets"]));
        for expression in targets.map(|target| text(&target["expr"])) {
            for used in expression.split('$').skip(1) {
                let end = used.find(|c: char| !(c.is_alphanumeric() || c == '_'));
                let name = &used[..end.unwrap_or(used.len())];
                assert!(known.contains(&name) || own.contains(&name), "{file}: ${name}");
            }
        }
    }
    Ok(())
}

/// What the provisioning names is where compose puts it.
#[test]
fn compose_gives_grafana_what_its_provisioning_names() -> Result<()> {
    let compose = read(&path("docker-compose.yml"))?;
    let grafana = &compose["services"]["grafana"];
    let mounts: Vec<_> = each(&grafana["volumes"]).map(text).collect();
    let here = |inside: &str| {
        let source = mounts.iter().find_map(|mount| mount.split_once(&format!(":{inside}:ro")));
        source.map(|(folder, _)| path(folder))
    };
    assert_eq!(here("/etc/grafana/provisioning"), Some(path("./deploy/grafana/provisioning")));
    let providers = read(&path(PROVIDERS))?;
    for provider in each(&providers["providers"]) {
        let folder = text(&provider["options"]["path"]);
        assert!(here(folder).is_some_and(|it| it.is_dir()), "no {folder} in the container");
    }
    let home = text(&grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]);
    let (folder, file) = home.rsplit_once('/').context("the home dashboard")?;
    assert!(here(folder).is_some_and(|it| it.join(file).is_file()), "no {home} in the container");

    let datasources = read(&path(DATASOURCES))?;
    for datasource in each(&datasources["datasources"]) {
        let host = text(&datasource["url"]).trim_start_matches("http://");
        let service = host.split(':').next().unwrap_or_default();
        assert!(compose["services"].get(service).is_some(), "compose has no {service}");
        let interval = &read(&path("deploy/prometheus/prometheus.yml"))?["global"];
        assert_eq!(datasource["jsonData"]["timeInterval"], interval["scrape_interval"]);
    }
    Ok(())
}

/// Whoever finds the port can't get in as an administrator: the password is made at the first start.
#[test]
fn grafana_has_no_password_that_others_know() -> Result<()> {
    let compose = read(&path("docker-compose.yml"))?;
    let grafana = &compose["services"]["grafana"];
    let environment = grafana["environment"].as_object().context("the environment")?;
    assert!(environment.contains_key("GF_SECURITY_ADMIN_PASSWORD__FILE"));
    assert!(!environment.contains_key("GF_SECURITY_ADMIN_PASSWORD"));
    assert_eq!(environment["GF_AUTH_ANONYMOUS_ORG_ROLE"], "Viewer");
    for service in ["grafana", "prometheus"] {
        for port in each(&compose["services"][service]["ports"]).map(text) {
            assert!(port.starts_with("127.0.0.1:"), "{service} is open to other machines: {port}");
        }
    }
    Ok(())
}
