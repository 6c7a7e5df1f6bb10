//! Transport security and configuration: refusals are plain, and show no secret.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;
use orderly_devstack::{TestBed, Worker};
use orderly_e2e::{System, eventually, place, program};

/// The settings for TLS to both servers; the certificate is for `localhost` alone.
fn tls_settings(bed: &TestBed, host: &str, ca_file: &str) -> Vec<(String, String)> {
    let mut settings = vec![
        ("ORDERLY_BROKER_URL".to_owned(), bed.amqps_url().replace("localhost", host)),
        ("ORDERLY_BROKER_CA_FILE".to_owned(), ca_file.to_owned()),
    ];
    for service in ["order", "stock", "payment"] {
        let prefix = format!("ORDERLY_{}_DATABASE", service.to_uppercase());
        let url = bed.database_url(service).replace("127.0.0.1", host);
        settings.push((format!("{prefix}_URL"), format!("{url}?sslmode=verify-full")));
        settings.push((format!("{prefix}_CA_FILE"), ca_file.to_owned()));
    }
    settings
}

fn borrowed(settings: &[(String, String)]) -> Vec<(&str, &str)> {
    settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_flows_with_tls_to_both_servers() -> Result<()> {
    let bed = TestBed::new()?;
    let ca = bed.endpoints().ca_file.display().to_string();
    let settings = tls_settings(&bed, "localhost", &ca);
    let mut system = System::prepare(bed, &borrowed(&settings)).await?;
    system.start_workers()?;
    system.client.stock_up(&[("lamp", 1)]).await?;
    system.databases.item_reaches("lamp", 1, 0).await?;
    system.client.publish([place("secured", "lamp", 1, "tok_visa")]).await?;
    system.databases.reaches("secured", "confirmed").await?;
    let sql = "SELECT count(*) FILTER (WHERE ssl), count(*) FROM pg_stat_ssl
               JOIN pg_stat_activity USING (pid) WHERE application_name LIKE 'orderly-%'
               AND datname = current_database()";
    let row = system.databases.order.query_one(sql, &[]).await?;
    let (secured, all): (i64, i64) = (row.get(0), row.get(1));
    assert!(all > 0 && secured == all, "{secured} of {all} connections are secured");
    Ok(())
}

/// Starts an order worker with changed settings; what it says about why it isn't ready.
async fn trouble(system: &System, changes: &[(String, String)], word: &str) -> Result<String> {
    let mut environment = system.environment().clone();
    environment.extend(changes.iter().cloned());
    let logs = tempfile::tempdir()?;
    let mut worker = Worker::start(&program("")?, "order", &environment, logs.path())?;
    eventually(&format!("the worker to say {word:?}"), async || {
        worker.process.expect_running()?;
        assert!(!worker.is_ready(), "it must not be ready");
        Ok(worker.process.output().contains(word).then(|| worker.process.output()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_ca_and_a_wrong_host_are_refused() -> Result<()> {
    let system = System::prepare(TestBed::new()?, &[]).await?;
    let bed = system.bed();
    let ca = bed.endpoints().ca_file.display().to_string();
    let folder = tempfile::tempdir()?;
    let foreign = folder.path().join("foreign.pem");
    std::fs::write(&foreign, foreign_ca()?)?;
    let foreign = foreign.display().to_string();
    let only = |settings: Vec<(String, String)>, part: &str| -> Vec<(String, String)> {
        settings.into_iter().filter(|(name, _)| name.contains(part)).collect()
    };
    for (host, ca) in [("localhost", &foreign), ("127.0.0.1", &ca)] {
        for part in ["BROKER", "ORDER_DATABASE"] {
            let changes = only(tls_settings(bed, host, ca), part);
            let said = trouble(&system, &changes, "certificate").await?;
            let password = &bed.endpoints().broker.password;
            assert!(!said.contains(password.as_str()), "the password was shown");
        }
    }
    Ok(())
}

fn foreign_ca() -> Result<String> {
    let key = rcgen::KeyPair::generate()?;
    let mut parameters = rcgen::CertificateParams::new(vec![])?;
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    Ok(parameters.self_signed(&key)?.pem())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_vhost_or_database_is_told_plainly() -> Result<()> {
    let system = System::prepare(TestBed::new()?, &[]).await?;
    let bed = system.bed();
    let environment = system.environment();
    let with = |name: &str, from: &str, to: &str| {
        vec![(name.to_owned(), environment[name].replace(from, to))]
    };
    let broker_password = bed.endpoints().broker.password.clone();
    let database_password = bed.endpoints().database.password.clone();
    let cases = [
        (with("ORDERLY_BROKER_URL", &broker_password, "Wr0ngSecret"), "wrong password"),
        (with("ORDERLY_BROKER_URL", bed.vhost(), "nowhere"), "no vhost nowhere"),
        (
            with("ORDERLY_ORDER_DATABASE_URL", &database_password, "Wr0ngSecret"),
            "password authentication failed",
        ),
        (
            with("ORDERLY_ORDER_DATABASE_URL", &bed.database("order"), "nowhere"),
            "\"nowhere\" does not exist",
        ),
    ];
    for (changes, word) in cases {
        let said = trouble(&system, &changes, word).await?;
        assert!(!said.contains("Wr0ngSecret") && !said.contains(&broker_password));
        assert!(!said.contains(&database_password), "a password was shown");
    }
    Ok(())
}

#[test]
fn every_wrong_setting_is_named_at_once_within_a_second_and_without_secrets() -> Result<()> {
    for service in ["order", "stock", "payment"] {
        let started = Instant::now();
        let output = Command::new(program(&format!("{service}-worker"))?)
            .env_clear()
            .env("ORDERLY_BROKER_URL", "amqp://user:Top5ecret@broker.example/orderly")
            .env(
                format!("ORDERLY_{}_DATABASE_URL", service.to_uppercase()),
                "mysql://x:Top5ecret@h/d",
            )
            .env("ORDERLY_PREFETCH", "0")
            .env("ORDERLY_BATCH_MESSAGES", "many")
            .env("ORDERLY_BATCH_BYTES", "-1")
            .env("ORDERLY_RETRY_DELAYS_MS", "1,2")
            .env("ORDERLY_PREFTECH", "5")
            .env("ORDERLY_BROKER_CA_FILE", "/nowhere/ca.pem")
            .output()?;
        assert_eq!(output.status.code(), Some(2));
        assert!(started.elapsed() < Duration::from_secs(1), "took {:?}", started.elapsed());
        let said = String::from_utf8(output.stderr)?;
        let wrong = [
            "ORDERLY_ALLOW_PLAINTEXT",
            "DATABASE_URL",
            "ORDERLY_PREFETCH ",
            "ORDERLY_BATCH_MESSAGES",
            "ORDERLY_BATCH_BYTES",
            "ORDERLY_RETRY_DELAYS_MS",
            "ORDERLY_PREFTECH",
            "ORDERLY_BROKER_CA_FILE",
        ];
        for name in wrong {
            assert!(said.contains(name), "{name} is not named:\n{said}");
        }
        assert!(!said.contains("Top5ecret"), "a secret was shown:\n{said}");
    }
    Ok(())
}
