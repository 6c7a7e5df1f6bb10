//! The lines between workers and servers: silent one way, late, narrow, in slices, cut, moved.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use anyhow::Result;
use orderly_chaos::drills::cuts::{Cuts, Line, later_messages, some_byte};
use orderly_chaos::proxy::{Ending, Proxy, Toxics, Way};
use orderly_devstack::{TestBed, Worker};
use orderly_e2e::{System, eventually, program};

use crate::support::{
    IMPATIENT, Proxies, all_ready, expect_all_confirmed, orders, stock_up, unready,
};

const MS: Duration = Duration::from_millis(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_of_one_direction_is_noticed_and_has_one_effect() -> Result<()> {
    let (proxies, mut system) = Proxies::start(&IMPATIENT).await?;
    let mut all = Vec::new();
    let lines: [(&Proxy, &str); 2] =
        [(&proxies.broker, "broker: "), (&proxies.database, "database: ")];
    for (round, (proxy, word)) in lines.into_iter().enumerate() {
        for way in Way::BOTH {
            let some = orders(&format!("{way:?}{round}"), 100);
            system.client.publish(some.clone()).await?;
            all.extend(some);
            proxy.set(way, Toxics::hold());
            for service in orderly_devstack::SERVICES {
                unready(&mut system, service, word).await?;
            }
            // As when the network is back: what was sent meanwhile arrives late.
            proxy.heal()?;
            system.databases.settled(all.len() as i64).await?;
        }
    }
    expect_all_confirmed(&mut system, &all).await?;
    all_ready(&mut system).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_is_late_narrow_and_sliced_is_slower_and_not_wrong() -> Result<()> {
    let (proxies, mut system) = Proxies::start(&[]).await?;
    let lines = [&proxies.broker, &proxies.database];
    for proxy in lines {
        let slices = Toxics::sliced(1..=7, Duration::ZERO).slices;
        let narrow = Toxics { bandwidth: Some(64_000), slices, ..Toxics::default() };
        proxy.set(Way::ToServer, narrow.clone());
        let late = Toxics::late(200 * MS, 100 * MS);
        proxy.set(Way::ToClient, Toxics { latency: late.latency, ..narrow });
    }
    let mut all = orders("late", 5);
    system.client.publish(all.clone()).await?;
    system.databases.settled(5).await?;
    for proxy in lines {
        proxy.heal()?;
        // Every write is a moment after the other, so that messages really arrive in parts; and
        // greetings and logins go this way, too.
        proxy.set_both(&Toxics::sliced(1..=7, MS / 10));
        proxy.cut(Ending::Close);
    }
    let more = orders("sliced", 1);
    system.client.publish(more.clone()).await?;
    all.extend(more);
    expect_all_confirmed(&mut system, &all).await?;
    all_ready(&mut system).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_at_any_byte_or_message_leaves_no_worker_hanging() -> Result<()> {
    let (proxies, mut system) = Proxies::start(&[]).await?;
    let mut all = Vec::new();
    let lines = [
        Line { name: "broker", proxy: &proxies.broker },
        Line { name: "database", proxy: &proxies.database },
    ];
    let mut cuts = Cuts::new(38);
    for line in &lines {
        for way in Way::BOTH {
            all.extend(cuts.at(&system, line, way, 2, some_byte).await?);
            all.extend(cuts.at(&system, line, way, 2, later_messages()).await?);
        }
    }
    expect_all_confirmed(&mut system, &all).await?;
    all_ready(&mut system).await
}

/// Starts the worker with a table of hosts of its own: what lies in the file `hosts`.
const WITH_HOSTS: &str = r#"#!/bin/sh
exec unshare --mount -- sh -c 'mount --bind "$0" /etc/hosts && exec "$1"' HOSTS WORKER
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_that_have_moved_are_found_by_their_names() -> Result<()> {
    let mut system = System::prepare(TestBed::new()?, &[]).await?;
    system.start_worker("stock")?;
    system.start_worker("payment")?;
    stock_up(&system).await?;
    let folder = tempfile::tempdir()?;
    let hosts = folder.path().join("hosts");
    let script = folder.path().join("order-worker");
    let text = WITH_HOSTS
        .replace("HOSTS", &hosts.display().to_string())
        .replace("WORKER", &program("order-worker")?.display().to_string());
    std::fs::write(&script, text)?;
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))?;
    let moved_to = |address: &str| std::fs::write(&hosts, format!("{address} servers.test\n"));

    let mut environment = system.environment().clone();
    environment.insert("ORDERLY_ALLOW_PLAINTEXT".to_owned(), "true".to_owned());
    for name in ["ORDERLY_BROKER_URL", "ORDERLY_ORDER_DATABASE_URL"] {
        let url = environment[name].replace("127.0.0.1", "servers.test");
        environment.insert(name.to_owned(), url);
    }
    // Nothing listens there yet.
    moved_to("127.0.0.77")?;
    let logs = tempfile::tempdir()?;
    let mut worker = Worker::start(folder.path(), "order", &environment, logs.path())?;
    eventually("the worker to say that nobody is there", async || {
        worker.process.expect_running()?;
        Ok(worker.readiness().is_ok_and(|said| said.contains("servers.test")).then_some(()))
    })
    .await?;
    moved_to("127.0.0.1")?;
    worker.wait_ready()?;
    system.workers().push(worker);
    let all = orders("moved", 20);
    system.client.publish(all.clone()).await?;
    expect_all_confirmed(&mut system, &all).await
}
